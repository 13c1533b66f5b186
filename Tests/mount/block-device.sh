#!/bin/bash
# Promise: a block device is a target like a file; one that is too small or in use is refused before
# it is touched.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require mkfs.ext4 sha256sum

mkdir "$SCRATCH"/{source,mount,used}
mnt=$SCRATCH/mount
random_file "$SCRATCH/source/vm1.img" 24M
truncate -s 32M "$SCRATCH/source/vm1.img" # a hole, and the device below is full of old data
random_file "$SCRATCH/device.img" 32M
random_file "$SCRATCH/small.img" 31M
truncate -s 64M "$SCRATCH/used.img"
mkfs.ext4 -q -F "$SCRATCH/used.img"
device=$(attach_loop "$SCRATCH/device.img")
small=$(attach_loop "$SCRATCH/small.img")
used=$(attach_loop "$SCRATCH/used.img")
mount "$used" "$SCRATCH/used"
mount_twinfs "$SCRATCH/source" "$mnt"

before=$(sha256sum <"$small")
expect_error any "$small" twinfs mirror "$mnt/vm1.img" target="$small"
[ "$(sha256sum <"$small")" = "$before" ] || fail "a refused device was written to"
expect_error any "$used" twinfs mirror "$mnt/vm1.img" target="$used"

start_mirror "$mnt/vm1.img" target="$device" speed=4M
dd if=/dev/urandom of="$mnt/vm1.img" bs=4k count=300 seek=1000 oflag=direct conv=notrunc status=none
timeout "$LIMIT" twinfs set "$mnt/vm1.img" speed=0
wait_ready "$mnt/vm1.img"
fallocate --punch-hole --offset 1M --length 3M "$mnt/vm1.img"
dd if=/dev/urandom of="$mnt/vm1.img" bs=1M count=3 seek=28 conv=notrunc status=none
complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$device"

unmount_twinfs "$mnt"
umount "$SCRATCH/used"
losetup -d "$device" "$small" "$used"
