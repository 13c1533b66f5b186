# shellcheck shell=bash
# What the next boot makes of the disks that a power cut left: power-cut.sh FOLDER CUT
#
# FOLDER has the disks `source`, `target`, `state` in disks/, the image as it was at first (base), and the writers'
# logs. Runs in a mount and a time namespace of its own, so that this is another boot for twinfs: another
# boot_id, and one that began after everything that the disks say. Prints a line: RESULT key=value….
set -euo pipefail
FOLDER=$1 CUT=$2
mnt=$FOLDER/mount
LIMIT=${LIMIT:-60}

# shellcheck disable=SC2317
die() {
    echo "power-cut: $*" >&2
    timeout 5 cat "$mnt/.mirror/status" >&2 || true
    exit 1
}

tr -d '\n' </proc/sys/kernel/random/uuid >"$FOLDER/boot"
mount --bind "$FOLDER/boot" /proc/sys/kernel/random/boot_id
for disk in source target state; do
    mount -o loop "$FOLDER/disks/$disk" "$FOLDER/$disk" || die "$disk cannot be mounted"
done
end() {
    local status=$? pids
    trap - EXIT
    set +e
    pids=$(timeout 5 jq -r '."keeper-pid", ."worker-pid" | select(. != null)' "$mnt/.mirror/status.json")
    timeout 60 twinfs unmount "$mnt" >/dev/null 2>&1 || {
        [ $status != 0 ] || status=1
        # shellcheck disable=SC2086
        [ -z "$pids" ] || kill -KILL $pids
        umount -l "$mnt"
    }
    for pid in $pids; do
        for _ in $(seq 100); do [ -e "/proc/$pid" ] && sleep 0.1; done
    done
    umount "$FOLDER/source" "$FOLDER/target" "$FOLDER/state"
    exit $status
}
timeout "$LIMIT" twinfs "$FOLDER/source" "$mnt" -o statedir="$FOLDER/state/twinfs" || die "no mount"
trap end EXIT

status() { timeout 10 cat "$mnt/.mirror/status.json"; }
resumption() { # JOB KEY: what the job was when it came back
    # shellcheck disable=SC2016
    timeout 10 jq -r --arg job "$1" --arg key "$2" \
        'select(.event == "TWINFS_JOB_RESUMED" and .data.device == $job) | .data[$key]' \
        "$mnt/.mirror/events" | tail -n 1
}
live() { # the newest job that has not ended
    status | jq -c '[.jobs[] | select(.phase | IN("completed", "cancelled", "failed") | not)] | last // empty'
}
field() { jq -r --arg key "$2" '.[$key]' <<<"$1"; }

job=$(live)
# For whoever reads of a failure.
cat "$mnt/.mirror/status" "$mnt/.mirror/events"
find "$FOLDER/state" -type f -exec ls -l {} + 2>&1 || true
resumed=none was=none copied=0 equal=-
served=$(status | jq -r '[.served[].twin] | last // empty')
ended=
if [ -n "$job" ]; then
    id=$(field "$job" id)
    for _ in $(seq $((LIMIT * 20))); do
        job=$(status | jq -c --arg id "$id" '[.jobs[] | select(.id == $id)] | last')
        case $(field "$job" phase) in
        ready)
            # Its counts go on where they were.
            before=$(resumption "$id" offset)
            copied=$(($(field "$job" copied-bytes) - ${before:-0}))
            timeout "$LIMIT" twinfs cancel "$mnt/vm.img" >/dev/null || die "cancel"
            ;;
        completed)
            resumed=$(field "$job" resumed)
            was=$(resumption "$id" status)
            ended=1
            break
            ;;
        cancelled | failed) die "job $id: $(field "$job" error)" ;;
        esac
        [ "$(field "$job" paused)" != true ] || die "job $id is paused: $(field "$job" error)"
        sleep 0.05
    done
    [ -n "$ended" ] || die "job $id does not come to its end"
fi
# What the guest sees, by whatever serves the image now.
python3 "$(dirname "$(realpath "$0")")/cut-writer.py" check "$mnt/vm.img" "$FOLDER/base" "$CUT" \
    "$FOLDER"/log.* >"$FOLDER/check" || die "the guest lost something: $(cat "$FOLDER/check")"
if [ -n "$ended" ]; then
    equal=no
    ! cmp -s "$FOLDER/source/vm.img" "$FOLDER/target/vm.img" || equal=yes
fi
echo "RESULT resumed=$resumed was=$was copied=$copied equal=$equal served=${served:+twin} $(tr ' ' '_' <"$FOLDER/check")"
