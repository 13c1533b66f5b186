#!/bin/bash
# Promise: verify says whether a twin is what it should be, and mends it; a checkpoint's extents outlive an
# unmount in order, and an incremental job copies no more than they say.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require jq dd cmp

mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount
state=$SCRATCH/state
random_file "$SCRATCH/source/vm.img" 8M
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$state"
put() { printf 'XXXX' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; } # FILE OFFSET
command_ok() { timeout "$LIMIT" twinfs "$@" || fail "twinfs $*"; }

say "a checkpoint has a file"
command_ok checkpoint "$mnt/vm.img" monday
expect_error 9 'has one of that name' twinfs checkpoint "$mnt/vm.img" monday
extents=$mnt/.mirror/checkpoints/vm.img/monday
[ "$(jq -c '[.extents, .complete, .size]' "$extents")" = '[[],true,8388608]' ] || fail "new checkpoint"

say "verify finds what was changed behind everybody's back, and mends it"
start_mirror "$mnt/vm.img" target="$SCRATCH/twins/"
wait_ready "$mnt/vm.img"
command_ok verify "$mnt/vm.img"
put "$SCRATCH/twins/vm.img" 100000
expect_error 23 '' twinfs verify "$mnt/vm.img"
expect_field "$mnt" vm.img mismatched-bytes 4096
expect_field "$mnt" vm.img target-state inconsistent
command_ok verify "$mnt/vm.img" repair=on
complete_and_compare "$mnt" vm.img "$SCRATCH/source/vm.img" "$SCRATCH/twins/vm.img"
command_ok dismiss "$mnt/vm.img"

say "what changed outlives an unmount"
put "$mnt/vm.img" 5000
unmount_twinfs "$mnt"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$state"
[ "$(jq -c '.extents' "$extents")" = '[{"length":4096,"start":4096}]' ] || fail "extents after a mount"
start_mirror "$mnt/vm.img" target="$SCRATCH/twins/" sync=incremental checkpoint=monday
wait_ready "$mnt/vm.img"
expect_field "$mnt" vm.img copied-bytes 4096
complete_and_compare "$mnt" vm.img "$SCRATCH/source/vm.img" "$SCRATCH/twins/vm.img"
command_ok checkpoint --delete "$mnt/vm.img" monday
[ -z "$(ls "$mnt/.mirror/checkpoints")" ] || fail "a forgotten checkpoint is shown"
unmount_twinfs "$mnt"
