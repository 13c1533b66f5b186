# shellcheck shell=bash
# Helpers of the mount tests. A test sources this file first; it gets a folder of its own in $SCRATCH
# and fails if, at its end, a mount, a loop device or a process of its own is left.
set -euo pipefail
umask 022

MOUNT_TESTS=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
REPOSITORY=$(dirname "$(dirname "$MOUNT_TESTS")")
export PATH="${TWINFS_BIN:-$REPOSITORY/.build/release}:$PATH:/usr/sbin:/sbin"
TEST_NAME=$(basename "$0" .sh)
export TWINFS_TEST=${TWINFS_TEST:-$TEST_NAME.$$}
SCRATCH=$(realpath "$(mktemp -d "${TMPDIR:-/var/tmp}/twinfs-$TEST_NAME.XXXXXX")")
chmod 755 "$SCRATCH"
# Upper bound for any single wait: only a hang reaches it.
LIMIT=${LIMIT:-120}
# shellcheck source=Tests/mount/leftovers.sh
. "$MOUNT_TESTS/leftovers.sh"
claim_folder "$SCRATCH"

say() { printf '%s\n' "$*"; }

fail() {
    say "FAILED: $*" >&2
    exit 1
}

require() { # TOOL…: missing is a failure, never a skip
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || fail "$tool is missing"
    done
}

# A random seed that can be given again: SEED=n Tests/run churn
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}

# ---- mounts ------------------------------------------------------------------------------------

MOUNTS=()

mount_twinfs() { # SOURCE MOUNTPOINT [-o options]
    MOUNTS+=("$(realpath "$2")")
    timeout "$LIMIT" twinfs "$@" </dev/null || fail "twinfs $* did not mount"
    is_mounted "$2" || fail "twinfs $* said it mounted, and did not"
}

