#!/bin/bash
# Promise: when the keeper dies the worker goes on serving and starts another one, which then starts another
# worker when that dies, and ends with the mount.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/processes.sh
. "$MOUNT_TESTS/processes.sh"
require ps

mkdir "$SCRATCH"/{source,mount}
mnt=$SCRATCH/mount
mount_twinfs "$SCRATCH/source" "$mnt" -o "log=$SCRATCH/log"
start_holder "$SCRATCH/source" "$mnt"

generation=1
for round in 1 2 3; do
    keeper=$(process_field "$mnt" keeper-pid)
    worker=$(process_field "$mnt" worker-pid)
    say "round $round: keeper $keeper, then worker $worker"
    kill -KILL "$keeper"
    eventually "$LIMIT" keeper_is_not "$mnt" "$keeper" || fail "no new keeper"
    [ "$(process_field "$mnt" worker-pid)" = "$worker" ] || fail "the worker did not go on"
    grep -q TWINFS_KEEPER_RESTARTED "$mnt/.mirror/events" || fail "no event"
    # The worker that this keeper has adopted, and then one of its own.
    for signal in KILL SEGV; do
        kill_process $signal "$mnt" worker-pid
        generation=$((generation + 1))
        wait_generation "$mnt" $generation
    done
done
! grep -q 'no keeper' "$mnt/.mirror/status" || fail "the status warns without reason"

say "the keeper hangs when the worker dies"
keeper=$(process_field "$mnt" keeper-pid)
kill -STOP "$keeper"
kill_process KILL "$mnt" worker-pid
kill -CONT "$keeper"
wait_generation "$mnt" $((generation + 1))

end_holder
cmp "$mnt/after.img" "$SCRATCH/source/after.img"
unmount_twinfs "$mnt"
