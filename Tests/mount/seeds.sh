#!/bin/bash
# Promise: sync=none copies only what is written from its start on. With seed=reflink the twin is a clone
# of the image at that very instant, while a guest writes, on xfs and on btrfs; with seed=asserted it is a
# file that the user vouches for. Unseeded it is a delta, which says what it holds and never completes.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require mkfs.xfs mkfs.btrfs filefrag

say "SEED=$SEED"
mkdir "$SCRATCH"/{xfs,btrfs,source,mount,twins}
at_end() {
    local name
    for name in xfs btrfs; do
        mountpoint -q "$SCRATCH/$name" && umount "$SCRATCH/$name"
    done
    for name in xfs btrfs; do
        losetup --noheadings --output NAME --associated "$SCRATCH/$name.disk" | xargs -r losetup -d
    done
}

start_guest() { # IMAGE: sets guest
    rm -f "$SCRATCH/report"
    python3 "$MOUNT_TESTS/numbered.py" write "$1" "$SEED" "$SCRATCH/report" &
    guest=$!
    eventually "$LIMIT" test -e "$SCRATCH/report" || fail "the guest does not write"
}

stop_guest() {
    kill -0 $guest || fail "the guest has ended"
    kill -TERM $guest
    wait $guest || fail "the guest saw an error"
}

check() { python3 "$MOUNT_TESTS/numbered.py" check "$1" "$SEED" || fail "$1 is no past state"; }

reflink() { # FILESYSTEM: image and twin on it
    local fs=$SCRATCH/$1 extents
    mkdir "$fs"/{source,twins} "$SCRATCH/$1.mount"
    truncate -s 16M "$fs/source/vm.img"
    mount_twinfs "$fs/source" "$SCRATCH/$1.mount"
    start_guest "$SCRATCH/$1.mount/vm.img"
    start_mirror "$SCRATCH/$1.mount/vm.img" target="$fs/twins" sync=none seed=reflink \
        max-pause=5000
    wait_ready "$SCRATCH/$1.mount/vm.img"
    timeout "$LIMIT" twinfs complete "$SCRATCH/$1.mount/vm.img" switch=off
    wait_completed "$SCRATCH/$1.mount/vm.img"
    say "$1: a clone that went on to write $(check "$fs/twins/vm.img")"
    expect_field "$SCRATCH/$1.mount" vm.img target-state consistent
    stop_guest

    # With nobody writing nothing is copied at all: every extent is shared.
    timeout "$LIMIT" twinfs dismiss "$SCRATCH/$1.mount/vm.img"
    start_mirror "$SCRATCH/$1.mount/vm.img" target="$fs/twins" sync=none seed=reflink \
        existing=replace
    wait_ready "$SCRATCH/$1.mount/vm.img"
    expect_field "$SCRATCH/$1.mount" vm.img copied-bytes 0
    # Not through a pipe that a match closes.
    extents=$(filefrag -v "$fs/twins/vm.img")
    [[ $extents == *shared* ]] || fail "$1: no shared extents: $extents"
    complete_and_compare "$SCRATCH/$1.mount" vm.img "$fs/source/vm.img" "$fs/twins/vm.img"
    unmount_twinfs "$SCRATCH/$1.mount"
    rm -r "$fs"/{source,twins}
}

truncate -s 600M "$SCRATCH"/{xfs,btrfs}.disk
mkfs.xfs -q -m reflink=1 "$SCRATCH/xfs.disk"
mkfs.btrfs -q "$SCRATCH/btrfs.disk"
for name in xfs btrfs; do
    mount "$(attach_loop "$SCRATCH/$name.disk")" "$SCRATCH/$name"
    reflink $name
done

say "no clone between filesystems"
mnt=$SCRATCH/mount
truncate -s 8M "$SCRATCH/source/vm.img"
mount_twinfs "$SCRATCH/source" "$mnt"
start_guest "$mnt/vm.img"
expect_error any 'vm\.img.*sync=full' \
    twinfs mirror "$mnt/vm.img" target="$SCRATCH/xfs" sync=none seed=reflink
[ ! -e "$SCRATCH/xfs/vm.img.partial" ] || fail "a refused job has left a file"
expect_error any 'sync=none' twinfs mirror "$mnt/vm.img" target="$SCRATCH/twins" seed=reflink
stop_guest

say "a seed that the user vouches for"
cp "$SCRATCH/source/vm.img" "$SCRATCH/twins/vm.img"
expect_error any 'seed|existing' twinfs mirror "$mnt/vm.img" target="$SCRATCH/twins" sync=none \
    seed=asserted existing=replace
start_mirror "$mnt/vm.img" target="$SCRATCH/twins" sync=none seed=asserted
wait_ready "$mnt/vm.img"
expect_field "$mnt" vm.img copied-bytes 0
dd if=/dev/urandom of="$mnt/vm.img" bs=64k count=5 seek=7 conv=notrunc status=none
wait_field "$mnt" vm.img dirty-bytes 0
complete_and_compare "$mnt" vm.img "$SCRATCH/source/vm.img" "$SCRATCH/twins/vm.img"
timeout "$LIMIT" twinfs dismiss "$mnt/vm.img"
truncate -s 4M "$SCRATCH/twins/vm.img"
expect_error any 'existing=reuse' \
    twinfs mirror "$mnt/vm.img" target="$SCRATCH/twins" sync=none seed=asserted
expect_error any 'no such file' \
    twinfs mirror "$mnt/vm.img" target="$SCRATCH/elsewhere.img" sync=none seed=asserted
rm "$SCRATCH/twins/vm.img"

say "a delta"
start_mirror "$mnt/vm.img" target="$SCRATCH/twins" sync=none
wait_ready "$mnt/vm.img"
expect_field "$mnt" vm.img target-state partial
dd if=/dev/urandom of="$mnt/vm.img" bs=64k count=5 seek=3 conv=notrunc status=none
dd if=/dev/urandom of="$mnt/vm.img" bs=4k count=1 seek=1000 conv=notrunc status=none
expect_error any 'cancel' twinfs complete "$mnt/vm.img"
expect_error any 'cancel' twinfs complete "$mnt/vm.img" switch=off
timeout "$LIMIT" twinfs cancel "$mnt/vm.img"
wait_field "$mnt" vm.img phase completed
expect_field "$mnt" vm.img target-state partial
delta=$(job_field "$mnt" vm.img target)
[ ! -e "$SCRATCH/twins/vm.img" ] || fail "a delta has the image's name"
python3 - "$SCRATCH/source/vm.img" "$delta" <<'PYTHON' || fail "the delta"
import json, sys
image, delta = (open(path, "rb").read() for path in sys.argv[1:])
listed = json.load(open(sys.argv[2] + ".extents"))
extents = [(extent["start"], extent["length"]) for extent in listed["extents"]]
assert extents == [(3 << 16, 5 << 16), (1000 << 12, 1 << 12)], extents
for start, length in extents:
    assert image[start : start + length] == delta[start : start + length], start
held = sum(length for _, length in extents)
assert len(delta) - delta.count(0) <= held
PYTHON
unmount_twinfs "$mnt"