is_mounted() { # MOUNTPOINT: by the mount table alone
    local escaped
    escaped=$(realpath -s "$1")
    escaped=${escaped// /\\040}
    awk -v point="$escaped" '$5 == point && / - fuse/ { found = 1 } END { exit !found }' \
        /proc/self/mountinfo
}

# Orderly end of a mount: no request waits, the mount goes, the daemon with it.
unmount_twinfs() { # MOUNTPOINT
    local point connection pids pid index
    point=$(realpath "$1")
    pids=$(timeout 10 jq -r '."worker-pid", ."keeper-pid" | select(. != null)' \
        "$point/.mirror/status.json") || return 1
    # The last RELEASE is sent without anybody waiting for it: it may be on its way.
    if connection=$(fuse_connection "$point") && ! eventually 20 nothing_waits "$connection"; then
        say "$(cat "$connection/waiting") requests wait at the end of $point"
        return 1
    fi
    timeout "$LIMIT" twinfs unmount "$point" || return 1
    for index in "${!MOUNTS[@]}"; do
        [ "${MOUNTS[$index]}" = "$point" ] && unset "MOUNTS[$index]"
    done
    for pid in $pids; do
        eventually 20 process_gone "$pid" || { say "daemon $pid outlives its mount" && return 1; }
    done
}

nothing_waits() { # CONNECTION: of fusectl
    [ ! -e "$1/waiting" ] || [ "$(cat "$1/waiting")" = 0 ]
}

process_gone() { ! kill -0 "$1" 2>/dev/null; }

eventually() { # SECONDS COMMAND…: polls; the seconds are a bound for hangs
    local until=$((SECONDS + $1))
    shift
    while ! "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

# ---- jobs --------------------------------------------------------------------------------------

start_mirror() { timeout "$LIMIT" twinfs mirror "$@"; } # IMAGE target=… [k=v…]

wait_ready() { # IMAGE
    timeout "$((LIMIT + 10))" twinfs wait --for ready --timeout "$LIMIT" "$1" ||
        fail "$1 did not become ready"
}

wait_completed() { # IMAGE
    timeout "$((LIMIT + 10))" twinfs wait --for completed --timeout "$LIMIT" "$1" ||
        fail "$1 did not complete"
}

job_field() { # MOUNTPOINT JOB FIELD
    # shellcheck disable=SC2016
    timeout 10 jq -r --arg id "$2" --arg field "$3" \
        '[.jobs[] | select(.id == $id)] | last | .[$field]' "$1/.mirror/status.json"
}

expect_field() { # MOUNTPOINT JOB FIELD EXTENDED-REGEX
    local value
    value=$(job_field "$1" "$2" "$3")
    [[ $value =~ ^($4)$ ]] || fail "$3 of $2 is '$value', expected $4"
}

field_is() { # MOUNTPOINT JOB FIELD EXTENDED-REGEX: the same as a question
    [[ $(job_field "$1" "$2" "$3") =~ ^($4)$ ]]
}

wait_field() { # MOUNTPOINT JOB FIELD EXTENDED-REGEX
    eventually "$LIMIT" field_is "$@" || expect_field "$@"
}

# Soft end of a job in ready, then the promise: source and twin are equal, under the twin's name.
complete_and_compare() { # MOUNTPOINT JOB SOURCE-FILE TWIN
    timeout "$LIMIT" twinfs complete "$1/$2" switch=off || fail "complete $2"
    wait_completed "$1/$2"
    compare "$3" "$4"
    expect_field "$1" "$2" phase completed
    expect_field "$1" "$2" error null
    expect_field "$1" "$2" target-state 'consistent|synced'
    [ ! -e "$4.partial" ] || fail "$4.partial is still there"
}

compare() { # FILE FILE
    cmp -- "$1" "$2" || fail "$1 and $2 differ"
    [ "$(stat -c %s -- "$1")" = "$(stat -c %s -- "$2")" ] || [ -b "$2" ] ||
        fail "$1 and $2 differ in size"
}

# Writes one line to .mirror/control and prints the answer. Returns 1 where the write failed.
control() { # MOUNTPOINT LINE
    timeout "$LIMIT" python3 - "$1" "$2" <<'PYTHON'
import os, sys
handle = os.open(os.fsencode(sys.argv[1]) + b"/.mirror/control", os.O_RDWR)
failed = 0
try:
    os.write(handle, os.fsencode(sys.argv[2]) + b"\n")
except OSError as error:
    failed = 1
    print(f"errno {error.errno} {os.strerror(error.errno)}")
sys.stdout.buffer.write(os.read(handle, 65536))
sys.exit(failed)
PYTHON
}

# ---- expectations ------------------------------------------------------------------------------

# The command must fail by itself (not by a signal or time limit) and say why. CODE may be "any".
expect_error() { # CODE MESSAGE-REGEX COMMAND…
    local code=$1 pattern=$2 status=0 output
    shift 2
    if [ "$(type -t "$1")" = function ]; then
        output=$("$@" 2>&1 </dev/null) || status=$?
    else
        output=$(timeout "$LIMIT" "$@" 2>&1 </dev/null) || status=$?
    fi
    [ $status -ne 0 ] || fail "succeeded, expected an error: $*"
    [ $status -lt 124 ] || fail "ended by a signal or time limit ($status): $*: $output"
    [ "$code" = any ] || [ $status = "$code" ] || fail "exit code $status, expected $code: $*: $output"
    [[ $output =~ $pattern ]] || {
        fail "message does not match /$pattern/: $(printf '%.300s: %.500s' "$*" "$output")"
    }
}

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }

random_file() { # FILE SIZE
    head -c "$2" /dev/urandom >"$1"
}

attach_loop() { # FILE: prints the device
    losetup --find --show "$@"
}

# ---- the end -----------------------------------------------------------------------------------

show_mounts() {
    local point
    for point in ${MOUNTS[@]+"${MOUNTS[@]}"}; do
        say "--- $point/.mirror/status:"
        timeout 5 cat "$point/.mirror/status" || say "(no answer)"
        timeout 5 tail -n 5 "$point/.mirror/events" || true
    done
}

# Set by a test: what it has to undo beside mounts and loop devices below $SCRATCH.
at_end() { :; }

finish() {
    local status=$? keys
    trap - EXIT
    set +e
    cd /
    [ $status = 0 ] || show_mounts
    at_end
    while ((${#MOUNTS[@]})); do
        keys=("${!MOUNTS[@]}")
        unmount_twinfs "${MOUNTS[${keys[-1]}]}" || { [ $status = 0 ] && status=1; }
        unset "MOUNTS[${keys[-1]}]"
    done
    sweep "$TWINFS_TEST" "$SCRATCH" || { [ $status = 0 ] && status=1; }
    rm -rf --one-file-system "$SCRATCH"
    exit $status
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

require twinfs jq python3 cmp losetup timeout
cd "$SCRATCH" # so that a tool that writes where it stands writes there
