#!/bin/bash
# Promise: a target that turns read-only, is unmounted or is unplugged, at any moment, costs the guest
# nothing. The status says it in words; where the target comes back `resume` goes on, where it does not,
# `cancel force=on` ends the job and everything can be taken down.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/writing.sh
. "$MOUNT_TESTS/writing.sh"
require mkfs.ext4 mkfs.btrfs btrfs nbdkit nbdfuse

mkdir "$SCRATCH"/{source,mount,target,nbd}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm1.img twin=$SCRATCH/target/vm1.img
random_file "$SCRATCH/source/vm1.img" 24M
mount_twinfs "$SCRATCH/source" "$mnt"
GOAL=$SCRATCH/target
server='' bridge=''
at_end() {
    touch "$SCRATCH/stop"
    [ -z "$server" ] || kill -9 "$server" || true
    umount -l "$SCRATCH/nbd" 2>/dev/null || true
}

ends_by_force() { # nothing of the target is needed any more
    timeout "$LIMIT" twinfs cancel "$image" force=on
    wait_field "$mnt" vm1.img phase cancelled
    expect_field "$mnt" vm1.img target-state inconsistent
    guest_goes_on
    stop_writer
    timeout "$LIMIT" twinfs dismiss "$image"
}

is_released() { # the daemon has closed its file there
    umount "$SCRATCH/target" 2>/dev/null
}

# ---- a filesystem that turns read-only -----------------------------------------------------------

truncate -s 96M "$SCRATCH/disk.img"
device=$(attach_loop "$SCRATCH/disk.img")
for phase in bulk ready write-blocking; do
    say "the filesystem turns read-only in $phase"
    mkfs.ext4 -q -F "$device"
    mount "$device" "$SCRATCH/target"
    start_writer
    start_job "$phase" on-target-error=stop
    mount -o remount,abort "$SCRATCH/target"
    wait_field "$mnt" vm1.img paused true
    guest_goes_on
    expect_field "$mnt" vm1.img error '.*vm1.img.*twinfs resume.*'
    timeout "$LIMIT" twinfs resume "$image"
    wait_field "$mnt" vm1.img paused true
    ends_by_force
    eventually 30 is_released || fail "the target is still in use"
done

# ---- a filesystem that is unmounted below the job ------------------------------------------------

say "the filesystem is unmounted lazily in write-blocking"
mkfs.ext4 -q -F "$device"
mount "$device" "$SCRATCH/target"
start_writer
start_job write-blocking on-target-error=stop
umount -l "$SCRATCH/target"
guest_goes_on
# The daemon has it open: it is out of sight, and goes on.
stop_writer
timeout "$LIMIT" twinfs complete "$image" switch=off
wait_completed "$image"
timeout "$LIMIT" twinfs dismiss "$image"
mount_again() { mount "$device" "$SCRATCH/target" 2>/dev/null; }
eventually 30 mount_again || fail "the disk is still in use"
compare "$SCRATCH/source/vm1.img" "$twin"
umount "$SCRATCH/target"
losetup -d "$device"

# ---- a quota --------------------------------------------------------------------------------------

say "the quota is used up in bulk"
truncate -s 256M "$SCRATCH/quota.img"
mkfs.btrfs -q "$SCRATCH/quota.img"
device=$(attach_loop "$SCRATCH/quota.img")
mount "$device" "$SCRATCH/target"
btrfs quota enable "$SCRATCH/target"
btrfs subvolume create "$SCRATCH/target/volume" >/dev/null
btrfs qgroup limit 16M "$SCRATCH/target/volume"
start_writer
start_mirror "$image" target="$SCRATCH/target/volume/"
wait_field "$mnt" vm1.img paused true
expect_field "$mnt" vm1.img io-status nospace
expect_field "$mnt" vm1.img error '.*quota.*twinfs resume.*'
guest_goes_on
btrfs qgroup limit none "$SCRATCH/target/volume"
timeout "$LIMIT" twinfs resume "$image"
wait_ready "$image"
guest_goes_on
stop_writer
complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/target/volume/vm1.img"
timeout "$LIMIT" twinfs dismiss "$image"
umount "$SCRATCH/target"
losetup -d "$device"

# ---- a disk that is unplugged --------------------------------------------------------------------

plug_in() {
    nbdkit -f -U "$SCRATCH/socket" --filter=error file "$SCRATCH/plug.img" \
        error=EIO error-pwrite-rate=100% error-zero-rate=100% error-file="$SCRATCH/inject" 2>>"$SCRATCH/nbd.log" &
    server=$!
    eventually 20 test -S "$SCRATCH/socket" || fail "nbdkit"
    nbdfuse "$SCRATCH/nbd" "nbd+unix:///?socket=$SCRATCH/socket" 2>>"$SCRATCH/nbd.log" &
    bridge=$!
    eventually 20 test -e "$SCRATCH/nbd/nbd" || fail "nbdfuse"
    device=$(attach_loop --direct-io=on "$SCRATCH/nbd/nbd")
    GOAL=$device
}

unplug() {
    kill -9 "$server"
    wait "$server" || true
    server=
}

put_away() {
    losetup -d "$device"
    eventually 30 umount "$SCRATCH/nbd" || fail "the bridge is still in use"
    wait "$bridge" || true
    [ -z "$server" ] || kill "$server"
    wait
    server=
    rm -f "$SCRATCH/socket" "$SCRATCH/inject"
}

truncate -s 24M "$SCRATCH/plug.img"
for phase in bulk ready write-blocking; do
    say "a block device answers EIO in $phase, and is well again"
    plug_in
    start_writer
    start_job "$phase" on-target-error=stop
    touch "$SCRATCH/inject"
    timeout "$LIMIT" twinfs set "$image" speed=0
    # A device takes writes into memory: the flush at a cut is what fails.
    [ "$phase" = bulk ] || timeout "$LIMIT" twinfs complete "$image" switch=off
    wait_field "$mnt" vm1.img paused true
    guest_goes_on
    rm "$SCRATCH/inject"
    [ "$phase" = bulk ] || stop_writer
    timeout "$LIMIT" twinfs resume "$image"
    if [ "$phase" = bulk ]; then
        wait_ready "$image"
        guest_goes_on
        stop_writer
        timeout "$LIMIT" twinfs complete "$image" switch=off
    fi
    wait_completed "$image"
    compare "$SCRATCH/source/vm1.img" "$device"
    timeout "$LIMIT" twinfs dismiss "$image"
    put_away
done

say "a block device is unplugged"
plug_in
start_writer
start_job write-blocking on-target-error=stop
unplug
guest_goes_on
timeout "$LIMIT" twinfs complete "$image" switch=off
wait_field "$mnt" vm1.img paused true
guest_goes_on
ends_by_force
put_away

unmount_twinfs "$mnt"
