#!/bin/bash
# Promise: the files of .mirror are plain files to every tool: cat, cp, wc, tar, tail -f, grep, jq; the
# size that stat gives is the size that is read, and nobody hangs on them.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require jq tar tail grep cp wc

mkdir "$SCRATCH"/{source,mount,twins,copies}
mirror=$SCRATCH/mount/.mirror
random_file "$SCRATCH/source/vm1.img" 4M
mkdir -p "$SCRATCH/source/rack one"
random_file "$SCRATCH/source/rack one/vm2.img" 1M
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
start_mirror "$SCRATCH/mount/vm1.img" target="$SCRATCH/twins"
start_mirror "$SCRATCH/mount/rack one/vm2.img" target="$SCRATCH/twins"
wait_ready "$SCRATCH/mount/vm1.img"
wait_ready "$SCRATCH/mount/rack one/vm2.img"

# One listing of everything that is there; directories can be walked.
timeout 20 find "$mirror" -type f | sort >"$SCRATCH/list"
for name in status status.json events control metrics jobs/vm1.img/status.json \
    jobs/vm1.img/dirty "jobs/rack one/vm2.img/status.json"; do
    grep -qxF "$mirror/$name" "$SCRATCH/list" || fail "no $name in .mirror"
done

# `help files` names what is there, and nothing else at the root.
twinfs help files >"$SCRATCH/help"
for file in status status.json events control metrics jobs/ID/status.json jobs/ID/dirty \
    checkpoints/IMAGE/NAME; do
    grep -qF ".mirror/$file " "$SCRATCH/help" || fail "help files does not name $file"
done
[ "$(grep -c '^\.mirror/' "$SCRATCH/help")" = 8 ] || fail "help files names something else"

# Each one is read to its end, again and again, at the same handle's size.
while read -r file; do
    timeout 10 python3 - "$file" <<'PYTHON' || fail "$file"
import os, sys
path = sys.argv[1]
if path.endswith("control"):
    sys.exit(0)
handle = os.open(path, os.O_RDONLY)
size = os.fstat(handle).st_size
whole = b""
while piece := os.read(handle, 100):
    whole += piece
assert len(whole) == size, f"stat says {size}, read gave {len(whole)}"
again = os.pread(handle, size + 1000, 0)
assert again == whole, "R9: the content changed under an open handle"
assert os.pread(handle, 10, size) == b"", "bytes behind the end"
PYTHON
    [[ $file == */control ]] && continue
    [ "$(timeout 10 cat "$file" | wc -c)" -gt 0 ] || [[ $file == */dirty ]] || fail "$file is empty"
    timeout 10 wc -c "$file" >/dev/null
    timeout 10 cp "$file" "$SCRATCH/copies/one"
    timeout 10 dd if="$file" of="$SCRATCH/copies/two" bs=7 status=none
done <"$SCRATCH/list"

# A file with steady content: every tool sees the same bytes.
timeout 10 cat "$mirror/jobs/vm1.img/dirty" >"$SCRATCH/copies/cat"
timeout 10 cp "$mirror/jobs/vm1.img/dirty" "$SCRATCH/copies/cp"
compare "$SCRATCH/copies/cat" "$SCRATCH/copies/cp"
[ "$(wc -c <"$mirror/jobs/vm1.img/dirty")" = "$(stat -c %s "$SCRATCH/copies/cat")" ] ||
    fail "wc -c and cat differ"

# tar stores content, not zeros, and does not complain.
timeout 20 tar -C "$SCRATCH/mount" -cf "$SCRATCH/mirror.tar" --exclude=.mirror/control .mirror
tar -xf "$SCRATCH/mirror.tar" -C "$SCRATCH/copies"
jq -e '.jobs | length == 2' "$SCRATCH/copies/.mirror/status.json" >/dev/null || fail "tar"

# The contract for programs.
jq -e '.version and .source and .mountpoint and ."worker-pid" and (.uptime | type == "number")
    and (.generation | type == "number") and has("keeper-pid")' "$mirror/status.json" >/dev/null ||
    fail "status.json lacks a field"
jq -e '.jobs[0] | [has("id", "images", "target", "serving", "phase", "status", "sync", "copy-mode",
    "granularity", "len", "offset", "total-bytes", "copied-bytes", "dirty-bytes", "in-flight-bytes",
    "skipped-zero-bytes", "passes", "speed", "rate", "dirty-rate", "eta", "converging", "ready",
    "actively-synced", "target-state", "io-status", "paused", "error", "errors-source",
    "errors-target", "last-pause-us", "expected-pause-us", "opens", "resumed")] | all' \
    "$mirror/status.json" >/dev/null || fail "a job lacks a field in status.json"
jq -e '.id == "vm1.img" and .phase == "ready" and .status == "ready"' \
    "$mirror/jobs/vm1.img/status.json" >/dev/null || fail "jobs/vm1.img/status.json"
jq -e . "$mirror/jobs/vm1.img/dirty" >/dev/null || fail "dirty is not JSON"
jq -e -s 'length > 0 and all(.[]; type == "object")' "$mirror/events" >/dev/null || fail "events"
grep -q BLOCK_JOB_READY "$mirror/events" || fail "no BLOCK_JOB_READY in events"
timeout 20 grep -rq vm1.img "$mirror" || fail "grep -r"
awk '!/^#/ && NF < 2 { bad = 1 } END { exit bad }' "$mirror/metrics" || fail "metrics"

# tail -f ends only by its time limit, and shows an event that comes later.
timeout 15 tail -n +1 -f "$mirror/events" >"$SCRATCH/tail" 2>"$SCRATCH/tail.errors" &
tail=$!
sleep 1
timeout "$LIMIT" twinfs complete "$SCRATCH/mount/vm1.img" switch=off
wait_completed "$SCRATCH/mount/vm1.img"
eventually 12 grep -q BLOCK_JOB_COMPLETED "$SCRATCH/tail" || fail "tail -f shows no new event"
kill $tail
wait $tail || true
[ ! -s "$SCRATCH/tail.errors" ] || fail "tail -f: $(cat "$SCRATCH/tail.errors")"

# control from a shell: the write carries the errno, the same handle the words.
control "$SCRATCH/mount" 'dismiss vm1.img' | grep -q '^ok' || fail "dismiss by control"
exec 8<>"$mirror/control"
! echo 'frobnicate vm1.img' >&8 2>/dev/null || fail "an unknown verb was accepted"
read -r -t 10 answer <&8 || fail "no answer on the same handle"
[[ $answer == error*frobnicate* ]] || fail "answer: $answer"
exec 8>&-
expect_error any '' rm "$mirror/status"
expect_error any '' touch "$mirror/new"
expect_error any '' mkdir "$SCRATCH/mount/.mirror"

timeout "$LIMIT" twinfs complete "$SCRATCH/mount/rack one/vm2.img" switch=off
wait_completed "$SCRATCH/mount/rack one/vm2.img"
unmount_twinfs "$SCRATCH/mount"
