"""SEEK_DATA, SEEK_HOLE and the ends."""
import os

from common import close, holes


def seeking(r):
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    os.ftruncate(d, 1 << 22)
    os.pwrite(d, b"a" * 4096, 1 << 20)
    os.pwrite(d, b"a" * 4096, 3 << 20)
    r.note("extents", holes(d))
    for offset in (0, 1 << 20, (1 << 20) + 4095, (1 << 20) + 4096, 1 << 22, (1 << 22) + 1):
        r.do(f"data {offset}", os.lseek, d, offset, os.SEEK_DATA)
        r.do(f"hole {offset}", os.lseek, d, offset, os.SEEK_HOLE)
    r.do("negative", os.lseek, d, -1, os.SEEK_DATA)
    r.do("end", os.lseek, d, -10, os.SEEK_END)
    r.do("before", os.lseek, d, -10, os.SEEK_SET)
    close(d)
