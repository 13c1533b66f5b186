"""Truncating, by name and by handle."""
import os

from common import close, put, shown


def sizes(r):
    put("f", b"0123456789" * 1000)
    r.do("truncate down", os.truncate, "f", 5000)
    r.content("f")
    r.do("truncate up", os.truncate, "f", 9000)
    r.content("f")
    r.do("truncate negative", os.truncate, "f", -1)
    r.do("truncate huge", os.truncate, "f", 1 << 62)
    r.do("truncate absent", os.truncate, "absent", 1)
    os.mkdir("d")
    r.do("truncate directory", os.truncate, "d", 1)
    d = os.open("f", os.O_RDWR)
    r.do("ftruncate", os.ftruncate, d, 100)
    r.do("after", os.pread, d, 1000, 0)
    r.do("ftruncate up", os.ftruncate, d, 1 << 30)
    r.do("fstat", lambda: shown(os.fstat(d)))
    r.do("hole", os.pread, d, 100, 1 << 29)
    close(d)
    r.look("f")
    os.chmod("f", 0o400)
    r.do("truncate without permission", os.truncate, "f", 1)
