"""A guest with many requests under way: each thread writes numbers to a block of its own, directly, until a file appears;
then it reads its last number back.

    many-writers.py IMAGE THREADS STOP-FILE
"""

import mmap
import os
import struct
import sys
import threading

BLOCK = 4096


def work(image, place, stop, wrong):
    buffer = mmap.mmap(-1, BLOCK)
    number = 0
    try:
        while not os.path.exists(stop):
            number += 1
            struct.pack_into("<QQ", buffer, 0, place, number)
            if os.pwrite(image, buffer, place * BLOCK) != BLOCK:
                raise OSError("short write")
        if os.preadv(image, [buffer], place * BLOCK) != BLOCK:
            raise OSError("short read")
        found = struct.unpack_from("<QQ", buffer)
        if found != (place, number):
            wrong.append(f"block {place} has {found}, wrote {number}")
    except OSError as error:
        wrong.append(f"block {place}, write {number}: {error}")


def main():
    image = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
    wrong = []
    threads = [
        threading.Thread(target=work, args=(image, place, sys.argv[3], wrong))
        for place in range(int(sys.argv[2]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


main()
