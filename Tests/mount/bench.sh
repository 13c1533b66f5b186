#!/bin/bash
# Promise: the benchmark works: every row of aims that this build can show has a figure, as has each mount that
# shows how one grows, the pictures are drawn, and one that is interrupted leaves nothing. What it measures here means nothing.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

has_words() { # SVG WORD…
    python3 - "$@" <<'PYTHON' || fail "the picture $1"
import sys
import xml.etree.ElementTree as tree
words = {node.text for node in tree.parse(sys.argv[1]).iter() if node.tag.endswith("text")}
sys.exit(0 if set(sys.argv[2:]) <= words else 1)
PYTHON
}

rows=17
table=$SCRATCH/table.md
timeout "$LIMIT" "$REPOSITORY/Tests/bench" --smoke --picture "$SCRATCH/life.svg" \
    --raw "$SCRATCH/raw.json" >"$table" || fail "the benchmark: $(cat "$table")"
for ((row = 1; row <= rows; row++)); do
    grep -qE "^\| $row \|.*(yes|\*\*no\*\*) \||^\| $row \|.*does not know" "$table" ||
        fail "row $row has no figure: $(cat "$table")"
done
grep -q '^### disk' "$table" || fail "no table of the disk"
has_words "$SCRATCH/life.svg" "no job" ready write-blocking "on the twin"
jq -e '.samples | length > 30 and all(.iops > 0 and .p99 > 0)' "$SCRATCH/raw.json" >/dev/null ||
    fail "the raw figures"
expect_error 2 'takes tmpfs and disk' "$REPOSITORY/Tests/bench" --media floppy

timeout "$LIMIT" "$REPOSITORY/Tests/bench" --smoke --scale "$SCRATCH/scale.svg" \
    --raw "$SCRATCH/scale.json" >"$table" || fail "how a mount grows: $(cat "$table")"
grep -q '^| one image of 16 TiB in ready | [0-9]' "$table" || fail "no table of how a mount grows: $(cat "$table")"
jq -e 'length == 6 and all(.mount > 0 and .takeover > 0 and .status > 0 and .memory > 1 and .descriptors > 10)
    and all(.[] | select(.kind != "images"); .ready > 0 and .job > 0)' "$SCRATCH/scale.json" >/dev/null ||
    fail "how a mount grows: $(cat "$SCRATCH/scale.json")"
has_words "$SCRATCH/scale.svg" "How a mount grows" 10 "16 TiB" "1 GiB"

say "interrupted while fio runs in mounts"
python3 - "$REPOSITORY/Tests/bench" "$SCRATCH" <<'PYTHON' || fail "an interrupted run left something"
import os, signal, subprocess, sys, time
bench = subprocess.Popen([sys.argv[1], "--rows", "1", "--media", "tmpfs"], stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, text=True, start_new_session=True,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
time.sleep(4)
os.killpg(bench.pid, signal.SIGINT)
errors = bench.communicate(timeout=100)[1]
print(bench.returncode, errors)
sys.exit(0 if bench.returncode == 130 and "left over" not in errors else 1)
PYTHON
