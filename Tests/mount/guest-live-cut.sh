#!/bin/bash
# Promise: a twin cut while its guest is writing is a consistent past state: after the journal replay
# that any guest does after a power cut its filesystem is clean, and every file that was durable in
# the guest before the cut is there, whole.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/guest/lib.sh
. "$MOUNT_TESTS/guest/lib.sh"

rounds=60
mkdir "$SCRATCH"/{source,mount,twins}
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
make_guest_disk "$SCRATCH/source/vm.img" 512M 16M
image=$SCRATCH/mount/vm.img
console=$SCRATCH/console

rounds_written() { grep -c '^GUEST ROUND' "$console" || true; }
has_written() { [ -e "$console" ] && [ "$(rounds_written)" -ge "$1" ]; }

start_mirror "$image" target="$SCRATCH/twins"
boot_guest "$image" raw cache=none,aio=native write $rounds "$console" &
guest=$!
eventually "$LIMIT" has_written 8 || fail "the guest does not write"
wait_ready "$image"
durable=$(rounds_written)
timeout "$LIMIT" twinfs complete "$image" switch=off
wait_completed "$image"
kill -0 $guest || fail "the guest was faster than the cut"
wait $guest || fail "QEMU ended with $?"
check_console "$console"

# The cut was taken in a mounted filesystem: the first boot replays the journal.
cp --sparse=always "$SCRATCH/twins/vm.img" "$SCRATCH/replayed"
boot_guest "$SCRATCH/replayed" raw cache=unsafe verify "$durable" "$console.twin" ||
    fail "the twin does not boot"
check_console "$console.twin"
e2fsck -fn "$SCRATCH/replayed" || fail "e2fsck of the cut"
say "cut after round $durable of $rounds, $(grep '^GUEST DONE' "$console.twin")"
unmount_twinfs "$SCRATCH/mount"
