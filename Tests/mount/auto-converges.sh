#!/bin/bash
# Promise: a guest that writes faster than the target takes still gets to ready and to its cut, every time:
# copy-mode=auto, which is the default, forwards when what remains has stopped to shrink. The twin is
# exactly what the image was after one of the guest's writes.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require nbdkit

say "SEED=$SEED"
slots=4
rounds=5 # of each slot: twenty in all
size=32M
mkdir "$SCRATCH"/{source,mount}
mnt=$SCRATCH/mount
servers=()

for ((slot = 0; slot < slots; slot++)); do
    truncate -s $size "$SCRATCH/source/$slot.img" "$SCRATCH/twin$slot"
    # 32 MiB a second (the rate is in bits), with hardly anything saved up.
    nbdkit -f -U "$SCRATCH/socket$slot" --filter=rate file "$SCRATCH/twin$slot" rate=256M \
        burstiness=0.1 &
    servers+=($!)
    eventually 20 test -S "$SCRATCH/socket$slot" || fail "nbdkit"
done
mount_twinfs "$SCRATCH/source" "$mnt"

round() { # SLOT SEED
    local image=$mnt/$1.img twin=$SCRATCH/twin$1 report=$SCRATCH/report$1 writer
    rm -f "$report"
    python3 "$MOUNT_TESTS/numbered.py" write "$image" "$2" "$report" &
    writer=$!
    eventually "$LIMIT" test -e "$report" || fail "the guest does not write"
    start_mirror "$image" "target=nbd+unix:///?socket=$SCRATCH/socket$1"
    wait_ready "$image"
    timeout "$LIMIT" twinfs complete "$image" switch=off
    wait_completed "$image"
    expect_field "$mnt" "$1.img" error null
    kill -0 $writer || fail "the guest has ended"
    say "$1: $(job_field "$mnt" "$1.img" copied-bytes) bytes copied, cut after write" \
        "$(python3 "$MOUNT_TESTS/numbered.py" check "$twin" "$2" || echo WRONG)," \
        "held for $(job_field "$mnt" "$1.img" last-pause-us) us"
    python3 "$MOUNT_TESTS/numbered.py" check "$twin" "$2" >/dev/null || fail "the twin of $1.img"
    kill -TERM $writer
    wait $writer || fail "the guest saw an error"
    python3 "$MOUNT_TESTS/numbered.py" check "$SCRATCH/source/$1.img" "$2" >/dev/null ||
        fail "the source of $1.img"
    # Ten times max-pause: only a hold that is not lifted gets there.
    [ "$(job_field "$mnt" "$1.img" last-pause-us)" -lt 3000000 ] || fail "the guest was held too long"
    timeout "$LIMIT" twinfs dismiss "$image"
}

slot() { # SLOT
    local number
    trap - EXIT
    for ((number = 0; number < rounds; number++)); do
        round "$1" $((SEED + 100 * number + $1))
    done
}

pids=()
for ((index = 0; index < slots; index++)); do
    slot $index &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "a job has not converged, or not well"; done
unmount_twinfs "$mnt"
kill "${servers[@]}"
wait "${servers[@]}" || true
