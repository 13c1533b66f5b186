#!/bin/bash
# Promise: a target that hangs (its server has stopped answering) stops the copy and nothing else. The
# guest reads, writes and flushes, the status answers, other jobs go on; `cancel force=on` ends the job;
# a job that was left alone goes on when the target comes back.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require bindfs

mkdir "$SCRATCH"/{source,mount,disk,hung,well}
bindfs -f "$SCRATCH/disk" "$SCRATCH/hung" &
server=$!
at_end() {
    kill -CONT "$server" || true
    eventually 20 umount "$SCRATCH/hung" || true
    # It ends by itself, a moment after its mount.
    eventually 20 process_gone "$server" || true
}
eventually 20 mountpoint -q "$SCRATCH/hung" || fail "bindfs"
for name in left cancelled other; do random_file "$SCRATCH/source/$name.img" 24M; done
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
mnt=$SCRATCH/mount

guest_works() { # IMAGE
    timeout 30 dd if=/dev/urandom of="$mnt/$1" bs=64k count=100 oflag=direct conv=notrunc,fsync \
        status=none || fail "the guest of $1 saw an error or waited for the target"
    timeout 30 dd if="$mnt/$1" of=/dev/null bs=1M iflag=direct status=none || fail "reading $1"
}

for name in left cancelled; do
    start_mirror "$mnt/$name.img" target="$SCRATCH/hung" speed=8M
    wait_field "$mnt" $name.img copied-bytes '[1-9][0-9]*'
done
kill -STOP "$server"
for name in left cancelled; do timeout "$LIMIT" twinfs set "$mnt/$name.img" speed=0; done
for _ in 1 2 3; do
    guest_works left.img
    guest_works cancelled.img
    timeout 10 cat "$mnt/.mirror/status" >/dev/null || fail "the status waits for the target"
done
start_mirror "$mnt/other.img" target="$SCRATCH/well"
wait_ready "$mnt/other.img"
complete_and_compare "$mnt" other.img "$SCRATCH/source/other.img" "$SCRATCH/well/other.img"

timeout "$LIMIT" twinfs cancel "$mnt/cancelled.img" force=on
wait_field "$mnt" cancelled.img phase cancelled
expect_field "$mnt" cancelled.img target-state inconsistent
guest_works cancelled.img
expect_field "$mnt" left.img phase bulk

kill -CONT "$server"
wait_ready "$mnt/left.img"
complete_and_compare "$mnt" left.img "$SCRATCH/source/left.img" "$SCRATCH/disk/left.img"
unmount_twinfs "$mnt"
