#!/bin/bash
# Promise: many images at once, in a tree, with names as awkward as a filesystem allows, each with a
# job of its own: target= at mount, include= and exclude=, and auto=on for what is created later.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

count=${COUNT:-200}
mkdir "$SCRATCH"/{source,mount,twins}
mkdir -p "$SCRATCH/source/a/b/c" "$SCRATCH/source/with space/ünïcode/深い" "$SCRATCH/source/skipped"
names=()
for ((number = 0; number < count; number++)); do
    case $((number % 8)) in
    0) name="vm$number.img" ;;
    1) name="a/vm$number.img" ;;
    2) name="a/b/vm$number.img" ;;
    3) name="a/b/c/vm$number.img" ;;
    4) name="with space/disk no $number.img" ;;
    5) name="with space/ünïcode/深い/ディスク $number.img" ;;
    6) name=$'new\nline '"$number.img" ;;
    7) name="quote'\"\\ \$(x) \`y\` [z]* = # % $number.img" ;;
    esac
    names+=("$name")
    head -c $((number * 1013 + 1)) /dev/urandom >"$SCRATCH/source/$name"
done
echo no >"$SCRATCH/source/skipped/x.img"
echo no >"$SCRATCH/source/notes.txt"

mount_twinfs "$SCRATCH/source" "$SCRATCH/mount" \
    -o "target=$SCRATCH/twins,include=*.img,exclude=skipped/*,auto=on"

number_of_jobs() { # with PHASE
    # shellcheck disable=SC2016
    timeout 10 jq --arg phase "$1" '[.jobs[] | select(.phase == $phase)] | length' \
        "$SCRATCH/mount/.mirror/status.json"
}
phases_are() { [ "$(number_of_jobs "$1")" = "$2" ]; }

eventually "$LIMIT" phases_are ready "$count" || fail "ready: $(number_of_jobs ready) of $count"
[ "$(jq '.jobs | length' "$SCRATCH/mount/.mirror/status.json")" = "$count" ] ||
    fail "jobs for images that were not asked for"
timeout 30 find "$SCRATCH/mount/.mirror" >/dev/null
timeout 30 twinfs status "$SCRATCH/mount" >"$SCRATCH/status.text"
timeout 30 twinfs status --json "$SCRATCH/mount" | jq -e . >/dev/null

# A later image gets a job too.
echo "later" >"$SCRATCH/mount/a/later.img"
eventually "$LIMIT" phases_are ready $((count + 1)) || fail "no job for a/later.img"
names+=("a/later.img")

for name in "${names[@]}"; do
    printf 'more' >>"$SCRATCH/mount/$name"
done
for name in "${names[@]}"; do
    timeout "$LIMIT" twinfs complete "$SCRATCH/mount/$name" switch=off || fail "complete $name"
done
for name in "${names[@]}"; do
    wait_completed "$SCRATCH/mount/$name"
    compare "$SCRATCH/source/$name" "$SCRATCH/twins/$name"
done
for name in skipped/x.img notes.txt; do
    [ ! -e "$SCRATCH/twins/$name" ] || fail "$name was mirrored although excluded"
done
[ -z "$(find "$SCRATCH/twins" -name '*.partial')" ] || fail "a .partial is left"
[ "$(find "$SCRATCH/twins" -type f -printf x | wc -c)" = $((count + 1)) ] || fail "odd twins"
unmount_twinfs "$SCRATCH/mount"
