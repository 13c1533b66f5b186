#!/bin/bash
# Promise: mount -t twinfs and a line in fstab do what the command line does, with the options that
# mount(8) strips, keeps and adds.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require mount umount findmnt

helper=/sbin/mount.twinfs
# An installed helper (quickstart's) is moved aside, and put back at the end.
aside=$helper.aside.$$
! [ -e $helper ] || mv $helper "$aside"
at_end() {
    rm -f "$helper"
    ! [ -e "$aside" ] || mv "$aside" "$helper"
}
ln -s "$REPOSITORY/mount-helpers/mount.twinfs" $helper

mkdir "$SCRATCH"/{source,mount,twins}
random_file "$SCRATCH/source/vm1.img" 2M
mnt=$SCRATCH/mount

serves() { # checks what is mounted, and takes it down with the plain umount
    [[ $(findmnt -n -o FSTYPE "$mnt") == fuse.twinfs ]] || fail "type: $(findmnt "$mnt")"
    [ "$(findmnt -n -o SOURCE "$mnt")" = "$SCRATCH/source" ] || fail "source: $(findmnt "$mnt")"
    cmp "$mnt/vm1.img" "$SCRATCH/source/vm1.img"
    local pid
    pid=$(jq -r '."worker-pid"' "$mnt/.mirror/status.json")
    timeout "$LIMIT" umount "$mnt" || fail "umount"
    eventually 20 process_gone "$pid" || fail "the daemon outlives umount"
}

MOUNTS+=("$mnt")
timeout "$LIMIT" mount -t twinfs "$SCRATCH/source" "$mnt"
serves

timeout "$LIMIT" mount -t twinfs "$SCRATCH/source" "$mnt" -v -n -s \
    -o "allow_other,nofail,_netdev,x-systemd.requires=/backup,noauto,target=$SCRATCH/twins"
wait_ready "$mnt/vm1.img"
timeout "$LIMIT" twinfs complete "$mnt/vm1.img" switch=off
wait_completed "$mnt/vm1.img"
serves
compare "$SCRATCH/source/vm1.img" "$SCRATCH/twins/vm1.img"
rm "$SCRATCH/twins/vm1.img"

# -f: everything but the mount itself.
timeout "$LIMIT" mount -f -t twinfs "$SCRATCH/source" "$mnt"
! findmnt "$mnt" >/dev/null || fail "mount -f mounted"

printf '%s %s twinfs noauto,nofail,_netdev,x-systemd.automount,allow_other,target=%s 0 0\n' \
    "$SCRATCH/source" "$mnt" "$SCRATCH/twins" >"$SCRATCH/fstab"
timeout "$LIMIT" env -u HOME mount -T "$SCRATCH/fstab" "$mnt"
wait_ready "$mnt/vm1.img"
timeout "$LIMIT" twinfs complete "$mnt/vm1.img" switch=off
wait_completed "$mnt/vm1.img"
serves

expect_error any "$SCRATCH/none" mount -t twinfs "$SCRATCH/none" "$mnt"
expect_error any frobnicate mount -t twinfs "$SCRATCH/source" "$mnt" -o frobnicate=1
! findmnt "$mnt" >/dev/null || fail "a failed mount is there"
unset 'MOUNTS[0]'
