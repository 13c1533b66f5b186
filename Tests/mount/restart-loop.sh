#!/bin/bash
# Promise: `twinfs restart` under load, again and again, costs the guest no error and leaks nothing: memory,
# descriptors and threads of keeper and worker are in the end what they were after the first restarts.
#
#   restart-loop.sh [SECONDS]    20 unless told; CAMPAIGN=full: ten minutes
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/deaths.sh
. "$MOUNT_TESTS/deaths.sh"

seconds=${1:-}
[ -n "$seconds" ] || { [ "${CAMPAIGN:-short}" = full ] && seconds=600 || seconds=20; }
mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm1.img GOAL=$SCRATCH/twins
# shellcheck source=Tests/mount/writing.sh
. "$MOUNT_TESTS/writing.sh"
random_file "$SCRATCH/source/vm1.img" 32M
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"
at_end() { touch "$SCRATCH/stop"; }
start_writer
start_job write-blocking

restarts=0 longest=0
restart() {
    local begun
    begun=$(date +%s%N)
    timeout "$LIMIT" twinfs restart "$mnt" >"$SCRATCH/said" || { cat "$SCRATCH/said" && fail "restart"; }
    begun=$((($(date +%s%N) - begun) / 1000000))
    [ $begun -le $longest ] || longest=$begun
    restarts=$((restarts + 1))
}

# What a process has: kilobytes (its own, and its part of the shared tables), descriptors, threads.
usage() { # PID
    local memory files threads
    memory=$(awk '/^Pss_(Anon|Shmem):/ { n += $2 } END { print n }' "/proc/$1/smaps_rollup")
    files=$(find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l)
    threads=$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)
    echo "$memory $files $threads"
}

settled() { sleep 1 && field_is "$mnt" vm1.img ready true; }

for _ in 1 2 3; do restart; done
eventually "$LIMIT" settled || fail "the job is not in ready"
keeper=$(keeper)
read -r keeper_memory keeper_files keeper_threads < <(usage "$keeper")
read -r worker_memory worker_files worker_threads < <(usage "$(worker)")
until=$((SECONDS + seconds))
while [ $SECONDS -lt $until ]; do
    guest_goes_on
    restart
done
eventually "$LIMIT" settled || fail "the job is not in ready"
[ "$(keeper)" = "$keeper" ] || fail "another keeper"
[ "$(generation)" = $((restarts + 1)) ] || fail "$restarts restarts, generation $(generation)"

compare_usage() { # WHO THEN NOW, each: MEMORY FILES THREADS
    say "$1: KiB, descriptors, threads after 3 restarts $2, after $restarts: $3"
    local memory files threads
    read -r memory files threads <<<"$2"
    # shellcheck disable=SC2086
    set -- "$1" $3
    # An allocator's habits; a leak of one page a restart is seen in ten minutes.
    [ "$2" -le $((memory + memory / 4 + 2048)) ] || fail "$1 has grown from $memory to $2 KiB"
    # Queues and lanes come and go with the load.
    [ "$3" -le $((files + 4)) ] || fail "$1 had $files descriptors, has $3"
    [ "$4" -le $((threads + 12)) ] || fail "$1 had $threads threads, has $4"
}
compare_usage keeper "$keeper_memory $keeper_files $keeper_threads" "$(usage "$keeper")"
compare_usage worker "$worker_memory $worker_files $worker_threads" "$(usage "$(worker)")"

stop_writer
expect_field "$mnt" vm1.img resumed worker
complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/twins/vm1.img"
unmount_twinfs "$mnt"
say "$restarts restarts, longest $longest ms; no error, no leak"
