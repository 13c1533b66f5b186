"""A file that has no name any more, and is open."""
import os

from common import close, fallocate, put, shown


def unlinked_but_open(r):
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    os.write(d, b"alive")
    os.unlink("f")
    r.do("fstat", lambda: shown(os.fstat(d)))
    r.do("read", os.pread, d, 10, 0)
    r.do("write", os.pwrite, d, b"still", 3)
    r.do("read", os.pread, d, 10, 0)
    r.do("ftruncate", os.ftruncate, d, 2)
    r.do("fchmod", os.fchmod, d, 0o600)
    r.do("utime", os.utime, d, (5, 6))
    r.do("fsync", os.fsync, d)
    r.do("fallocate", fallocate, d, 0, 0, 8192)
    r.do("setxattr", os.setxattr, d, "user.late", b"x")
    r.do("fstat", lambda: shown(os.fstat(d)))
    r.do("reopen", lambda: os.close(os.open(f"/proc/self/fd/{d}", os.O_RDWR)))
    put("f", b"another")
    r.do("read", os.pread, d, 10, 0)
    r.content("f")
    close(d)
