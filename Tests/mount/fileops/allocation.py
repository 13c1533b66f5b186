"""fallocate in each of its modes."""
import os

from common import close, fallocate, holes


def allocation(r):
    KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    r.do("write", os.write, d, b"x" * (1 << 18))
    r.do("posix_fallocate", os.posix_fallocate, d, 0, 1 << 19)
    r.do("size", lambda: os.fstat(d).st_size)
    r.do("keep size", fallocate, d, KEEP, 0, 1 << 20)
    r.do("size", lambda: os.fstat(d).st_size)
    r.do("punch", fallocate, d, KEEP | PUNCH, 65536, 65536)
    r.do("blocks", lambda: os.fstat(d).st_blocks)
    r.note("holes", holes(d))
    r.do("punched", os.pread, d, 1 << 18, 0)
    r.do("punch unaligned", fallocate, d, KEEP | PUNCH, 1000, 5000)
    r.do("punched", os.pread, d, 10000, 0)
    r.do("punch past the end", fallocate, d, KEEP | PUNCH, 1 << 25, 4096)
    r.do("punch alone", fallocate, d, PUNCH, 0, 4096)
    r.do("zero range", fallocate, d, ZERO, 131072, 8192)
    r.do("zero range keep", fallocate, d, ZERO | KEEP, 1 << 21, 8192)
    r.do("nothing", fallocate, d, 0, 0, 0)
    r.do("negative", fallocate, d, 0, -1, 10)
    r.do("too far", fallocate, d, 0, 1 << 62, 1 << 62)
    r.do("content", os.pread, d, 1 << 20, 0)
    close(d)
    p = r.opened("fifo", "f", os.O_RDONLY)
    r.do("allocate of rdonly", fallocate, p, 0, 0, 100)
    close(p)
