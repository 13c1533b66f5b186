# shellcheck shell=bash
# Killing the daemon many times, for tests that source this file after lib.sh and set $mnt, the mount.
# shellcheck disable=SC2154
# shellcheck source=Tests/mount/processes.sh
. "$MOUNT_TESTS/processes.sh"

worker() { process_field "$mnt" worker-pid; }
keeper() { process_field "$mnt" keeper-pid; }
generation() { process_field "$mnt" generation; }

kills=0
kill_worker() { # SIGNAL: returns when its successor answers
    local pid next
    pid=$(worker)
    kill_process "$1" "$mnt" worker-pid
    kills=$((kills + 1))
    next=$(worker) || fail "no answer after kill $kills"
    [ "$next" != "$pid" ] || eventually "$LIMIT" worker_is_not "$pid" || fail "no new worker after kill $kills"
}

worker_is_not() { [ "$(worker)" != "$1" ]; }

# Bytes that a job has copied since it was resumed: its counts go on where they were.
copied_since_resume() { # JOB
    local before
    before=$(resumed_at "$1")
    echo $(($(job_field "$mnt" "$1" copied-bytes) - ${before:?no event}))
}

resumed_at() { # JOB
    # shellcheck disable=SC2016
    timeout 10 jq -r --arg job "$1" 'select(.event == "TWINFS_JOB_RESUMED" and .data.device == $job) | .data.offset' \
        "$mnt/.mirror/events" | tail -n 1
}

random_pause() { # MOST milliseconds
    sleep "$(awk -v n=$((RANDOM % $1)) 'BEGIN { print n / 1000 }')"
}
