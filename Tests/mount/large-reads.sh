#!/bin/bash
# Promise: reads of 32 KiB and more, which are answered with pages of the source's cache, give the image's bytes:
# at any offset, in holes, over its end, through buffered and direct handles, on each filesystem; and none fails
# while the image is written, cut and grown.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require jq mkfs.ext4 mkfs.xfs mkfs.btrfs python3

pipes() { # MOUNTPOINT: of its worker
    local worker
    worker=$(timeout 10 jq '."worker-pid"' "$1/.mirror/status.json")
    find "/proc/$worker/fd" -lname 'pipe:*' | wc -l
}

readers() { # MOUNTPOINT
    python3 - "$1/vm1.img" "${1%/mount}/source/vm1.img" "$SEED" <<'PYTHON'
import mmap, os, random, sys, threading

image, source, seed = sys.argv[1:]
random.seed(seed)
with open(source, "rb") as file:
    expected = file.read()
size, memory = len(expected), mmap.mmap(-1, 2 << 20)


def read(file, offset, count):
    """By preadv: the memory is aligned."""
    with memoryview(memory)[:count] as view:
        return bytes(view[:os.preadv(file, [view], offset)])


for flags, unit in ((os.O_RDWR, 1), (os.O_RDWR | os.O_DIRECT, 512)):
    file = os.open(image, flags)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    edges = [0, size // unit * unit, (size - 65536) // unit * unit, (size - (1 << 20)) // unit * unit]
    for number in range(400):
        offset = edges[number] if number < len(edges) else random.randrange(size // unit) * unit
        count = random.choice((32 << 10, 64 << 10, 128 << 10, 1 << 20, random.randrange(1, 2 << 20)))
        count = max(unit, count // unit * unit)
        if read(file, offset, count) != expected[offset:offset + count]:
            sys.exit(f"{count} bytes at {offset} are others, flags {flags}")
    os.close(file)

# Every byte is its block's number or zero, whoever cuts and grows the image meanwhile.
block, blocks = 1 << 16, 64
pattern = b"".join(bytes([1 + number % 250]) * block for number in range(blocks))
writer = os.open(image, os.O_RDWR)
os.ftruncate(writer, 0)
os.pwrite(writer, pattern, 0)
done = threading.Event()


def change():
    for _ in range(150):
        cut = random.randrange(blocks) * block + random.randrange(block)
        os.ftruncate(writer, cut)
        os.ftruncate(writer, blocks * block)
        os.pwrite(writer, pattern[cut:], cut)
    done.set()


thread = threading.Thread(target=change)
thread.start()
file, rounds = os.open(image, os.O_RDWR | os.O_DIRECT), 0
while not done.is_set() or rounds < 50:
    rounds += 1
    first = random.randrange(blocks)
    count = random.choice((1, 2, 8, 16)) * block
    found = read(file, first * block, count)
    for index in range(0, len(found), block):
        number = 1 + (first + index // block) % 250
        if found[index:index + block].strip(bytes([0, number])):
            sys.exit(f"block {first + index // block} has bytes that were never written to it")
thread.join()
PYTHON
}

scene() { # FOLDER
    mkdir "$1"/{source,mount}
    random_file "$1/source/vm1.img" 9999999
    fallocate --punch-hole --offset 1000000 --length 3000000 "$1/source/vm1.img"
    truncate -s 12345678 "$1/source/vm1.img"
    mount_twinfs "$1/source" "$1/mount"
    local before
    # A read of the kernel's own, of a module say, could be larger than a thread's buffer.
    grep -q " $1/mount .*max_read=1048576" /proc/self/mountinfo || fail "the mount has no max_read"
    before=$(pipes "$1/mount")
    readers "$1/mount" || fail "on $(stat -f -c %T "$1")"
    # Otherwise none of this was tried.
    [ "$(pipes "$1/mount")" -gt "$before" ] || fail "no request thread has a pipe"
    unmount_twinfs "$1/mount"
    say "$(stat -f -c %T "$1"): as expected"
}

mkdir "$SCRATCH/here" "$SCRATCH/tmpfs"
scene "$SCRATCH/here"
mount -t tmpfs -o size=64M none "$SCRATCH/tmpfs"
scene "$SCRATCH/tmpfs"
for kind in ext4 xfs btrfs; do
    truncate -s 512M "$SCRATCH/$kind.disk"
    "mkfs.$kind" -q "$SCRATCH/$kind.disk" >/dev/null
    mkdir "$SCRATCH/$kind"
    mount -o loop "$SCRATCH/$kind.disk" "$SCRATCH/$kind"
    scene "$SCRATCH/$kind"
    umount "$SCRATCH/$kind"
done
umount "$SCRATCH/tmpfs"
