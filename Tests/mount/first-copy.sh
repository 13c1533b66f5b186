#!/bin/bash
# Promise: an image that is written before, during and after the first copy has an equal twin, which
# bears its final name only from the first ready on.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require dd getfattr

mkdir "$SCRATCH"/{source,mount,twins}
random_file "$SCRATCH/source/vm1.img" 32M
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
image=$SCRATCH/mount/vm1.img
cmp "$image" "$SCRATCH/source/vm1.img"

start_mirror "$image" target="$SCRATCH/twins" speed=4M
expect_field "$SCRATCH/mount" vm1.img phase bulk
expect_field "$SCRATCH/mount" vm1.img target-state inconsistent
[ -e "$SCRATCH/twins/vm1.img.partial" ] || fail "no .partial in bulk"
[ ! -e "$SCRATCH/twins/vm1.img" ] || fail "the twin has its final name in bulk"
dd if=/dev/urandom of="$image" bs=1M count=3 seek=1 conv=notrunc,fsync status=none

timeout "$LIMIT" twinfs set "$image" speed=0
wait_ready "$image"
[ -e "$SCRATCH/twins/vm1.img" ] || fail "the twin has not its name in ready"
dd if=/dev/urandom of="$image" bs=4k count=700 seek=77 oflag=direct conv=notrunc status=none

complete_and_compare "$SCRATCH/mount" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/twins/vm1.img"
unmount_twinfs "$SCRATCH/mount"
