#!/bin/bash
# Promise: a power cut at any instant loses nothing that a guest had flushed, and no job: after the next boot it is
# resumed, copies less than the whole image, and source and twin are equal at its end. Without the
# write-intent log that is not so, and this test would notice.
#
#   power-cuts.sh [RUNS CUTS]    so many runs, so many cuts of each; CAMPAIGN=full for 200 and more
#
# Method: source, target and state directory are ext4 on a disk each, of one recorder (recorder.py), which keeps all
# writes and flushes of the three in one order. One run under load gives many cuts: the disks as they were after a
# random write. That is honest, because a cut keeps of a disk what it was told to flush before that instant,
# and of the rest any 4 KiB pieces, in any order, chosen by chance; the three disks lose independently of each other and
# at one instant; the filesystems see the very requests that the kernel made, recover by their own journals, and
# the next mount runs as another boot (power-cut.sh). What the guest must find again is written down outside, with
# the length of the record when each of its flushes was answered.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require nbdfuse mkfs.ext4 losetup unshare fsck.ext4

runs=1 cuts=3 scenarios=(ready bulk switch-over)
[ "${CAMPAIGN:-short}" != full ] || { runs=4 && cuts=13 && scenarios+=(write-blocking); }
[ $# = 0 ] || { runs=$1 && cuts=$2 && scenarios+=(write-blocking); }
[ -z "${SCENARIOS:-}" ] || read -ra scenarios <<<"$SCENARIOS"
say "SEED=$SEED, $runs runs of each of ${scenarios[*]}, $cuts cuts of each run"

image_size=$((48 << 20))
declare -A sizes=([source]=$((80 << 20)) [target]=$((80 << 20)) [state]=$((16 << 20)))
mnt=$SCRATCH/mount
recorder='' fuses=()

at_end() {
    touch "$SCRATCH/stop"
    stop_disks
}

start_disks() {
    local disk exports=()
    mkdir -p "$SCRATCH"/{source,target,state,mount,disks,devices}
    rm -f "$SCRATCH"/{stop,socket,journal} "$SCRATCH"/log.*
    for disk in source target state; do exports+=("$disk=${sizes[$disk]}"); done
    python3 "$MOUNT_TESTS/recorder.py" "$SCRATCH/socket" "$SCRATCH/journal" "${exports[@]}" &
    recorder=$!
    eventually 20 test -S "$SCRATCH/socket" || fail "no recorder"
    for disk in source target state; do
        touch "$SCRATCH/devices/$disk"
        nbdfuse "$SCRATCH/devices/$disk" "nbd+unix:///$disk?socket=$SCRATCH/socket" &
        fuses+=($!)
        eventually 20 test -s "$SCRATCH/devices/$disk" || fail "no $disk"
        mkfs.ext4 -q -F -b 4096 "$SCRATCH/devices/$disk"
        mount -o loop "$SCRATCH/devices/$disk" "$SCRATCH/$disk"
    done
}

stop_disks() {
    local disk
    [ -n "$recorder" ] || return 0
    for disk in source target state; do
        umount "$SCRATCH/$disk" || true
        umount "$SCRATCH/devices/$disk" || true
    done
    kill "$recorder" || true
    wait "$recorder" "${fuses[@]}" 2>/dev/null || true
    recorder='' fuses=()
}

instant() { stat -c %s "$SCRATCH/journal"; }

start_writers() {
    local index begin
    # They leave parts of the image alone, which a job that is resumed does not copy.
    for index in 0 1 2; do
        begin=$((index * 17 << 20))
        python3 "$MOUNT_TESTS/cut-writer.py" write "$mnt/vm.img" "$SCRATCH/journal" \
            "$SCRATCH/log.$index" "$SCRATCH/stop" $begin $((begin + (5 << 20))) &
        writers+=($!)
    done
    eventually 30 test -s "$SCRATCH/log.2" || fail "the guests do not write"
}

stop_writers() {
    touch "$SCRATCH/stop"
    local writer
    for writer in "${writers[@]}"; do wait "$writer" || fail "a guest saw an error"; done
    writers=()
}

there_and_back() {
    timeout "$LIMIT" twinfs complete "$mnt/vm.img"
    wait_completed "$mnt/vm.img"
    sleep 1
    start_mirror "$mnt/vm.img" target="$SCRATCH/source/vm.img" existing=reuse
    wait_ready "$mnt/vm.img"
    # In the full form long enough for the log of the way back to forget something too.
    sleep $((runs > 1 ? 7 : 1))
    timeout "$LIMIT" twinfs complete "$mnt/vm.img"
    wait_completed "$mnt/vm.img"
}

record() { # SCENARIO: sets `from` and `to`, the instants between which may be cut
    start_disks
    random_file "$SCRATCH/source/vm.img" $image_size
    sync "$SCRATCH/source/vm.img"
    cp "$SCRATCH/source/vm.img" "$SCRATCH/base"
    mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state/twinfs"
    local options=()
    case $1 in
    bulk) options=(speed=4M) ;;
    write-blocking) options=(copy-mode=write-blocking) ;;
    esac
    start_mirror "$mnt/vm.img" target="$SCRATCH/target" "${options[@]}"
    [ "$1" = bulk ] || wait_ready "$mnt/vm.img"
    # The log forgets what is equal and durable every five seconds; it is not in a hurry to tell the disk, which
    # hears of it sooner where others sync. From here on a log that is not kept speaks for itself.
    sleep 7
    sync --file-system "$SCRATCH/state"
    from=$(instant)
    writers=()
    start_writers
    case $1 in
    switch-over)
        sleep 1
        there_and_back
        sleep 1
        ;;
    *) sleep "${SECONDS_OF_LOAD:-4}" ;;
    esac
    stop_writers
    to=$(instant)
    unmount_twinfs "$mnt"
    stop_disks
}

