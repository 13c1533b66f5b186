#!/bin/bash
# What may not be done twice is not, and no call fails, however often the worker dies: every operation that makes
# or removes something, in several processes at once, under SIGKILLs at random moments.
# repeats.sh [KILLS [jobs]]
. "$(dirname "$(realpath "$0")")/lib.sh"
require python3 jq setfattr
[ "$(id -u)" = 0 ] || fail "needs root"
KILLS=${1:-50}
JOBS=${2:-}
WORKERS=4

mkdir "$SCRATCH/source" "$SCRATCH/mount" "$SCRATCH/state"
truncate -s 8M "$SCRATCH/source/disk.img"
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount" -o "statedir=$SCRATCH/state"

worker() { timeout 20 jq '."worker-pid"' "$SCRATCH/mount/.mirror/status.json"; }

seconds=$((KILLS / 4 + 2))
pids=()
for number in $(seq "$WORKERS"); do
    python3 "$MOUNT_TESTS/repeats.py" work "$SCRATCH/mount/$number" "$seconds" \
        >"$SCRATCH/out.$number" 2>&1 &
    pids+=($!)
done
python3 "$MOUNT_TESTS/repeats.py" control "$SCRATCH/mount" "$seconds" disk.img \
    "${JOBS:+$SCRATCH/twin.img}" >"$SCRATCH/out.control" 2>&1 &
pids+=($!)

python3 "$MOUNT_TESTS/repeats.py" hold "$SCRATCH/mount/hold" "$seconds" >"$SCRATCH/out.hold" 2>&1 &
pids+=($!)

# At random moments, and without asking the mount in between more than once.
say "seed $SEED"
RANDOM=$SEED
killed=0
while [ "$killed" -lt "$KILLS" ]; do
    kill -0 "${pids[0]}" 2>/dev/null || break
    sleep "0.$(printf %03d $((RANDOM % 200)))"
    pid=$(worker) || fail "the status is not answered"
    kill -KILL "$pid" 2>/dev/null && killed=$((killed + 1))
done
for pid in "${pids[@]}"; do
    timeout "$LIMIT" tail --pid="$pid" -f /dev/null || fail "an operation hangs"
    wait "$pid" || {
        tail -n 5 "$SCRATCH"/out.* >&2
        fail "an operation failed or was done twice (seed $SEED)"
    }
done
say "$killed kills; calls: $(cat "$SCRATCH"/out.* | paste -sd ' ')"
[ "$killed" -ge $((KILLS / 2)) ] || fail "too few kills"
# Nothing is left that keeps the mount: no handle that nobody has.
[ "$(jq '[.jobs[].opens] | add // 0' "$SCRATCH/mount/.mirror/status.json")" = 0 ] || fail "handles"
rmdir "$SCRATCH/mount/"[1-9]
rm -r "$SCRATCH/mount/hold"
unmount_twinfs "$SCRATCH/mount"
