# shellcheck shell=bash
# What the tests of dying processes share; sourced after lib.sh.

process_field() { # MOUNTPOINT keeper-pid|worker-pid|generation
    # shellcheck disable=SC2016
    timeout "$LIMIT" jq -r --arg field "$2" '.[$field]' "$1/.mirror/status.json"
}

generation_is() { [ "$(process_field "$1" generation)" = "$2" ]; } # MOUNTPOINT NUMBER
keeper_is_not() { [[ $(process_field "$1" keeper-pid) =~ ^[0-9]+$ ]] && [ "$(process_field "$1" keeper-pid)" != "$2" ]; }

wait_generation() { # MOUNTPOINT NUMBER
    eventually "$LIMIT" generation_is "$@" ||
        fail "generation is $(process_field "$1" generation), expected $2"
}

# Ends one of the mount's processes; it must be the one that the status names.
kill_process() { # SIGNAL MOUNTPOINT keeper-pid|worker-pid
    local pid
    pid=$(process_field "$2" "$3")
    [ "$(ps -o comm= -p "$pid")" = twinfs ] || fail "$3 $pid is not a twinfs"
    kill "-$1" "$pid"
}

# Starts holder.py on three new images; ends it with end_holder.
start_holder() { # SOURCE MOUNTPOINT
    local name
    for name in kept before deleted; do random_file "$1/$name.img" 1M; done
    coproc HOLDER { python3 "$MOUNT_TESTS/holder.py" "$2"; }
    local line
    read -r -t "$LIMIT" -u "${HOLDER[0]}" line
    [ "$line" = open ] || fail "the holder says: $line"
}

end_holder() {
    local pid=$HOLDER_PID line input=${HOLDER[1]}
    exec {input}>&-
    read -r -t "$LIMIT" -u "${HOLDER[0]}" line || true
    wait "$pid" || fail "open files saw: $line"
    say "operations: $line"
}