# Cuts the record at random instants and boots each; adds to the totals.
replay() { # SCENARIO
    python3 - "$SCRATCH" "$from" "$to" "$cuts" $((SEED + number)) "$MOUNT_TESTS" <<'PYTHON' >"$SCRATCH/cuts"
import random, sys
chance = random.Random(int(sys.argv[5]))
print(*sorted(chance.randrange(int(sys.argv[2]), int(sys.argv[3])) for _ in range(int(sys.argv[4]))))
PYTHON
    local cut
    # shellcheck disable=SC2013
    for cut in $(cat "$SCRATCH/cuts"); do
        number=$((number + 1))
        one_cut "$1" "$cut"
    done
}

one_cut() { # SCENARIO CUT
    local lost uptime result=''
    lost=$(python3 - "$cut" $((SEED + number)) <<PYTHON
import sys
sys.path.insert(0, "$MOUNT_TESTS")
from recorder import Replay
replay = Replay("$SCRATCH/journal", {"source": ${sizes[source]}, "target": ${sizes[target]}, "state": ${sizes[state]}})
replay.advance(int(sys.argv[1]))
print(replay.cut(int(sys.argv[2]), "$SCRATCH/disks"))
PYTHON
    )
    uptime=$(cut -d. -f1 /proc/uptime)
    if ! unshare -m -T --boottime -$((uptime - 1)) bash "$MOUNT_TESTS/power-cut.sh" "$SCRATCH" "$2" \
        >"$SCRATCH/result" 2>&1; then
        cat "$SCRATCH/result"
        fail "$1, cut $number at $2 ($lost pieces lost)"
    fi
    result=$(grep '^RESULT' "$SCRATCH/result")
    say "$1, cut $number at $2, $lost pieces lost: ${result#RESULT }"
    judge "$1" "$result"
}

value() { grep -o "$2=[^ ]*" <<<"$1" | cut -d= -f2; }

wrong() {
    cat "$SCRATCH/result"
    fail "$1"
}

judge() { # SCENARIO RESULT
    local resumed was copied equal
    resumed=$(value "$2" resumed) was=$(value "$2" was)
    copied=$(value "$2" copied) equal=$(value "$2" equal)
    words[$resumed]=$((${words[$resumed]:-0} + 1))
    if [ "$equal" = no ]; then
        diverged=$((diverged + 1))
        [ "$unsafe" = 1 ] || wrong "source and twin differ"
    fi
    [ "$unsafe" = 0 ] || return 0
    case $resumed in
    intent | clean)
        total=$((total + copied))
        whole=$((whole + image_size))
        # One that was not ready yet may have had nothing behind it.
        [ "$was" != ready ] || [ "$copied" -lt $image_size ] || wrong "all of the image was copied"
        ;;
    none) [ "$1" = switch-over ] || wrong "the job is lost" ;;
    # A job that had just begun has everything before it.
    compare) [ "$1" = switch-over ] || wrong "the intents were not believed" ;;
    *) wrong "resumed=$resumed" ;;
    esac
}

campaign() { # SCENARIO…
    local scenario run
    declare -gA words=()
    number=0 diverged=0 total=0 whole=0
    for run in $(seq "$runs"); do
        for scenario in "$@"; do
            say "run $run, $scenario"
            record "$scenario"
            replay "$scenario"
        done
    done
    for scenario in "${!words[@]}"; do say "resumed=$scenario: ${words[$scenario]}"; done
}

unsafe=0
campaign "${scenarios[@]}"
[ "$whole" -gt 0 ] || fail "no job was resumed"
[ "$total" -lt "$whole" ] || fail "resumed jobs copied all"
say "$number cuts, nothing lost, every twin equal; resumed jobs copied $((100 * total / whole)) % of their images"

# The same with a log that accepts everything and keeps nothing: it must be found out.
unsafe=1
export TWINFS_UNSAFE_NO_INTENT=1
runs=1
campaign ready
say "without intents: $diverged of $number cuts left a twin that differs"
[ "$diverged" -gt 0 ] || fail "this test finds no divergence without intents either"
