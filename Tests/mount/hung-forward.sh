#!/bin/bash
# Promise: with copy-mode=write-blocking a target that hangs holds a guest no longer than write-timeout: the job
# falls back to background and says so. Without write-timeout `cancel force=on` frees the guest.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/writing.sh
. "$MOUNT_TESTS/writing.sh"
require bindfs

mkdir "$SCRATCH"/{source,mount,disk,hung}
mnt=$SCRATCH/mount image=$SCRATCH/mount/vm1.img GOAL=$SCRATCH/hung
bindfs -f "$SCRATCH/disk" "$SCRATCH/hung" &
server=$!
at_end() {
    touch "$SCRATCH/stop"
    kill -CONT "$server" || true
    eventually 20 umount "$SCRATCH/hung" || true
}
eventually 20 mountpoint -q "$SCRATCH/hung" || fail "bindfs"
random_file "$SCRATCH/source/vm1.img" 24M
mount_twinfs "$SCRATCH/source" "$mnt"

for options in "" "fsync=both"; do
    say "a hung target, write-timeout=3000 $options"
    start_writer
    # shellcheck disable=SC2086
    start_job write-blocking write-timeout=3000 $options
    lines=$(wc -l <"$mnt/.mirror/events")
    expect_field "$mnt" vm1.img copy-mode write-blocking
    kill -STOP "$server"
    wait_field "$mnt" vm1.img copy-mode background
    guest_goes_on
    guest_goes_on
    [[ $(events_since "$lines") == *TWINFS_FELL_BACK* ]] || fail "no event of the fall back"
    timeout 10 cat "$mnt/.mirror/status" >/dev/null || fail "the status waits for the target"
    expect_field "$mnt" vm1.img phase ready
    kill -CONT "$server"
    timeout "$LIMIT" twinfs set "$image" copy-mode=write-blocking
    wait_field "$mnt" vm1.img copy-mode write-blocking
    guest_goes_on
    stop_writer
    complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/disk/vm1.img"
    timeout "$LIMIT" twinfs dismiss "$image"
    rm "$SCRATCH/disk/vm1.img"
done

say "a hung target without write-timeout"
start_writer
start_job write-blocking
kill -STOP "$server"
stands_still() { # the guest waits for the twin
    local count
    count=$(cat "$SCRATCH/count")
    sleep 1
    [ "$(cat "$SCRATCH/count")" = "$count" ]
}
eventually 30 stands_still || fail "the guest does not wait for the twin"
timeout "$LIMIT" twinfs cancel "$image" force=on
guest_goes_on
wait_field "$mnt" vm1.img phase cancelled
expect_field "$mnt" vm1.img target-state inconsistent
stop_writer
kill -CONT "$server"
timeout "$LIMIT" twinfs dismiss "$image"

unmount_twinfs "$mnt"
