#!/bin/bash
# Promise: a guest that writes with checksums and syncs is switched ten times there and back between two
# disks, and notices nothing: no error in its kernel's log, and every file has its checksum. Both disks
# check clean: the one that serves as the guest has left it, the other as after a power cut.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/guest/lib.sh
. "$MOUNT_TESTS/guest/lib.sh"

switches=20
mkdir "$SCRATCH"/{first,second,mount}
mnt=$SCRATCH/mount
for disk in first second; do
    truncate -s 600M "$SCRATCH/$disk.disk"
    mkfs.ext4 -q -F "$SCRATCH/$disk.disk"
    mount "$(attach_loop "$SCRATCH/$disk.disk")" "$SCRATCH/$disk"
done
mkdir "$SCRATCH/first/images" "$SCRATCH/second/images"
home=$SCRATCH/first/images/vm.img
twin=$SCRATCH/second/images/vm.img
make_guest_disk "$home" 256M 16M
mount_twinfs "$SCRATCH/first/images" "$mnt" -o statedir="$SCRATCH/state"
image=$mnt/vm.img
console=$SCRATCH/console

rounds_written() { grep -c '^GUEST ROUND' "$console" || true; }
has_written() { [ -e "$console" ] && [ "$(rounds_written)" -ge "$1" ]; }

switch_to() { # FILE
    local before
    start_mirror "$image" target="$1" existing=reuse >/dev/null
    wait_ready "$image" >/dev/null
    before=$(rounds_written)
    control "$mnt" "complete vm.img" >/dev/null
    wait_field "$mnt" vm.img phase completed
    expect_field "$mnt" vm.img error null
    [ "$1" = "$home" ] && expect_field "$mnt" vm.img serving source
    [ "$1" = "$home" ] || expect_field "$mnt" vm.img serving "$1"
    eventually "$LIMIT" has_written $((before + 1)) || fail "the guest does not write after the switch"
    say "held for $(job_field "$mnt" vm.img last-pause-us) us, guest in round $(rounds_written)"
    control "$mnt" "dismiss vm.img" >/dev/null
}

mkfifo "$SCRATCH/keyboard"
boot_guest "$image" raw cache=none,aio=native run-on 0 "$console" "$SCRATCH/keyboard" &
guest=$!
eventually "$LIMIT" has_written 2 || fail "the guest does not write"
for ((number = 0; number < switches; number += 2)); do
    switch_to "$twin"
    switch_to "$home"
done
kill -0 $guest || fail "the guest has ended"
eventually "$LIMIT" has_written 30 || fail "the guest does not write any more"
echo stop >"$SCRATCH/keyboard"
wait $guest || fail "QEMU ended with $?"
check_console "$console"
unmount_twinfs "$mnt"

e2fsck -fn "$home" || fail "e2fsck of the disk that the guest has left"
# The other one was cut in a mounted filesystem: the first boot replays the journal.
cp --sparse=always "$twin" "$SCRATCH/replayed"
boot_guest "$SCRATCH/replayed" raw cache=unsafe look 1 "$console.twin" || fail "the twin does not boot"
check_console "$console.twin"
e2fsck -fn "$SCRATCH/replayed" || fail "e2fsck of the disk that serves no more"
for disk in first second; do
    umount "$SCRATCH/$disk"
    device=$(losetup --noheadings --output NAME --associated "$SCRATCH/$disk.disk")
    e2fsck -fn "$device" || fail "e2fsck of the host's $disk disk"
    losetup -d "$device"
done
say "$(grep '^GUEST DONE' "$console"), $(grep '^GUEST DONE' "$console.twin") on the other disk"
