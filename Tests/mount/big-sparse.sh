#!/bin/bash
# Promise: a 16 TiB sparse image mounts at once, is mirrored in the time that its data takes, stays
# sparse, and costs the daemon at most 64 MiB beside its I/O buffers.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require mkfs.xfs

say "SEED=$SEED"
mkdir "$SCRATCH"/{disk,mount}
truncate -s 8G "$SCRATCH/disk.img"
mkfs.xfs -q "$SCRATCH/disk.img"
device=$(attach_loop "$SCRATCH/disk.img")
mount "$device" "$SCRATCH/disk"
mkdir "$SCRATCH/disk"/{source,twins}
source=$SCRATCH/disk/source/big.img twin=$SCRATCH/disk/twins/big.img
image=$SCRATCH/mount/big.img
truncate -s 16T "$source"

# Writes at COUNT random places, at the very end and at the very start.
scatter() { # FILE SEED COUNT
    python3 - "$@" <<'PYTHON'
import os, random, sys
rng = random.Random(int(sys.argv[2]))
handle = os.open(sys.argv[1], os.O_WRONLY)
end = os.fstat(handle).st_size
for place in [0, end - 5] + [rng.randrange(end - (1 << 20)) for _ in range(int(sys.argv[3]))]:
    os.pwrite(handle, rng.randbytes(5 if place == end - 5 else rng.randrange(1, 1 << 18)), place)
os.fsync(handle)
PYTHON
}

memory() { # KiB of the daemon's processes, shared pages counted once
    local pid total=0
    for pid in $(jq -r '."worker-pid", ."keeper-pid" | select(. != null)' \
        "$SCRATCH/mount/.mirror/status.json"); do
        total=$((total + $(awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup")))
    done
    echo $total
}

within_memory() { # WHEN
    local now
    now=$(memory)
    say "$1: $((now - before)) KiB above the mount without a job"
    [ $((now - before)) -le $(((64 + 16) * 1024)) ] || fail "the daemon grew too much: $1"
}

scatter "$source" "$SEED" 200
mount_twinfs "$SCRATCH/disk/source" "$SCRATCH/mount"
[ "$(stat -c %s "$image")" = $((1 << 44)) ] || fail "size in the mount"
before=$(memory)
start_mirror "$image" target="$SCRATCH/disk/twins" buf-size=16M
within_memory started
scatter "$image" $((SEED + 1)) 300
wait_ready "$image"
within_memory "ready"
scatter "$image" $((SEED + 2)) 300
truncate -s $(((1 << 44) + 12345)) "$image"
wait_field "$SCRATCH/mount" big.img dirty-bytes 0
within_memory "written in ready"
timeout "$LIMIT" twinfs complete "$image" switch=off
wait_completed "$image"

python3 "$MOUNT_TESTS/compare-extents.py" "$source" "$twin" || fail "source and twin differ"
[ "$(stat -c %b "$twin")" -le $(($(stat -c %b "$source") * 11 / 10 + 2048)) ] ||
    fail "the twin is not sparse: $(du -k "$source" "$twin")"
unmount_twinfs "$SCRATCH/mount"
umount "$SCRATCH/disk"
losetup -d "$device"
