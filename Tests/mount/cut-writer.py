"""A guest that knows what must have survived a power cut.

cut-writer.py write IMAGE JOURNAL LOG STOP BEGIN END   writes blocks of IMAGE between two offsets until STOP exists
cut-writer.py check IMAGE BASE CUT LOG…                judges IMAGE after a cut when JOURNAL was CUT bytes long;
                                                       CUT may be `acknowledged`: the daemon has died, not the host

Each block says which it is and the number of its write. LOG has a line for every write before it is begun and one after,
and one for every flush that was answered: how long JOURNAL was then, and the number of the last write before the
flush. A mount that goes away ends a writer without an error. What was flushed before the cut must be there, or something newer; what is there must have been written once, or
be BASE's.
"""
import errno
import mmap
import os
import random
import struct
import sys
import time

BLOCK = 4096
MARK = b"twinfs-test-block"
STAMP = struct.Struct(f"<{len(MARK)}sQQ")
WINDOW = 1 << 20
# Blocks of one write; the last are as much as one request can have.
COUNTS = [1, 2, 4, 16, 256]


def stamped(block, number):
    stamp = STAMP.pack(MARK, block, number)
    return (stamp * (BLOCK // len(stamp) + 1))[:BLOCK]


def write(image, journal, log, stop, begin, end):
    begin, end = int(begin), int(end)
    handle = os.open(image, os.O_RDWR | os.O_DIRECT)
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    buffer = mmap.mmap(-1, BLOCK * max(COUNTS))
    number = 0
    while not os.path.exists(stop):
        # As guests do: some places for a while, then others.
        window = random.randrange(begin, end - WINDOW + 1, WINDOW)
        for step in range(60):
            count = random.choices(COUNTS, [24, 8, 8, 7, 1])[0]
            first = (window + random.randrange(WINDOW)) // BLOCK
            first = min(first, end // BLOCK - count)
            number += 1
            os.write(notes, f"w {number} {first} {count}\n".encode())
            for index in range(count):
                buffer[index * BLOCK : (index + 1) * BLOCK] = stamped(first + index, number)
            view = memoryview(buffer)[: count * BLOCK]
            if os.pwritev(handle, [view], first * BLOCK) != count * BLOCK:
                sys.exit("a short write")
            os.write(notes, f"a {number}\n".encode())
            if step % 6 == 5:
                os.fsync(handle)
                os.write(notes, f"f {os.stat(journal).st_size} {number}\n".encode())
            time.sleep(0.002)


class Log:
    """For each block the writes that it saw, and the newest that must be there."""

    def __init__(self, path, cut):
        writes, flushed = [], 0
        # A daemon that dies takes nothing with it that it has answered.
        acknowledged = cut == "acknowledged"
        with open(path, "rb") as file:
            for line in file.read().split(b"\n"):
                words = line.split()
                # The last line may be a piece.
                if len(words) == 4 and words[0] == b"w":
                    writes.append(tuple(map(int, words[1:])))
                elif len(words) == 2 and words[0] == b"a" and acknowledged:
                    flushed = int(words[1])
                elif len(words) == 3 and words[0] == b"f":
                    if not acknowledged and int(words[1]) <= int(cut):
                        flushed = int(words[2])
        self.written, self.needed = {}, {}
        for number, first, count in writes:
            for block in range(first, first + count):
                self.written.setdefault(block, set()).add(number)
                if number <= flushed:
                    self.needed[block] = number


def check(image, base, cut, logs):
    written, needed = {}, {}
    for path in logs:
        log = Log(path, cut)
        written |= log.written
        needed |= log.needed
    bad = []
    with open(image, "rb") as new, open(base, "rb") as old:
        size = os.stat(base).st_size
        for block in range(size // BLOCK):
            data, before = new.read(BLOCK), old.read(BLOCK)
            least = needed.get(block, 0)
            if data == before:
                if least:
                    bad.append(f"block {block} is as at the beginning, write {least} was flushed")
                continue
            mark, place, number = STAMP.unpack(data[: STAMP.size])
            if mark != MARK or data != stamped(block, number):
                bad.append(f"block {block} is nothing that was written there: {data[:40]}")
            elif number not in written.get(block, ()):
                bad.append(f"block {block} has write {number}, which was never made")
            elif number < least:
                bad.append(f"block {block} has write {number}, write {least} was flushed")
    for line in bad[:10]:
        print(line)
    print(f"{len(needed)} blocks were flushed, {len(bad)} are wrong")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        try:
            write(*sys.argv[2:])
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
                raise
    else:
        check(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
