#!/bin/bash
# Promise: hundreds of jobs in one mount all become ready, and come back after the worker's death and with the
# next mount; each costs little memory and, while nobody writes, no processor; when they are over nothing is
# left of them. Jobs never take the last descriptors from guests.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/deaths.sh
. "$MOUNT_TESTS/deaths.sh"

count=200
mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount

# Changes each file of a folder: 4 KiB at a place and with a content that follow from the file and the round.
change_all() { # FOLDER ROUND
    python3 - "$@" $count <<'PYTHON'
import os, random, sys
folder, round, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    rng = random.Random(round * count + number)
    with open(f"{folder}/{number}.img", "r+b" if round else "wb", buffering=0) as file:
        if round == 0:
            file.truncate(1 << 20)
        os.pwrite(file.fileno(), rng.randbytes(4096), rng.randrange(255) * 4096)
PYTHON
}

# One line of `control` for each image; @ stands for its number.
tell_all() { # LINE
    python3 - "$mnt/.mirror/control" "$1" $count <<'PYTHON' || fail "$1"
import os, sys
control = os.open(sys.argv[1], os.O_RDWR)
for number in range(int(sys.argv[3])):
    os.write(control, sys.argv[2].replace("@", str(number)).encode())
PYTHON
}

jobs_with() { # JQ-CONDITION: how many
    timeout "$LIMIT" jq "[.jobs[] | select($1)] | length" "$mnt/.mirror/status.json"
}
all_are() { [ "$(jobs_with "$1")" = $count ]; } # JQ-CONDITION
expect_all() { # JQ-CONDITION
    eventually "$LIMIT" all_are "$1" ||
        fail "$(jobs_with "$1") of $count jobs: $1; $(jq -c '[.jobs[].error | select(.)][:3]' "$mnt/.mirror/status.json")"
}
in_sync='.ready and ."dirty-bytes" == 0 and ."in-flight-bytes" == 0 and .error == null'

memory() { awk '/^Pss_(Anon|Shmem):/ { n += $2 } END { print n }' "/proc/$(worker)/smaps_rollup"; }
# Entries of a folder of /proc; they come and go.
entries() { { find "$1" -mindepth 1 -maxdepth 1 2>/dev/null || true; } | wc -l; }
descriptors() { entries "/proc/$1/fd"; } # PID
threads() { entries "/proc/$1/task"; }   # PID

within_memory() { # WHEN
    local now
    now=$(memory)
    say "$1: $(((now - empty) / count)) KiB a job, $(threads "$(worker)") threads, $(descriptors "$(worker)") descriptors"
    # Measured apart 150 to 200; with room for stacks and buffers of threads that still rest from the load.
    [ $((now - empty)) -le $((384 * count)) ] || fail "$1: memory has grown from $empty to $now KiB"
}

switches() { # PID: of all threads
    cat "/proc/$1"/task/*/status 2>/dev/null | awk '/ctxt_switches/ { n += $2 } END { print n }'
}
# Nobody looks at the status meanwhile. A job that looks around once a second would be seen $count times.
is_quiet() {
    local pid before
    pid=$(worker)
    before=$(switches "$pid")
    sleep 2
    [ $(($(switches "$pid") - before)) -lt $((count / 3)) ]
}

few_threads() { [ "$(threads "$(worker)")" -le $((first_threads + 40)) ]; }
as_before() { [ "$(descriptors "$(worker)")" -le $((first_worker + 4)) ] && [ "$(descriptors "$keeper")" -le $((first_keeper + 4)) ]; }

change_all "$SCRATCH/source" 0
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"
change_all "$mnt" 1
keeper=$(keeper)
empty=$(memory) first_threads=$(threads "$(worker)")
first_worker=$(descriptors "$(worker)") first_keeper=$(descriptors "$keeper")

say "$count jobs"
tell_all "mirror @.img target=$SCRATCH/twins/"
expect_all "$in_sync"
change_all "$mnt" 2
expect_all "$in_sync"
eventually "$LIMIT" is_quiet || fail "ready jobs keep the worker busy while nobody writes"
within_memory "in ready"
worker_files=$(descriptors "$(worker)") keeper_files=$(descriptors "$keeper")

say "the worker dies"
for round in 3 4 5; do
    kill_worker KILL
    change_all "$mnt" "$round"
    expect_all "$in_sync and .resumed == \"worker\""
done
within_memory "after the worker's death"
[ "$(descriptors "$(worker)")" -le $((worker_files + 4)) ] ||
    fail "the worker had $worker_files descriptors, has $(descriptors "$(worker)")"
[ "$(descriptors "$keeper")" -le $((keeper_files + 4)) ] ||
    fail "the keeper had $keeper_files descriptors, has $(descriptors "$keeper")"
eventually "$LIMIT" few_threads || fail "$first_threads threads have become $(threads "$(worker)")"

say "the next mount"
unmount_twinfs "$mnt"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"
keeper=$(keeper)
expect_all "$in_sync and .resumed == \"clean\""
change_all "$mnt" 6
tell_all "complete @.img switch=off"
expect_all '.phase == "completed" and .error == null'
for ((number = 0; number < count; number++)); do
    compare "$SCRATCH/source/$number.img" "$SCRATCH/twins/$number.img"
done

say "nothing is left of them"
tell_all "dismiss @.img"
eventually "$LIMIT" as_before ||
    fail "descriptors of worker and keeper: $(descriptors "$(worker)") $(descriptors "$keeper"), $first_worker $first_keeper without jobs"
[ "$(jobs_with true)" = 0 ] || fail "there are jobs"
[ -z "$(find "$SCRATCH/state" -name '*-*-*' -type f)" ] || fail "in the state directory: $(ls "$SCRATCH/state")"
unmount_twinfs "$mnt"

say "few descriptors"
(ulimit -n 512 && mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/few")
MOUNTS+=("$mnt")
for ((number = 0; number < count; number++)); do
    control "$mnt" "mirror $number.img target=$SCRATCH/few-twins/" >"$SCRATCH/said" || break
done
grep -q 'may have 512 open files' "$SCRATCH/said" || fail "job $number: $(cat "$SCRATCH/said")"
say "refused after $number jobs, with $(descriptors "$(worker)") descriptors"
[ "$number" -ge 20 ] || fail "too early"
python3 - "$mnt" <<'PYTHON' || fail "a guest cannot open its image beside $number jobs"
import os, sys
handles = [os.open(f"{sys.argv[1]}/{number}.img", os.O_RDWR) for number in range(5)]
assert all(os.pwrite(handle, b"x" * 4096, 0) == 4096 for handle in handles)
PYTHON
[ ! -e "$SCRATCH/few-twins/$number.img" ] || fail "what was refused has left a twin"
unmount_twinfs "$mnt"
