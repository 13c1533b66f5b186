"""A guest whose every past state is known, so that a cut can be checked while it goes on writing.

numbered.py write IMAGE SEED REPORT   writes block after block, each full of the number of its write, as fast
                                      as it goes, until SIGTERM. REPORT appears once each block was written.
numbered.py check FILE SEED           FILE must be what IMAGE was after some write; prints how many."""
import mmap
import os
import random
import signal
import struct
import sys

BLOCK = 65536


def places(blocks, seed):
    """Where the writes go: each block once, then at random."""
    yield from range(blocks)
    rng = random.Random(seed)
    while True:
        yield rng.randrange(blocks)


def content(number):
    return struct.pack("<Q", number) * (BLOCK // 8)


def write(path, seed, report):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    handle = os.open(path, os.O_RDWR | os.O_DIRECT)
    blocks = os.fstat(handle).st_size // BLOCK
    buffer = mmap.mmap(-1, BLOCK)
    for number, place in enumerate(places(blocks, seed), 1):
        buffer[:] = content(number)
        assert os.pwrite(handle, buffer, place * BLOCK) == BLOCK
        if number == blocks:
            open(report, "w").close()
        if stopped and number > blocks:
            return


def check(path, seed):
    with open(path, "rb") as file:
        found = [file.read(BLOCK) for _ in range(os.path.getsize(path) // BLOCK)]
    numbers = [struct.unpack_from("<Q", data)[0] for data in found]
    last = max(numbers)
    expected = [0] * len(found)
    for number, place in enumerate(places(len(found), seed), 1):
        if number > last:
            break
        expected[place] = number
    for place, (number, data) in enumerate(zip(expected, found)):
        if data != content(number):
            seen = struct.unpack_from("<Q", data)[0]
            sys.exit(f"{path}: after write {last} block {place} is of write {number}, not of {seen}")
    print(last)


if sys.argv[1] == "write":
    write(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    check(sys.argv[2], int(sys.argv[3]))
