# shellcheck shell=bash
# A guest that writes all the while, for tests that source this file after lib.sh and set these:
# $mnt the mount, $image its vm1.img, $GOAL the target of its jobs.
# shellcheck disable=SC2154

writer=''

start_writer() {
    rm -f "$SCRATCH/stop" "$SCRATCH/count"
    python3 "$MOUNT_TESTS/writer.py" "$image" "$SCRATCH/stop" "$SCRATCH/count" &
    writer=$!
    eventually 30 test -e "$SCRATCH/count" || fail "the guest does not write"
}

has_written_more() { # COUNT
    [ "$(cat "$SCRATCH/count")" -gt "$1" ]
}

guest_goes_on() {
    local count
    count=$(cat "$SCRATCH/count")
    eventually 60 has_written_more "$count" || fail "the guest does not go on"
}

stop_writer() {
    touch "$SCRATCH/stop"
    wait "$writer" || fail "the guest saw an error"
}

events_since() { tail -n "+$(($1 + 1))" "$mnt/.mirror/events"; } # LINES

start_job() { # PHASE OPTIONS…: until it is in the phase
    local phase=$1
    shift
    case $phase in
    bulk) start_mirror "$image" target="$GOAL" speed=2M "$@" ;;
    ready) start_mirror "$image" target="$GOAL" copy-mode=background "$@" ;;
    write-blocking) start_mirror "$image" target="$GOAL" copy-mode=write-blocking "$@" ;;
    esac
    [ "$phase" = bulk ] || wait_ready "$image"
}
