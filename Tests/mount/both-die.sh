#!/bin/bash
# Promise: keeper and worker killed together end the mount, and nothing else. When it was mounted anew everything that was
# acknowledged is there, jobs are resumed in their phase by the write-intent log, copy much less than the
# image, and end with an equal twin; an image is served by the file that has all, before and after a switch-over.
#
#   both-die.sh [ROUNDS]    one in each phase unless told; CAMPAIGN=full: 40
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/deaths.sh
. "$MOUNT_TESTS/deaths.sh"

rounds=${1:-}
[ -n "$rounds" ] || { [ "${CAMPAIGN:-short}" = full ] && rounds=40 || rounds=1; }
size=$((64 << 20))
RANDOM=$((SEED % 32768))
say "SEED=$SEED"
mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm.img
home=$SCRATCH/source/vm.img twin=$SCRATCH/twins/vm.img
at_end() { touch "$SCRATCH/stop"; }

mount_it() { mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"; }

# The mount is gone under them: whatever they did not hear of may be there or not.
start_writers() {
    local index
    rm -f "$SCRATCH/stop" "$SCRATCH"/log.*
    writers=()
    for index in 0 1; do
        python3 "$MOUNT_TESTS/cut-writer.py" write "$image" "$SCRATCH/base" "$SCRATCH/log.$index" \
            "$SCRATCH/stop" $(((index * 24) << 20)) $(((index * 24 + 6) << 20)) &
        writers+=($!)
    done
    eventually 30 test -s "$SCRATCH/log.1" || fail "the guests do not write"
}

kill_both() { # PHASE MILLISECONDS: so long after it has begun, at most
    local worker keeper writer busy
    worker=$(worker) keeper=$(keeper)
    begin "$1" &
    busy=$!
    random_pause "$2"
    # Neither may notice that the other is gone: it would start another one.
    kill -STOP "$keeper" "$worker"
    kill -KILL "$keeper" "$worker"
    eventually 20 process_gone "$worker" || fail "worker $worker does not die"
    eventually 20 process_gone "$keeper" || fail "keeper $keeper does not die"
    for writer in "${writers[@]}"; do wait "$writer" || fail "a guest saw another error"; done
    wait $busy || true
    # As an operator would.
    umount -l "$mnt"
    unset "MOUNTS[-1]"
}

# What is under way when they die, beside the writers; ends by itself then.
begin() { # PHASE
    case $1 in
    switch-over) timeout "$LIMIT" twinfs complete "$image" ;;
    verify) while control "$mnt" "verify vm.img" | grep -qE '^ok|verified already'; do sleep 0.02; done ;;
    esac >/dev/null 2>&1
}

check_guest() { # PHASE
    python3 "$MOUNT_TESTS/cut-writer.py" check "$image" "$SCRATCH/base" acknowledged "$SCRATCH"/log.* ||
        fail "$1: the guest lost something"
}

one_round() { # PHASE
    local options=() most=2000
    rm -rf "$twin"*
    random_file "$home" $size
    cp "$home" "$SCRATCH/base"
    case $1 in
    bulk) options=(speed=5M) ;;
    write-blocking) options=(copy-mode=write-blocking) ;;
    switch-over) most=60 ;;
    esac
    mount_it
    start_mirror "$image" target="$SCRATCH/twins" "${options[@]}" >/dev/null
    [ "$1" = bulk ] || wait_ready "$image" >/dev/null
    # The log forgets what is equal and durable every five seconds.
    sleep 7
    start_writers
    sleep 1
    kill_both "$1" $most
    mount_it
    if [ "$1" = switch-over ]; then after_switch_over; else after_death "$1"; fi
    timeout "$LIMIT" twinfs dismiss "$image" >/dev/null
    unmount_twinfs "$mnt"
}

after_death() { # PHASE
    local copied resumed
    eventually 20 field_is "$mnt" vm.img resumed "intent|compare|clean" || fail "$1: not resumed"
    resumed=$(job_field "$mnt" vm.img resumed)
    [ "$resumed" = intent ] || fail "$1: resumed is $resumed: $(cat "$mnt/.mirror/status")"
    timeout "$LIMIT" twinfs set "$image" speed=0 >/dev/null
    wait_ready "$image" >/dev/null
    copied=$(copied_since_resume vm.img)
    [ "$copied" -lt $size ] || fail "$1: all of the image was copied"
    [ "$1" = bulk ] || [ "$copied" -lt $((size * 2 / 3)) ] || fail "$1: $copied bytes were copied"
    check_guest "$1"
    timeout "$LIMIT" twinfs cancel "$image" >/dev/null
    wait_completed "$image" >/dev/null
    compare "$home" "$twin"
    say "$1: resumed by intent, $((copied >> 20)) of $((size >> 20)) MiB copied"
}

serving() { jq -r '[.served[].twin] | last // empty' "$mnt/.mirror/status.json"; }

# Before its record was durable the job goes on, after that the twin serves.
after_switch_over() {
    local was=switched
    if [ -z "$(serving)" ]; then
        was="resumed in $(job_field "$mnt" vm.img phase)"
        eventually "$LIMIT" field_is "$mnt" vm.img phase 'ready|completed' || fail "the job is lost: $was"
        ! field_is "$mnt" vm.img phase ready || timeout "$LIMIT" twinfs complete "$image" >/dev/null
        wait_completed "$image" >/dev/null
        timeout "$LIMIT" twinfs dismiss "$image" >/dev/null
    fi
    check_guest switch-over
    [ "$(serving)" = "$twin" ] || fail "served by '$(serving)'"
    cmp "$image" "$twin" || fail "the image is not what serves it"
    start_mirror "$image" target="$home" existing=reuse >/dev/null
    wait_ready "$image" >/dev/null
    timeout "$LIMIT" twinfs complete "$image" >/dev/null
    wait_completed "$image" >/dev/null
    compare "$home" "$twin"
    say "switch-over: $was"
}

deaths=0
for ((number = 0; number < rounds; number++)); do
    for phase in ready bulk write-blocking switch-over verify; do
        one_round $phase
        deaths=$((deaths + 1))
    done
done
say "$deaths deaths of keeper and worker, nothing acknowledged was lost, every twin equal"
