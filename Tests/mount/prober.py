"""Measures stalls as a guest feels them: prober.py IMAGE STOP REPORT [OFFSET]

Writes and reads one sector of IMAGE in a loop until STOP exists; any error, and a sector that is not what was
written last, ends it with a message. REPORT gets the longest write or read in milliseconds, and how many there were.
"""
import mmap
import os
import struct
import sys
import time

image, stop, report = sys.argv[1:4]
offset = int(sys.argv[4]) if len(sys.argv) > 4 else 0
handle = os.open(image, os.O_RDWR | os.O_DIRECT)
out, back = mmap.mmap(-1, 4096), mmap.mmap(-1, 4096)
longest, count = 0.0, 0
while not os.path.exists(stop):
    out[:] = struct.pack("<Q", count) * 512
    begin = time.monotonic()
    if os.pwritev(handle, [out], offset) != 4096:
        sys.exit("prober: a short write")
    middle = time.monotonic()
    if os.preadv(handle, [back], offset) != 4096:
        sys.exit("prober: a short read")
    longest = max(longest, middle - begin, time.monotonic() - middle)
    if out[:] != back[:]:
        sys.exit(f"prober: round {count} was not read back")
    count += 1
    time.sleep(0.002)
with open(report, "w") as file:
    file.write(f"{longest * 1000:.0f} {count}\n")
