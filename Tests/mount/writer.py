"""A guest that writes its disk until FILE exists, then reads it back: writer.py IMAGE FILE COUNT-FILE

Direct writes of random sizes and places, a flush now and then. Any error, and any byte that is not as it
was written last, ends it with a message. COUNT-FILE tells how many writes were answered.
"""
import mmap
import os
import random
import sys
import time

image, stop, counter = sys.argv[1:]
handle = os.open(image, os.O_RDWR | os.O_DIRECT)
size = os.fstat(handle).st_size
BLOCK = 4096
LARGEST = 16
room = mmap.mmap(-1, size)


def read_all():
    offset = 0
    while offset < size:
        end = min(offset + (1 << 20), size)
        offset += os.preadv(handle, [memoryview(room)[offset:end]], offset)
    return bytes(room)


model = bytearray(read_all())
buffer = mmap.mmap(-1, BLOCK * LARGEST)
writes = 0
while not os.path.exists(stop):
    count = random.randint(1, LARGEST)
    offset = random.randrange(size // BLOCK - count) * BLOCK
    data = random.randbytes(count * BLOCK)
    buffer[: len(data)] = data
    if os.pwritev(handle, [memoryview(buffer)[: len(data)]], offset) != len(data):
        sys.exit("a short write")
    model[offset : offset + len(data)] = data
    writes += 1
    if writes % 20 == 0:
        os.fsync(handle)
    if writes % 5 == 0:
        with open(counter + ".new", "w") as file:
            file.write(str(writes))
        os.rename(counter + ".new", counter)
    time.sleep(0.002)
os.fsync(handle)
if read_all() != bytes(model):
    sys.exit("the image is not what was written")
