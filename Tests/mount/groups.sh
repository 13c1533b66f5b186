#!/bin/bash
# Promise: several images are cut, and switched over, at one instant: no twin has a write without those
# that it depends on, in whatever image of the group they are. Jobs of one image do not hinder each other,
# and what cannot be a group is refused before anything is made.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

cuts=20
mkdir "$SCRATCH"/{source,mount,alone}
mnt=$SCRATCH/mount
members=("$mnt/a.img" "$mnt/b.img" "$mnt/c.img")
for name in a b c; do
    random_file "$SCRATCH/source/$name.img" 1M
    dd if=/dev/zero of="$SCRATCH/source/$name.img" bs=8 count=1 conv=notrunc status=none
done
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"

# The same number to A, then B, then C, each after the other was acknowledged, until it is stopped.
python3 - "$SCRATCH/last" "${members[@]}" <<'PYTHON' &
import os, signal, sys
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
handles = [os.open(path, os.O_RDWR) for path in sys.argv[2:]]
number = 0
while not stopped:
    number += 1
    for handle in handles:
        assert os.pwrite(handle, number.to_bytes(8, "little"), 0) == 8
open(sys.argv[1], "w").write(str(number))
PYTHON
writer=$!

number() { od -An -td8 -N8 "$1" | tr -d ' '; }

expect_order() { # DIRECTORY
    local a b c
    a=$(number "$1/a.img") b=$(number "$1/b.img") c=$(number "$1/c.img")
    ((a >= b && b >= c && a - c <= 1)) || fail "cut between dependent writes: $a $b $c in $1"
    ((a > 0)) || fail "the writer does not write"
}

start_group() { # MIRROR-OPTION…: sets job
    job=$(start_mirror "${members[@]}" "$@") || fail "mirror $*: $job"
    job=${job#ok }
    job=${job%%:*}
}

say "a job of one member beside the group's"
start_mirror "$mnt/b.img" target="$SCRATCH/alone"
modes=(auto background write-blocking)
for ((round = 0; round < cuts; round++)); do
    start_group target="$SCRATCH/twins/" existing=reuse copy-mode="${modes[round % 3]}"
    wait_field "$mnt" "$job" phase ready
    control "$mnt" "cancel $job" >/dev/null
    wait_field "$mnt" "$job" phase completed
    expect_field "$mnt" "$job" error null
    expect_order "$SCRATCH/twins"
    control "$mnt" "dismiss $job" >/dev/null
done
expect_field "$mnt" b.img phase ready

say "two groups and the job of one member at once"
start_group target="$SCRATCH/more/"
second=$job
start_group target="$SCRATCH/twins" existing=replace
for name in "$second" "$job"; do
    wait_field "$mnt" "$name" phase ready
    control "$mnt" "complete $name switch=off" >/dev/null
    wait_field "$mnt" "$name" phase completed
done
expect_order "$SCRATCH/twins"
expect_order "$SCRATCH/more"

say "what is no group"
expect_error any 'name a directory' twinfs mirror "$mnt/a.img" "$mnt/b.img" target="$SCRATCH/file"
expect_error any 'twice' twinfs mirror "$mnt/a.img" "$mnt/a.img" target="$SCRATCH/never/"
ln "$SCRATCH/source/a.img" "$SCRATCH/source/linked.img"
expect_error any 'same file as' twinfs mirror "$mnt/a.img" "$mnt/linked.img" target="$SCRATCH/never/"
expect_error any 'missing\.img' twinfs mirror "$mnt/a.img" "$mnt/missing.img" target="$SCRATCH/never/"
[ ! -e "$SCRATCH/never" ] || fail "a refused group has left $(find "$SCRATCH/never")"
rm "$SCRATCH/source/linked.img"

say "all members are switched over at once"
start_group target="$SCRATCH/served/"
wait_field "$mnt" "$job" phase ready
control "$mnt" "complete $job"
wait_field "$mnt" "$job" phase completed
expect_field "$mnt" "$job" error null
[ "$(jq -r '[.served[].image] | sort | join(" ")' "$mnt/.mirror/status.json")" = "a.img b.img c.img" ] ||
    fail "served: $(jq -c .served "$mnt/.mirror/status.json")"
expect_order "$SCRATCH/source" # as it was at that instant
left=$(number "$SCRATCH/source/a.img")
goes_on() { [ "$(number "$SCRATCH/served/c.img")" -gt $((left + 2)) ]; }
eventually "$LIMIT" goes_on ||
    fail "the writer does not go on on the twins"
# The job of one member goes on, and sees what is written to the twin.
kill -TERM $writer
wait $writer || fail "the writer saw an error"
last=$(cat "$SCRATCH/last")
for name in a b c; do
    [ "$(number "$SCRATCH/served/$name.img")" = "$last" ] || fail "$name.img is not what was written"
    [ "$(number "$mnt/$name.img")" = "$last" ] || fail "$name.img does not show what was written"
done
[ "$(number "$SCRATCH/source/a.img")" = "$left" ] || fail "the old source was written to"
control "$mnt" "complete b.img switch=off"
wait_field "$mnt" b.img phase completed
compare "$mnt/b.img" "$SCRATCH/alone/b.img"
unmount_twinfs "$mnt"

say "and a remount keeps it for all of them"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/state"
for name in a b c; do
    compare "$mnt/$name.img" "$SCRATCH/served/$name.img"
done
unmount_twinfs "$mnt"
