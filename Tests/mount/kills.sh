#!/bin/bash
# Promise: a worker that is killed takes nothing from its guests and nothing from its jobs. Under SIGKILL at random
# instants, in bulk, in ready, in write-blocking, during switch-overs and during verify: no error, every byte
# read back as it was written (fio, from 512 bytes to 1 MiB: direct at depth 16, buffered, with an fsync after every fourth write), and in
# the end source and twin equal, though nothing was started anew. Says the longest stall that a guest saw.
#
#   kills.sh [KILLS]    so many kills in all; CAMPAIGN=full: 200
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/deaths.sh
. "$MOUNT_TESTS/deaths.sh"
require fio

all=${1:-}
[ -n "$all" ] || { [ "${CAMPAIGN:-short}" = full ] && all=200 || all=30; }
phases=(bulk ready write-blocking switch-over verify)
each=$(((all + ${#phases[@]} - 1) / ${#phases[@]}))
RANDOM=$((SEED % 32768))
say "SEED=$SEED, $each kills in each of ${phases[*]}"

mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm.img
home=$SCRATCH/source/vm.img twin=$SCRATCH/twins/vm.img
random_file "$home" 40M
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"
at_end() { touch "$SCRATCH/stop"; }

# ---- guests: three loads on a third of the image each, and the prober --------------------------------

fio_rounds() { # NAME OFFSET FIO-OPTION…
    local name=$1 offset=$2
    shift 2
    trap - EXIT
    until [ -e "$SCRATCH/stop" ]; do
        timeout "$LIMIT" fio --name="$name" --filename="$image" --offset="$offset" --size=12M \
            --rw=randwrite --bssplit=512/5:4k/50:16k/20:64k/13:256k/8:1m/4 --blockalign=4k \
            --verify=crc32c --verify_fatal=1 --continue_on_error=none --randseed=$RANDOM \
            --allow_file_create=0 "$@" >"$SCRATCH/fio.$name" 2>&1 ||
            { cat "$SCRATCH/fio.$name" && return 1; }
        echo . >>"$SCRATCH/rounds.$name"
    done
}

start_guests() {
    rm -f "$SCRATCH"/{stop,stall} "$SCRATCH"/rounds.*
    guests=()
    fio_rounds direct 1M --ioengine=libaio --direct=1 --iodepth=16 &
    guests+=($!)
    fio_rounds buffered 13M --ioengine=psync &
    guests+=($!)
    fio_rounds flushing 25M --ioengine=psync --fsync=4 &
    guests+=($!)
    python3 "$MOUNT_TESTS/prober.py" "$image" "$SCRATCH/stop" "$SCRATCH/stall" &
    guests+=($!)
}

all_have_written() {
    [ "$(cat "$SCRATCH"/rounds.* 2>/dev/null | wc -l)" -ge 3 ] && [ -e "$SCRATCH/rounds.flushing" ]
}

stop_guests() {
    local guest
    eventually "$LIMIT" all_have_written || fail "the guests do not get on"
    touch "$SCRATCH/stop"
    for guest in "${guests[@]}"; do wait "$guest" || fail "a guest saw an error"; done
}

# ---- what goes on in the meantime ------------------------------------------------------------------

busy=''
switching() { # there and back, until told
    trap - EXIT
    local target=$home
    until [ -e "$SCRATCH/enough" ]; do
        [ "$target" = "$home" ] && target=$twin || target=$home
        control "$mnt" "mirror vm.img target=$target existing=reuse max-pause=5000" || return 1
        timeout "$LIMIT" twinfs wait --for ready --timeout "$LIMIT" "$image" || return 1
        control "$mnt" "complete vm.img" || return 1
        timeout "$LIMIT" twinfs wait --for completed --timeout "$LIMIT" "$image" || return 1
        control "$mnt" "dismiss vm.img" || return 1
        echo . >>"$SCRATCH/switches"
    done
}

verifying() {
    trap - EXIT
    until [ -e "$SCRATCH/enough" ]; do
        # One that a kill has interrupted may be under way again.
        control "$mnt" "verify vm.img" | grep -qE '^ok|verified already' || return 1
        eventually "$LIMIT" field_is "$mnt" vm.img verifying false || return 1
        field_is "$mnt" vm.img mismatched-bytes '0|null' || return 1
    done
}

begin() { # PHASE
    rm -f "$SCRATCH/enough"
    case $1 in
    bulk) start_mirror "$image" target="$twin" speed=$((40 * 1024 / (each + 8)))K ;;
    ready) start_mirror "$image" target="$twin" copy-mode=background && wait_ready "$image" ;;
    write-blocking) start_mirror "$image" target="$twin" copy-mode=write-blocking && wait_ready "$image" ;;
    switch-over)
        switching >"$SCRATCH/busy" 2>&1 &
        busy=$!
        ;;
    verify)
        start_mirror "$image" target="$twin" && wait_ready "$image"
        verifying >"$SCRATCH/busy" 2>&1 &
        busy=$!
        ;;
    esac >/dev/null
}

finish_phase() { # PHASE
    touch "$SCRATCH/enough"
    if [ -n "$busy" ]; then
        wait $busy || { cat "$SCRATCH/busy" && fail "$1 was interrupted"; }
        busy=
    fi
    if [ "$1" = switch-over ]; then
        stop_guests
        say "$(wc -l <"$SCRATCH/switches") switch-overs"
        # Whichever serves, the guests have stopped: both are what the image is but for the time since the last one.
        local serving
        serving=$(jq -r '[.served[].twin] | last // empty' "$mnt/.mirror/status.json")
        cmp "$image" "${serving:-$home}" || fail "the image is not what serves it"
        go_home "$serving"
        rm -f "$twin"
        return
    fi
    timeout "$LIMIT" twinfs set "$image" speed=0
    wait_ready "$image" >/dev/null
    field_is "$mnt" vm.img resumed worker || fail "resumed is $(job_field "$mnt" vm.img resumed)"
    stop_guests
    timeout "$LIMIT" twinfs cancel "$image" >/dev/null
    wait_completed "$image" >/dev/null
    compare "$home" "$twin"
    timeout "$LIMIT" twinfs dismiss "$image" >/dev/null
    rm "$twin"
}

go_home() { # SERVING
    [ -n "$1" ] || return 0
    start_mirror "$image" target="$home" existing=reuse >/dev/null
    wait_ready "$image" >/dev/null
    timeout "$LIMIT" twinfs complete "$image" >/dev/null
    wait_completed "$image" >/dev/null
    compare "$home" "$twin"
    timeout "$LIMIT" twinfs dismiss "$image" >/dev/null
}

longest=0
for phase in "${phases[@]}"; do
    begun=$SECONDS
    start_guests
    begin "$phase"
    for ((number = 0; number < each; number++)); do
        random_pause 1000
        kill_worker KILL
        [ "$phase" != bulk ] || expect_field "$mnt" vm.img phase 'bulk|resuming'
    done
    finish_phase "$phase"
    read -r stall rounds <"$SCRATCH/stall"
    [ "$stall" -le "$longest" ] || longest=$stall
    say "$phase: $each kills in $((SECONDS - begun)) s, longest stall $stall ms of $rounds probes"
done
[ "$(generation)" = $((kills + 1)) ] || fail "$kills kills, generation $(generation)"
unmount_twinfs "$mnt"
say "$kills kills, no error, nothing lost; longest stall $longest ms"
