"""churn.py IMAGE REFERENCE SEED COUNT: the same random operations on both files, one after another.

Offsets and lengths like to sit near granule and page boundaries. Every few operations the image is
read back and compared with the reference."""
import ctypes
import mmap
import os
import random
import sys

MIB = 1 << 20
LARGEST = 48 * MIB
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
libc = ctypes.CDLL(None, use_errno=True)


def fallocate(handle, mode, offset, length):
    if libc.fallocate(handle, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def near(rng, limit):
    """A place below `limit`: anywhere, or a few bytes around a boundary."""
    place = rng.randrange(limit)
    if rng.random() < 0.7:
        unit = rng.choice((512, 4096, 65536, MIB))
        place = place // unit * unit + rng.choice((0, 0, 0, -1, 1, 511))
    return min(max(place, 0), limit - 1)


def length(rng):
    return rng.choice((1, 512, 4096, 4096, 4096, 65536, rng.randrange(1, MIB)))


class Churn:
    def __init__(self, image, reference, rng):
        self.rng = rng
        self.both = [os.open(image, os.O_RDWR), os.open(reference, os.O_RDWR)]
        self.direct = os.open(image, os.O_RDWR | os.O_DIRECT)
        self.buffer = mmap.mmap(-1, 4 * MIB)

    def size(self):
        return os.fstat(self.both[1]).st_size

    def write(self):
        offset, data = near(self.rng, self.size()), self.rng.randbytes(length(self.rng))
        for handle in self.both:
            assert os.pwrite(handle, data, offset) == len(data)

    def write_direct(self):
        count = self.rng.randrange(1, 65) * 4096
        offset = self.rng.randrange(self.size() + 4096) // 4096 * 4096
        data = self.rng.randbytes(count)
        self.buffer[:count] = data
        assert os.pwrite(self.direct, memoryview(self.buffer)[:count], offset) == count
        os.pwrite(self.both[1], data, offset)

    def write_zeroes(self):
        offset, data = near(self.rng, self.size()), bytes(length(self.rng))
        for handle in self.both:
            os.pwrite(handle, data, offset)

    def truncate(self):
        size = max(near(self.rng, LARGEST), 4096)
        for handle in self.both:
            os.ftruncate(handle, size)

    def shrink_and_grow(self):
        size = self.size()
        for handle in self.both:
            os.ftruncate(handle, size - size // 5)
            os.ftruncate(handle, size)

    def punch(self):
        offset, count = near(self.rng, self.size()), length(self.rng) * 4
        for handle in self.both:
            fallocate(handle, PUNCH_HOLE | KEEP_SIZE, offset, count)

    def zero_range(self):
        offset, count = near(self.rng, self.size()), length(self.rng) * 2
        mode = ZERO_RANGE | self.rng.choice((0, KEEP_SIZE))
        for handle in self.both:
            fallocate(handle, mode, offset, count)

    def allocate(self):
        offset, count = near(self.rng, self.size()), length(self.rng)
        mode = self.rng.choice((0, KEEP_SIZE))
        for handle in self.both:
            fallocate(handle, mode, offset, count)

    def sync(self):
        os.fsync(self.both[0])

    def check(self):
        size = self.size()
        assert os.fstat(self.both[0]).st_size == size, "sizes differ"
        for offset in range(0, size, 4 * MIB):
            image, reference = (os.pread(handle, 4 * MIB, offset) for handle in self.both)
            assert image == reference, f"image and reference differ in the 4 MiB at {offset}"

    def run(self, count):
        weighted = (
            [self.write] * 8 + [self.write_direct] * 8 + [self.write_zeroes] * 2 + [self.punch] * 3
            + [self.zero_range] * 2 + [self.truncate, self.shrink_and_grow, self.allocate, self.sync]
        )
        for number in range(count):
            self.rng.choice(weighted)()
            if number % 250 == 0:
                self.check()
        self.check()


if __name__ == "__main__":
    Churn(sys.argv[1], sys.argv[2], random.Random(int(sys.argv[3]))).run(int(sys.argv[4]))
