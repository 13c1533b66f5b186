# shellcheck shell=bash
# Killing the daemon, for tests that source this file after lib.sh and set $mnt, the mount. Only processes that its
# status names are killed, by id.
# shellcheck disable=SC2154

worker() { timeout "$LIMIT" jq -r '."worker-pid"' "$mnt/.mirror/status.json"; }
keeper() { timeout "$LIMIT" jq -r '."keeper-pid" // empty' "$mnt/.mirror/status.json"; }
generation() { timeout "$LIMIT" jq -r .generation "$mnt/.mirror/status.json"; }

kills=0
kill_worker() { # SIGNAL: returns when its successor answers
    local pid next
    pid=$(worker)
    kill "-$1" "$pid" || fail "no worker $pid"
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
