#!/bin/bash
# Promise: a state directory that hangs (its server has stopped answering) stops no guest at `twinfs restart`: the
# worker serves on, and the status says why there is no other. When the directory is back, `restart` works.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require bindfs jq

mkdir "$SCRATCH"/{source,mount,disk,state}
bindfs -f "$SCRATCH/disk" "$SCRATCH/state" &
server=$!
at_end() {
    kill -CONT "$server" || true
    eventually 20 umount "$SCRATCH/state" || true
    # It ends by itself, a moment after its mount.
    eventually 20 has_ended "$server" || true
}
eventually 20 mountpoint -q "$SCRATCH/state" || fail "bindfs"
random_file "$SCRATCH/source/disk.img" 8M
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount" -o "statedir=$SCRATCH/state"
mnt=$SCRATCH/mount

# The worker that serves by now, by what the status says.
worker() { timeout 10 jq -r '."worker-pid"' "$mnt/.mirror/status.json"; }
warns() { timeout 10 grep -q "not restarted: the state directory" "$mnt/.mirror/status"; }
guest_works() {
    timeout 30 dd if=/dev/urandom of="$mnt/disk.img" bs=64k count=50 oflag=direct conv=notrunc,fsync \
        status=none || fail "the guest saw an error or waited for the state directory"
}

before=$(worker)
kill -STOP "$server"
timeout 10 sh -c "echo restart >'$mnt/.mirror/control'" || fail "restart was not answered"
until warns; do
    guest_works
    [ $SECONDS -lt "$LIMIT" ] || fail "the status does not say that there was no restart"
done
guest_works
[ "$(worker)" = "$before" ] || fail "another worker"

kill -CONT "$server"
timeout "$LIMIT" twinfs restart "$mnt"
[ "$(worker)" != "$before" ] || fail "no other worker"
if warns; then fail "the warning stays"; fi
guest_works
unmount_twinfs "$mnt"
