"""handles.py IMAGE REPORT: a guest that opens IMAGE once (plain, O_DIRECT, shared mmap) and writes and
reads it back through these handles until SIGTERM. Inode number and size must not change under it.

REPORT appears once all handles have been used; at the end it holds what IMAGE's first 3 MiB must be."""
import mmap
import os
import random
import signal
import sys

MIB = 1 << 20
PAGE = 4096


class Guest:
    def __init__(self, path):
        self.plain = os.open(path, os.O_RDWR)
        self.direct = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.shared = mmap.mmap(self.plain, MIB, offset=2 * MIB)
        self.buffer = mmap.mmap(-1, PAGE)
        self.model = bytearray(os.pread(self.plain, 3 * MIB, 0))
        self.first = self.identity()

    def identity(self):
        found = os.fstat(self.plain)
        return found.st_ino, found.st_size

    def write(self, kind, offset, data):
        if kind == 0:
            assert os.pwrite(self.plain, data, offset) == PAGE
        elif kind == 1:
            self.buffer[:] = data
            assert os.pwrite(self.direct, self.buffer, offset) == PAGE
        else:
            self.shared[offset - 2 * MIB : offset - 2 * MIB + PAGE] = data
            self.shared.flush(offset - 2 * MIB, PAGE)

    def read(self, kind, offset):
        if kind == 0:
            return os.pread(self.plain, PAGE, offset)
        if kind == 1:
            assert os.preadv(self.direct, [self.buffer], offset) == PAGE
            return self.buffer[:]
        return self.shared[offset - 2 * MIB : offset - 2 * MIB + PAGE]

    def check(self, offset):
        found = self.read(offset // MIB, offset)
        assert found == self.model[offset : offset + PAGE], f"page at {offset} is not what was written"

    def step(self):
        """A page through each of the handles, each in its own MiB."""
        for kind in range(3):
            offset = kind * MIB + random.randrange(MIB // PAGE) * PAGE
            data = random.randbytes(PAGE)
            self.write(kind, offset, data)
            self.model[offset : offset + PAGE] = data
            self.check(kind * MIB + random.randrange(MIB // PAGE) * PAGE)
        if random.random() < 0.05:
            os.fsync(self.plain)

    def finish(self):
        self.shared.flush()
        os.fsync(self.plain)
        for offset in range(0, 3 * MIB, PAGE):
            self.check(offset)
        assert self.identity() == self.first, f"{self.first} became {self.identity()}"


stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
guest = Guest(sys.argv[1])
guest.step()
open(sys.argv[2], "wb").close()
while not stopped:
    guest.step()
guest.finish()
with open(sys.argv[2], "wb") as report:
    report.write(guest.model)
