#!/bin/bash
# Promise: whatever error the target answers, in bulk, in ready and in write-blocking, the guest never sees
# it. The status says it in words; `resume` goes on from there; with `report` the job alone fails; with
# `ignore` it goes on by itself, and stops after max-retries.
#
# Calls of the unmodified daemon on the twin fail (strace -P), and no others.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/writing.sh
. "$MOUNT_TESTS/writing.sh"
require strace

mkdir "$SCRATCH"/{source,mount,target}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm1.img twin=$SCRATCH/target/vm1.img
random_file "$SCRATCH/source/vm1.img" 24M
mount_twinfs "$SCRATCH/source" "$mnt"
daemon=$(jq -r '."worker-pid"' "$mnt/.mirror/status.json")
GOAL=$SCRATCH/target
tracer=''
at_end() {
    touch "$SCRATCH/stop"
    [ -z "$tracer" ] || kill "$tracer" || true
}

break_twin() { # ERRNO: from here on every change of the twin fails with it
    local calls=pwrite64,fallocate,ftruncate,fsync,fdatasync
    strace -f -qq -o /dev/null -P "$twin" -P "$twin.partial" -e trace=$calls \
        -e inject=$calls:error="$1" -p "$daemon" &
    tracer=$!
    eventually 20 is_traced || fail "strace does not attach"
}

is_traced() { # every thread of the daemon
    ! grep -qh '^TracerPid:.0$' /proc/"$daemon"/task/*/status 2>/dev/null
}

mend_twin() {
    kill "$tracer"
    wait "$tracer" || true
    tracer=
}

finish_job() {
    stop_writer
    complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$twin"
    timeout "$LIMIT" twinfs dismiss "$image"
    rm "$twin"
}

# ---- stop, and resume ----------------------------------------------------------------------------

stopped_and_resumed() { # ERRNO WORD PHASE
    say "$1 in $3, on-target-error=stop"
    start_writer
    start_job "$3" on-target-error=stop
    break_twin "$1"
    wait_field "$mnt" vm1.img paused true
    guest_goes_on
    expect_field "$mnt" vm1.img io-status "$2"
    local words
    words=$(job_field "$mnt" vm1.img error)
    [[ $words == *vm1.img* && $words == *"twinfs resume"* ]] || fail "error does not help: $words"
    grep -q "twinfs resume" "$mnt/.mirror/status" || fail "the status does not say what to do"
    # Too early: it stops again.
    timeout "$LIMIT" twinfs resume "$image"
    wait_field "$mnt" vm1.img paused true
    guest_goes_on
    mend_twin
    timeout "$LIMIT" twinfs set "$image" speed=0
    timeout "$LIMIT" twinfs resume "$image"
    wait_ready "$image"
    guest_goes_on
    finish_job
}

for phase in bulk ready write-blocking; do stopped_and_resumed EIO failed "$phase"; done
stopped_and_resumed ENOSPC nospace write-blocking
stopped_and_resumed EDQUOT nospace ready
stopped_and_resumed EROFS failed bulk

# ---- report --------------------------------------------------------------------------------------

for phase in bulk ready write-blocking; do
    say "EIO in $phase, on-target-error=report"
    start_writer
    start_job "$phase" on-target-error=report
    break_twin EIO
    wait_field "$mnt" vm1.img phase failed
    guest_goes_on
    expect_field "$mnt" vm1.img target-state inconsistent
    expect_field "$mnt" vm1.img error '.*vm1.img.*'
    mend_twin
    stop_writer
    timeout "$LIMIT" twinfs dismiss "$image"
    rm -f "$twin" "$twin.partial"
done

# ---- ignore --------------------------------------------------------------------------------------

for phase in bulk ready write-blocking; do
    say "EIO in $phase, on-target-error=ignore"
    start_writer
    start_job "$phase" on-target-error=ignore max-retries=1000
    lines=$(wc -l <"$mnt/.mirror/events")
    break_twin EIO
    eventually "$LIMIT" grep -q '"BLOCK_JOB_ERROR"' <(events_since "$lines") || true
    wait_field "$mnt" vm1.img io-status failed
    guest_goes_on
    mend_twin
    said=$(events_since "$lines" | grep '"BLOCK_JOB_ERROR"') || fail "no error was told"
    [[ $said == *'"ignore"'* ]] || fail "no word of it"
    timeout "$LIMIT" twinfs set "$image" speed=0
    wait_ready "$image"
    wait_field "$mnt" vm1.img io-status ok
    expect_field "$mnt" vm1.img error null
    finish_job
done

say "EIO for ever, on-target-error=ignore max-retries=3"
start_writer
start_job ready on-target-error=ignore max-retries=3
lines=$(wc -l <"$mnt/.mirror/events")
break_twin EIO
wait_field "$mnt" vm1.img paused true
guest_goes_on
events_since "$lines" | grep '"BLOCK_JOB_ERROR"' >"$SCRATCH/errors"
[ "$(grep -c '"ignore"' "$SCRATCH/errors")" = 3 ] || fail "not three retries: $(cat "$SCRATCH/errors")"
tail -n 1 "$SCRATCH/errors" | grep -q '"stop"' || fail "it did not end in stop"
mend_twin
timeout "$LIMIT" twinfs resume "$image"
wait_ready "$image"
finish_job

unmount_twinfs "$mnt"
