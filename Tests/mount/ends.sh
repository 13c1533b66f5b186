#!/bin/bash
# Promise: a job ends as its words say: cancel in bulk, cancel in ready, cancel force=on, the image
# renamed or deleted under it, pause and resume, dismiss.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require getfattr qemu-io

mkdir "$SCRATCH"/{source,mount,twins}
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
mnt=$SCRATCH/mount

command_ok() { timeout "$LIMIT" twinfs "$@" || fail "twinfs $*"; }
new_job() { # NAME [k=v…]
    random_file "$SCRATCH/source/$1" 8M
    start_mirror "$mnt/$1" target="$SCRATCH/twins" "${@:2}"
}
twin_state() { getfattr --only-values -n user.twinfs.state "$1" 2>/dev/null; }

say "cancel in bulk"
new_job bulk.img speed=64K
command_ok cancel "$mnt/bulk.img"
wait_field "$mnt" bulk.img phase cancelled
expect_field "$mnt" bulk.img target-state inconsistent
[ ! -e "$SCRATCH/twins/bulk.img" ] || fail "a cancelled twin has the final name"
# Dismissed, it may be started again.
command_ok dismiss "$mnt/bulk.img"
[ "$(job_field "$mnt" bulk.img phase)" = null ] || fail "dismissed job is still shown"
expect_error any 'bulk\.img' twinfs dismiss "$mnt/bulk.img"

say "cancel in ready"
new_job ready.img
wait_ready "$mnt/ready.img"
dd if=/dev/urandom of="$mnt/ready.img" bs=64k count=20 seek=3 conv=notrunc status=none
expect_error any 'ready\.img' twinfs dismiss "$mnt/ready.img"
command_ok cancel "$mnt/ready.img"
wait_completed "$mnt/ready.img"
compare "$SCRATCH/source/ready.img" "$SCRATCH/twins/ready.img"
expect_field "$mnt" ready.img target-state 'consistent|synced'
expect_field "$mnt" ready.img serving source
[[ $(twin_state "$SCRATCH/twins/ready.img") =~ ^(consistent|synced)$ ]] ||
    fail "user.twinfs.state: $(twin_state "$SCRATCH/twins/ready.img")"
# An ended job lets go of its twin, dismissed or not: a hypervisor may open it.
qemu-io -f raw -c 'write 0 4k' "$SCRATCH/twins/ready.img" >/dev/null || fail "the twin is still locked"

say "cancel force=on"
new_job force.img
wait_ready "$mnt/force.img"
command_ok cancel "$mnt/force.img" force=on
wait_field "$mnt" force.img phase cancelled
expect_field "$mnt" force.img target-state inconsistent
[[ $(twin_state "$SCRATCH/twins/force.img") == inconsistent ]] ||
    fail "user.twinfs.state: $(twin_state "$SCRATCH/twins/force.img")"

say "pause and resume in bulk and in ready"
new_job pause.img speed=64K
command_ok pause "$mnt/pause.img"
wait_field "$mnt" pause.img status paused
expect_field "$mnt" pause.img paused true
expect_error any '' twinfs complete "$mnt/pause.img" switch=off
command_ok set "$mnt/pause.img" speed=0
expect_field "$mnt" pause.img status paused
dd if=/dev/urandom of="$mnt/pause.img" bs=64k count=20 seek=3 conv=notrunc status=none
command_ok resume "$mnt/pause.img"
wait_ready "$mnt/pause.img"
command_ok pause "$mnt/pause.img"
wait_field "$mnt" pause.img status standby
cp "$SCRATCH/twins/pause.img" "$SCRATCH/then.img"
dd if=/dev/urandom of="$mnt/pause.img" bs=64k count=20 seek=30 conv=notrunc,fsync status=none
# The twin stays as the image was at the pause, and says so.
wait_field "$mnt" pause.img target-state outdated
[ "$(job_field "$mnt" pause.img in-sync-time)" -gt 1000000000 ] || fail "outdated, and not since when"
[ "$(twin_state "$SCRATCH/twins/pause.img")" = outdated ] || fail "the twin does not say what it is worth"
compare "$SCRATCH/then.img" "$SCRATCH/twins/pause.img"
# Tracking goes on: what was written waits, and the twin is not said to be equal.
[ "$(job_field "$mnt" pause.img dirty-bytes)" -ge $((20 * 65536)) ] || fail "no dirty bytes"
command_ok resume "$mnt/pause.img"
wait_field "$mnt" pause.img dirty-bytes 0
complete_and_compare "$mnt" pause.img "$SCRATCH/source/pause.img" "$SCRATCH/twins/pause.img"

say "renamed in bulk, into another directory"
mkdir "$mnt/elsewhere"
new_job before.img speed=64K
mv "$mnt/before.img" "$mnt/elsewhere/after.img"
job=$(jq -r '.jobs[] | select(.images == ["elsewhere/after.img"] or .images == ["before.img"]) | .id' \
    "$mnt/.mirror/status.json")
[ -n "$job" ] || fail "the job was lost at a rename"
dd if=/dev/urandom of="$mnt/elsewhere/after.img" bs=64k count=20 conv=notrunc status=none
command_ok set "$mnt/elsewhere/after.img" speed=0
wait_ready "$mnt/elsewhere/after.img"
command_ok complete "$mnt/elsewhere/after.img" switch=off
wait_completed "$mnt/elsewhere/after.img"
compare "$SCRATCH/source/elsewhere/after.img" "$SCRATCH/twins/before.img"

say "deleted in bulk and in ready"
new_job gone1.img speed=64K
rm "$mnt/gone1.img"
wait_field "$mnt" gone1.img phase cancelled
[[ $(job_field "$mnt" gone1.img error) =~ delete|remove|unlink ]] || fail "no reason: gone1.img"
new_job gone2.img
wait_ready "$mnt/gone2.img"
rm "$mnt/gone2.img"
wait_field "$mnt" gone2.img phase cancelled
[[ $(job_field "$mnt" gone2.img error) =~ delete|remove|unlink ]] || fail "no reason: gone2.img"
[ -e "$SCRATCH/twins/gone2.img" ] || fail "the twin of a deleted image was not kept"
unmount_twinfs "$mnt"
