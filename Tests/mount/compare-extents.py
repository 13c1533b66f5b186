"""compare-extents.py A B: are two huge sparse files equal? Reads only where one of them has data."""
import errno
import os
import sys

PIECE = 1 << 20


def pieces(handle):
    """Numbers of the 1 MiB pieces in which the file has data."""
    place, size = 0, os.fstat(handle).st_size
    while place < size:
        try:
            start = os.lseek(handle, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        place = os.lseek(handle, start, os.SEEK_HOLE)
        yield from range(start // PIECE, (place - 1) // PIECE + 1)


handles = [os.open(path, os.O_RDONLY) for path in sys.argv[1:3]]
sizes = [os.fstat(handle).st_size for handle in handles]
if sizes[0] != sizes[1]:
    sys.exit(f"sizes differ: {sizes}")
numbers = {number for handle in handles for number in pieces(handle)}
for number in sorted(numbers):
    a, b = (os.pread(handle, PIECE, number * PIECE) for handle in handles)
    if a != b:
        sys.exit(f"differ in the 1 MiB at {number * PIECE}")
print(f"equal: {sizes[0]} bytes, {len(numbers)} pieces of 1 MiB with data")
