#!/bin/bash
# Promise: mounted over the source itself, every path in a hypervisor's configuration stays as it is,
# nobody reaches the files behind the mount, and unmounting gives the directory back.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require qemu-img findmnt

mkdir -p "$SCRATCH/images/rack" "$SCRATCH/twins"
images=$SCRATCH/images
random_file "$images/rack/vm1.img" 8M
qemu-img create -q -f qcow2 "$images/vm2.qcow2" 16M
qemu-img create -q -f qcow2 -b "$images/vm2.qcow2" -F qcow2 "$images/child.qcow2" # absolute reference

round() { # twinfs' arguments: with and without the mountpoint
    MOUNTS+=("$images")
    timeout "$LIMIT" twinfs "$@" || fail "twinfs $*"
    [[ $(findmnt -n -o FSTYPE "$images" | tail -n 1) == fuse* ]] || fail "no mount over $images"
    start_mirror "$images/rack/vm1.img" target="$SCRATCH/twins"
    start_mirror "$images/vm2.qcow2" target="$SCRATCH/twins" sync=top
    dd if=/dev/urandom of="$images/rack/vm1.img" bs=64k count=9 seek=3 conv=notrunc status=none
    qemu-img check -q "$images/child.qcow2" || fail "the absolute backing path does not resolve"
    qemu-img bench -f qcow2 -w -c 200 -s 65536 "$images/vm2.qcow2" >/dev/null
    for image in rack/vm1.img vm2.qcow2; do
        wait_ready "$images/$image"
        timeout "$LIMIT" twinfs complete "$images/$image" switch=off
        wait_completed "$images/$image"
    done
    unmount_twinfs "$images"
    [ ! -e "$images/.mirror" ] || fail ".mirror stays in the source directory"
    [[ $(findmnt -n -o FSTYPE -T "$images") != fuse* ]] || fail "still mounted"
    for image in rack/vm1.img vm2.qcow2; do
        compare "$images/$image" "$SCRATCH/twins/$image"
        rm "$SCRATCH/twins/$image"
    done
}

round "$images"
round "$images" "$images"
(cd "$SCRATCH" && MOUNTS=() && round images)
