#!/bin/bash
# Promise: whichever way the worker dies, guests see a delay and no error: open files, renamed and deleted
# ones too. A worker that dies again and again is started with growing pauses, and an upgrade that does not
# start, or hangs, is given up for the program that ran before, as worker and as keeper.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/processes.sh
. "$MOUNT_TESTS/processes.sh"
require ps

mkdir "$SCRATCH"/{source,mount,bin}
program=$SCRATCH/bin/twinfs
cp "$(command -v twinfs)" "$program"
mnt=$SCRATCH/mount
log=$SCRATCH/log
export PATH="$SCRATCH/bin:$PATH"
no_keeper_warning() { ! grep -q 'no keeper' "$mnt/.mirror/status"; }
TWINFS_READY_LIMIT=3000 mount_twinfs "$SCRATCH/source" "$mnt" -o "log=$log"
keeper=$(process_field "$mnt" keeper-pid)
start_holder "$SCRATCH/source" "$mnt"

say "killed by SIGKILL, SIGSEGV, SIGABRT, SIGKILL"
generation=1
for signal in KILL SEGV ABRT KILL; do
    kill_process $signal "$mnt" worker-pid
    generation=$((generation + 1))
    wait_generation "$mnt" $generation
    grep -q "\"reason\":\"was killed by SIG$signal\"" "$mnt/.mirror/events" ||
        fail "no event for SIG$signal: $(cat "$mnt/.mirror/events")"
done
[ "$(process_field "$mnt" keeper-pid)" = "$keeper" ] || fail "another keeper"

say "a planned restart"
timeout "$LIMIT" twinfs restart "$mnt/kept.img" || fail "restart"
generation=$((generation + 1))
wait_generation "$mnt" $generation
expect_error any 'restart' control "$mnt" 'restart now'

say "a loop of deaths"
for _ in 1 2 3; do
    kill_process SEGV "$mnt" worker-pid
    generation=$((generation + 1))
    wait_generation "$mnt" $generation
done
for pause in 100 200 400; do
    grep -q "was killed by SIGSEGV; starting another one in $pause ms" "$log" ||
        fail "no pause of $pause ms"
done
grep -q 'warning: the worker has died 3 times' "$mnt/.mirror/status" || fail "no warning in the status"

say "an upgrade that does not start"
# Not overwritten: the old file runs.
rm "$program"
printf '#!/bin/sh\nexit 3\n' >"$program"
chmod 755 "$program"
kill_process KILL "$mnt" worker-pid
wait_generation "$mnt" $((generation + 3))
grep -q 'ended with exit code 3' "$log" || fail "the new program was not tried"
worker=$(process_field "$mnt" worker-pid)
[ "$(readlink "/proc/$worker/exe")" = "$program (deleted)" ] || fail "not the program that ran before"

say "an upgrade that hangs before it serves"
printf '#!/bin/sh\nexec sleep 1000\n' >"$program"
kill_process KILL "$mnt" worker-pid
wait_generation "$mnt" $((generation + 6))
[ "$(grep -c 'did not get ready within .*; starting' "$log")" = 2 ] || fail "not ended twice for being late"

say "an upgrade that is no keeper"
printf '#!/bin/sh\nexit 3\n' >"$program"
worker=$(process_field "$mnt" worker-pid)
kill_process KILL "$mnt" keeper-pid
eventually "$LIMIT" keeper_is_not "$mnt" "$keeper" || fail "no new keeper"
[ "$(readlink "/proc/$(process_field "$mnt" keeper-pid)/exe")" = "$program (deleted)" ] ||
    fail "not the program that ran before"
ps --ppid "$worker" -o stat= >"$SCRATCH/states" || true # there may be no child
! grep Z "$SCRATCH/states" || fail "a dead keeper was not reaped"
eventually "$LIMIT" no_keeper_warning || fail "the status warns of no keeper"

end_holder
rm "$program"
cmp "$mnt/after.img" "$SCRATCH/source/after.img"
unmount_twinfs "$mnt"
