#!/bin/bash
# Promise: while a request thread reads or writes an image it allocates nothing, counts no reference and takes no lock,
# with and without a job that tracks; in write-blocking it does so within bounds (docs/benchmark.md).
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require cc fio

requests=20000
kinds=(requests allocations references locks futexes)
mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount counts=$SCRATCH/counts
cc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$SCRATCH/hot-path.so" "$MOUNT_TESTS/hot-path.c"
truncate -s 1M "$counts"
random_file "$SCRATCH/source/vm1.img" 64M
LD_PRELOAD=$SCRATCH/hot-path.so HOT_PATH_COUNTS=$counts mount_twinfs "$SCRATCH/source" "$mnt"

guest() { # RW
    fio --name=guest --filename="$mnt/vm1.img" --rw="$1" --bs=4k --iodepth=16 --ioengine=libaio --direct=1 \
        --size=64M --io_size=$((requests * 4))K --norandommap --minimal >/dev/null || fail "fio"
}

counted() { # CLASS: all kinds since the mount
    python3 - "$counts" "$1" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
classes, kinds = ["reads", "writes", "others"], 5
total = [0] * kinds
for thread in range(struct.unpack_from("Q", data)[0]):
    place = 8 * (1 + (thread * len(classes) + classes.index(sys.argv[2])) * kinds)
    total = [a + b for a, b in zip(total, struct.unpack_from(f"{kinds}Q", data, place))]
print(*total)
PYTHON
}

# Counts what the guest's requests come to, the first such run left out: pages of marks and intents are made then.
cost() { # CLASS RW: sets cost
    local before after kind
    guest "$2"
    read -ra before <<<"$(counted "$1")"
    guest "$2"
    read -ra after <<<"$(counted "$1")"
    cost=()
    for kind in "${!kinds[@]}"; do cost+=($((after[kind] - before[kind]))); done
    # What a thread does last is counted when it comes for the next request.
    [ "${cost[0]}" -ge $((requests - 100)) ] || fail "only ${cost[0]} $1 were counted"
}

too_much=
expect() { # WHAT CLASS RW HUNDREDTHS…: at most so many per request, of allocations, references, locks, futexes
    local what=$1 class=$2 rw=$3 kind over try text=
    local most=(0 "${@:4}")
    # Threads that are started for slow requests, at most 64, cost some once. What each request costs comes again.
    for try in 1 2 3; do
        cost "$class" "$rw"
        over=
        for kind in 1 2 3 4; do
            [ $((cost[kind] * 100)) -lt $((most[kind] * cost[0])) ] || over+=" $what: ${kinds[kind]};"
        done
        [ -n "$over" ] || break
        say "pass $try is over in$over"
    done
    too_much+=$over
    for kind in 1 2 3 4; do
        text+=" $(awk "BEGIN { printf \"%.4f\", ${cost[kind]} / ${cost[0]} }") ${kinds[kind]},"
    done
    say "$what, per request:$text ${cost[0]} requests"
}

# A kind that is never seen is not counted at all: look-ups do all that reads and writes do not.
for kind in 1 2 3; do
    read -ra others <<<"$(counted others)"
    [ "${others[kind]}" -gt 0 ] || fail "${kinds[kind]} are not counted"
done

# Less than a hundredth is the end of a file that was not known before.
none=(1 1 1 1)
expect "write without a job" writes randwrite "${none[@]}"
expect "read without a job" reads randread "${none[@]}"
start_mirror "$mnt/vm1.img" target="$SCRATCH/twins"
wait_ready "$mnt/vm1.img"
expect "write in ready" writes randwrite "${none[@]}"
expect "read in ready" reads randread "${none[@]}"
timeout "$LIMIT" twinfs pause "$mnt/vm1.img"
expect "write, tracked only" writes randwrite "${none[@]}"
expect "read, tracked only" reads randread "${none[@]}"
timeout "$LIMIT" twinfs resume "$mnt/vm1.img"
timeout "$LIMIT" twinfs set "$mnt/vm1.img" copy-mode=write-blocking
wait_field "$mnt" vm1.img copy-mode write-blocking
expect "write in write-blocking" writes randwrite 1200 12000 800 300
[ -z "$too_much" ] || fail "too much in${too_much%;}"

complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/twins/vm1.img"
unmount_twinfs "$mnt"
