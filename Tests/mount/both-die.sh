#!/bin/bash
# Promise: keeper and worker killed together end the mount, and nothing else. When it was mounted anew everything that was
# acknowledged is there, jobs are resumed in their phase by the write-intent log, copy much less than the
# image, and end with an equal twin.
#
#   both-die.sh [ROUNDS]    3 in each phase unless told; CAMPAIGN=full: 20
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/deaths.sh
. "$MOUNT_TESTS/deaths.sh"

rounds=${1:-}
[ -n "$rounds" ] || { [ "${CAMPAIGN:-short}" = full ] && rounds=20 || rounds=3; }
size=$((64 << 20))
RANDOM=$((SEED % 32768))
say "SEED=$SEED"
mkdir "$SCRATCH"/{source,mount,twins}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm.img
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

kill_both() {
    local worker keeper writer
    worker=$(worker) keeper=$(keeper)
    kill -KILL "$keeper" "$worker"
    eventually 20 process_gone "$worker" || fail "worker $worker does not die"
    eventually 20 process_gone "$keeper" || fail "keeper $keeper does not die"
    for writer in "${writers[@]}"; do wait "$writer" || fail "a guest saw another error"; done
    # As an operator would.
    umount -l "$mnt"
    unset "MOUNTS[-1]"
}

one_round() { # PHASE
    local options=() copied
    rm -rf "$SCRATCH/twins/vm.img"*
    random_file "$SCRATCH/source/vm.img" $size
    cp "$SCRATCH/source/vm.img" "$SCRATCH/base"
    case $1 in
    bulk) options=(speed=5M) ;;
    write-blocking) options=(copy-mode=write-blocking) ;;
    esac
    mount_it
    start_mirror "$image" target="$SCRATCH/twins" "${options[@]}" >/dev/null
    [ "$1" = bulk ] || wait_ready "$image" >/dev/null
    # The log forgets what is equal and durable every five seconds.
    sleep 7
    start_writers
    sleep 1
    random_pause 2000
    kill_both
    mount_it
    eventually 20 field_is "$mnt" vm.img resumed "intent|compare|clean" || fail "$1: not resumed"
    resumed=$(job_field "$mnt" vm.img resumed)
    [ "$resumed" = intent ] || fail "$1: resumed is $resumed: $(cat "$mnt/.mirror/status")"
    timeout "$LIMIT" twinfs set "$image" speed=0 >/dev/null
    wait_ready "$image" >/dev/null
    copied=$(copied_since_resume vm.img)
    [ "$copied" -lt $size ] || fail "$1: all of the image was copied"
    [ "$1" = bulk ] || [ "$copied" -lt $((size * 2 / 3)) ] || fail "$1: $copied bytes were copied"
    python3 "$MOUNT_TESTS/cut-writer.py" check "$image" "$SCRATCH/base" acknowledged "$SCRATCH"/log.* ||
        fail "$1: the guest lost something"
    timeout "$LIMIT" twinfs cancel "$image" >/dev/null
    wait_completed "$image" >/dev/null
    compare "$SCRATCH/source/vm.img" "$SCRATCH/twins/vm.img"
    say "$1: resumed by intent, $((copied >> 20)) of $((size >> 20)) MiB copied"
    timeout "$LIMIT" twinfs dismiss "$image" >/dev/null
    unmount_twinfs "$mnt"
}

deaths=0
for ((number = 0; number < rounds; number++)); do
    for phase in ready bulk write-blocking; do
        one_round $phase
        deaths=$((deaths + 1))
    done
done
say "$deaths deaths of keeper and worker, nothing acknowledged was lost, every twin equal"
