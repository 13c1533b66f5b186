#!/bin/bash
# Promise: an image may be written, truncated, grown, punched and zeroed at random while the copier
# runs; the twin becomes equal, and holes stay holes. A reference file gets the same operations.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

say "SEED=$SEED"
mkdir "$SCRATCH"/{source,mount,twins,reference}
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"

scenario() { # NAME SEED OPERATIONS MIRROR-OPTION…
    local name=$1 seed=$2 count=$3 worker allocated
    shift 3
    random_file "$SCRATCH/source/$name" 24M
    cp "$SCRATCH/source/$name" "$SCRATCH/reference/$name"
    start_mirror "$SCRATCH/mount/$name" target="$SCRATCH/twins" speed=4M "$@"
    python3 "$MOUNT_TESTS/churn.py" "$SCRATCH/mount/$name" "$SCRATCH/reference/$name" \
        "$seed" "$count" &
    worker=$!
    sleep 1 # some operations meet the slow copier, the others the fast one
    timeout "$LIMIT" twinfs set "$SCRATCH/mount/$name" speed=0
    wait $worker || fail "$name: churn (SEED=$seed)"
    wait_ready "$SCRATCH/mount/$name"
    python3 "$MOUNT_TESTS/churn.py" "$SCRATCH/mount/$name" "$SCRATCH/reference/$name" \
        $((seed + 1)) "$count" || fail "$name: churn in ready (SEED=$seed)"
    complete_and_compare "$SCRATCH/mount" "$name" "$SCRATCH/source/$name" "$SCRATCH/twins/$name"
    compare "$SCRATCH/reference/$name" "$SCRATCH/twins/$name"
    # Blocks of the twin: not far above the source's (1 MiB beside a tenth).
    allocated=$(stat -c %b "$SCRATCH/source/$name")
    [ "$(stat -c %b "$SCRATCH/twins/$name")" -le $((allocated + allocated / 10 + 2048)) ] ||
        fail "$name: the twin has lost its holes: $(du -k "$SCRATCH"/{source,twins}/"$name")"
    rm "$SCRATCH"/{source,twins,reference}/"$name"
}

scenario default.img "$SEED" 1500
scenario small.img $((SEED + 10)) 1500 granularity=512
scenario large.img $((SEED + 20)) 1500 granularity=1M
unmount_twinfs "$SCRATCH/mount"
