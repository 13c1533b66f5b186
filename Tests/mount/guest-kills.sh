#!/bin/bash
# Promise: a running guest does not notice that its daemon is killed, twenty times over: not a line in its kernel's
# log, every file has its checksum, and in the end the twin boots with all of them.
#
#   guest-kills.sh [KILLS]    20 unless told
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/deaths.sh
. "$MOUNT_TESTS/deaths.sh"
# shellcheck source=Tests/mount/guest/lib.sh
. "$MOUNT_TESTS/guest/lib.sh"

all=${1:-20}
RANDOM=$((SEED % 32768))
say "SEED=$SEED, $all kills"
mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm.img console=$SCRATCH/console
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"
make_guest_disk "$SCRATCH/source/vm.img" 256M 48M

rounds_written() { grep -c '^GUEST ROUND' "$console" || true; }
has_written() { [ -e "$console" ] && [ "$(rounds_written)" -ge "$1" ]; }

mkfifo "$SCRATCH/keyboard"
boot_guest "$image" raw cache=none,aio=native run-on 0 "$console" "$SCRATCH/keyboard" &
guest=$!
eventually "$LIMIT" has_written 2 || fail "the guest does not write"
# A quarter of the kills in bulk, the others in ready and write-blocking.
start_mirror "$image" target="$SCRATCH/twins" speed=4M
while [ $kills -lt "$all" ]; do
    if [ $kills = $((all / 4)) ]; then
        timeout "$LIMIT" twinfs set "$image" speed=0
        wait_ready "$image"
    fi
    [ $kills != $((all * 2 / 3)) ] || timeout "$LIMIT" twinfs set "$image" copy-mode=write-blocking
    before=$(rounds_written)
    random_pause 1500
    kill_worker KILL
    [ $((kills % 5)) != 0 ] || eventually "$LIMIT" has_written $((before + 1)) ||
        fail "the guest does not go on after kill $kills"
done
kill -0 $guest || fail "the guest has ended"
# Each file is read from the disk again after twenty rounds.
eventually "$LIMIT" has_written 24 || fail "the guest does not write any more"
echo stop >"$SCRATCH/keyboard"
wait $guest || fail "QEMU ended with $?"
check_console "$console"
# What the kernel has to say begins with a time. The last line is the end that was asked for.
if grep -E '^\[ *[0-9]+\.[0-9]+\]' "$console" | grep -v 'reboot: Power down'; then
    fail "lines in the guest's kernel log"
fi

wait_ready "$image"
expect_field "$mnt" vm.img resumed worker
complete_and_compare "$mnt" vm.img "$SCRATCH/source/vm.img" "$SCRATCH/twins/vm.img"
cp --sparse=always "$SCRATCH/twins/vm.img" "$SCRATCH/copy"
e2fsck -fn "$SCRATCH/copy" || fail "e2fsck of the twin"
boot_guest "$SCRATCH/copy" raw cache=unsafe look 20 "$console.twin" || fail "the twin does not boot"
check_console "$console.twin"
unmount_twinfs "$mnt"
say "$kills kills, $(grep '^GUEST DONE' "$console"); twin: $(grep '^GUEST DONE' "$console.twin")"
