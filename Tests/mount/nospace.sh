#!/bin/bash
# Promise: a target that runs full never reaches the guest. The job stops, says so and what to do, and
# goes on from there when there is room again: in bulk, and in ready. It stops before the last block is
# taken, since others live on that filesystem too; whoever resumes all the same gets it filled.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require fallocate

mkdir "$SCRATCH"/{source,mount,target}
mount -t tmpfs -o size=96M tmpfs "$SCRATCH/target"
random_file "$SCRATCH/source/vm1.img" 64M
truncate -s 256M "$SCRATCH/source/vm1.img"
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm1.img

guest_writes() { # SEEK-IN-MIB COUNT-IN-MIB: direct and durable, and nothing may be wrong with it
    dd if=/dev/urandom of="$image" bs=1M seek="$1" count="$2" oflag=direct conv=notrunc,fsync \
        status=none || fail "the guest saw an error"
}

stopped_for_space() {
    wait_field "$mnt" vm1.img io-status nospace
    wait_field "$mnt" vm1.img paused true
    local words
    words=$(job_field "$mnt" vm1.img error)
    [[ ${words,,} =~ space && ${words,,} =~ resume ]] || fail "error does not say what to do: $words"
    grep -qi space "$mnt/.mirror/status" || fail "status does not say what is wrong"
}

room_left() { stat -f -c '%a * %S' "$SCRATCH/target"; }

left_some_room() {
    [ "$(($(room_left)))" -gt $((512 * 1024)) ] || fail "the filesystem was filled to the brim"
    expect_field "$mnt" vm1.img errors-target 0
}

start_mirror "$image" target="$SCRATCH/target" speed=4M
fallocate -l 60M "$SCRATCH/target/filler"
sleep 2 # a look at the free space is good for a second
timeout "$LIMIT" twinfs set "$image" speed=0
guest_writes 0 32
stopped_for_space
left_some_room
expect_field "$mnt" vm1.img status paused
guest_writes 16 40
mount -o remount,size=192M "$SCRATCH/target"
timeout "$LIMIT" twinfs resume "$image"
wait_ready "$image"

fallocate -l "$(($(room_left) - 8 * 1024 * 1024))" \
    "$SCRATCH/target/more"
sleep 2
guest_writes 100 48
stopped_for_space
left_some_room
timeout "$LIMIT" twinfs resume "$image"
wait_field "$mnt" vm1.img errors-target '[1-9]'
stopped_for_space
expect_field "$mnt" vm1.img status standby
guest_writes 120 40
rm "$SCRATCH/target/filler" "$SCRATCH/target/more"
timeout "$LIMIT" twinfs resume "$image"
wait_field "$mnt" vm1.img dirty-bytes 0
complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/target/vm1.img"
unmount_twinfs "$mnt"
umount "$SCRATCH/target"
