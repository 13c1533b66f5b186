"""What a reader sees of what somebody else writes."""
import mmap
import os

from common import close, put


def readers_beside_writers(r):
    put("f", b"a" * 10000)
    one = r.opened("reader", "f", os.O_RDONLY)
    r.do("read", os.pread, one, 10, 0)
    two = r.opened("writer beside", "f", os.O_RDWR)
    r.do("write", os.pwrite, two, b"B" * 5000, 2000)
    r.do("reader sees", os.pread, one, 10000, 0)
    three = r.opened("reader beside", "f", os.O_RDONLY)
    r.do("new reader sees", os.pread, three, 10000, 0)
    r.do("grow", os.pwrite, two, b"C" * 10, 20000)
    r.do("reader sees growth", os.pread, one, 100, 19990)
    shared = mmap.mmap(one, 10000, mmap.MAP_SHARED, mmap.PROT_READ)
    r.note("mapped", bytes(shared[:]))
    r.do("write", os.pwrite, two, b"E" * 100, 0)
    r.note("mapped sees", bytes(shared[:200]))
    shared.close()
    close(one, two, three)
    one = r.opened("reader again", "f", os.O_RDONLY)
    r.do("read", os.pread, one, 30000, 0)
    close(one)
