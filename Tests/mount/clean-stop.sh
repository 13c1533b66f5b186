#!/bin/bash
# Promise: SIGTERM, SIGINT and twinfs unmount never take a disk from a guest: the daemon goes on, says which
# process holds which image, and ends when that is over.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/processes.sh
. "$MOUNT_TESTS/processes.sh"
require ps umount

mkdir "$SCRATCH"/{source,mount}
mnt=$SCRATCH/mount
log=$SCRATCH/log
random_file "$SCRATCH/source/vm1.img" 1M

begin() { # sets keeper, worker and guest
    : >"$log"
    mount_twinfs "$SCRATCH/source" "$mnt" -o "log=$log"
    keeper=$(process_field "$mnt" keeper-pid)
    worker=$(process_field "$mnt" worker-pid)
    sleep 1000 3<>"$mnt/vm1.img" &
    guest=$!
    eventually 20 guest_runs || fail "no guest"
}
guest_runs() { [ "$(ps -o comm= -p "$guest")" = sleep ]; }
stop_guest() {
    kill "$guest"
    wait "$guest" || true
}
names_guest() { grep -qs "sleep (process $guest): $mnt/vm1.img" "$@"; }
has_ended() { process_gone "$keeper" && process_gone "$worker" && ! is_mounted "$mnt"; }
expect_end() {
    eventually "$LIMIT" has_ended || fail "the daemon goes on without a guest: $(cat "$log")"
    MOUNTS=()
}

for target in keeper worker; do
    for signal in TERM INT; do
        say "SIG$signal at the $target"
        begin
        kill "-$signal" "${!target}"
        eventually "$LIMIT" names_guest "$log" || fail "the log names nobody: $(cat "$log")"
        eventually "$LIMIT" names_guest "$mnt/.mirror/status" || fail "the status names nobody"
        kill "-$signal" "${!target}"
        kill -TERM "$keeper"
        dd if=/dev/zero of="$mnt/vm1.img" bs=64k count=3 conv=notrunc,fsync status=none
        generation_is "$mnt" 1 || fail "the worker was replaced"
        stop_guest
        expect_end
    done
done

say "a worker that dies meanwhile is replaced, and told"
begin
kill -TERM "$keeper"
eventually "$LIMIT" names_guest "$log" || fail "the log names nobody"
kill -KILL "$worker"
wait_generation "$mnt" 2
worker=$(process_field "$mnt" worker-pid)
eventually "$LIMIT" names_guest "$mnt/.mirror/status" || fail "the successor was not told"
stop_guest
expect_end

say "twinfs unmount"
begin
expect_error 43 "sleep \(process $guest\): $mnt/vm1.img" twinfs unmount "$mnt"
expect_error 20 "sleep \(process $guest\)" twinfs unmount --wait --timeout 1 "$mnt"
! timeout 10 umount "$mnt" 2>/dev/null || fail "umount took the guest's disk"
twinfs unmount --wait "$mnt" 2>"$SCRATCH/waits" &
waiting=$!
eventually "$LIMIT" names_guest "$SCRATCH/waits" || fail "--wait does not say for whom"
stop_guest
wait "$waiting" || fail "unmount --wait: $(cat "$SCRATCH/waits")"
eventually 20 has_ended || fail "the daemon outlives its mount"
MOUNTS=()

say "the plain umount"
begin
stop_guest
eventually 20 umount "$mnt" || fail "umount"
expect_end
