#!/bin/bash
# Promise: a source that hangs (its disk, or the server behind it, answers nothing) stops its guests and nothing else:
# however many requests wait, the status answers and commands are obeyed. When it is back all of them are done, none
# twice with a difference, also if the worker was restarted meanwhile.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require bindfs fsfreeze mkfs.ext4

mkdir "$SCRATCH"/{source,mount,twins,disk}
mnt=$SCRATCH/mount server=
at_end() {
    touch "$SCRATCH/stop"
    [ -z "$server" ] || kill -CONT "$server"
    fsfreeze -u "$SCRATCH/source" 2>/dev/null || true
}

begin_guests() { # two that keep 160 writes under way, and read back what they have written
    local name
    guests=()
    rm -f "$SCRATCH/stop"
    for name in vm1 vm2; do
        python3 "$MOUNT_TESTS/many-writers.py" "$mnt/$name.img" 80 "$SCRATCH/stop" &
        guests+=($!)
    done
}

nearly_all_wait() { [ "$(cat "$connection/waiting")" -ge 150 ]; }

# Each of its changes must succeed once. Begun while nearly all threads hang already.
begin_changes() { # DIRECTORY
    local number
    changes=()
    for number in {1..20}; do
        (mkdir "$1$number" && touch "$1$number/a" && mv "$1$number/a" "$1$number/b" && ln "$1$number/b" "$1$number/c") &
        changes+=($!)
    done
}

all_end_well() { # DIRECTORY
    local pid number
    touch "$SCRATCH/stop"
    for pid in "${guests[@]}" "${changes[@]}"; do
        eventually "$LIMIT" process_gone "$pid" || fail "the source is back, and a guest still waits"
        wait "$pid" || fail "a guest saw an error"
    done
    for number in {1..20}; do
        [ "$(ls "$1$number")" = $'b\nc' ] || fail "$1$number holds $(ls "$1$number")"
    done
}

# Not by timeout(1): what asks a mount that hangs cannot be killed. So the source goes on before the test fails.
answers() { # COMMAND…
    "$@" >/dev/null &
    eventually 20 process_gone $! || { at_end && fail "waits for the source: $*"; }
    wait $! || fail "$*"
}

operator_works() {
    answers cat "$mnt/.mirror/status"
    answers ls "$mnt/.mirror"
    answers twinfs status "$mnt"
    answers twinfs pause "$mnt/vm1.img"
    answers twinfs resume "$mnt/vm1.img"
    answers twinfs set "$mnt/vm1.img" speed=1G
}

say "a disk that hangs"
truncate -s 256M "$SCRATCH/disk.img"
mkfs.ext4 -q -F "$SCRATCH/disk.img"
device=$(attach_loop "$SCRATCH/disk.img")
mount "$device" "$SCRATCH/source"
for name in vm1 vm2; do random_file "$SCRATCH/source/$name.img" 32M; done
mount_twinfs "$SCRATCH/source" "$mnt"
connection=$(fuse_connection "$mnt")
start_mirror "$mnt/vm1.img" target="$SCRATCH/twins"
wait_ready "$mnt/vm1.img"
say "all that wait for requests, at once, and nobody foresaw it"
python3 - "$mnt/vm2.img" "$SCRATCH/is-quick" "$SCRATCH/go" <<'PYTHON' &
import mmap, os, sys, threading, time
image, block = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT), mmap.mmap(-1, 4096)
for place in range(3000):
    os.pwrite(image, block, place * 4096)
open(sys.argv[2], "w").close()
while not os.path.exists(sys.argv[3]):
    time.sleep(0.1)
threads = [threading.Thread(target=os.pwrite, args=(image, block, place * 4096)) for place in range(32)]
for one in threads:
    one.start()
for one in threads:
    one.join()
PYTHON
guests=($!) changes=()
eventually "$LIMIT" test -e "$SCRATCH/is-quick" || fail "the guest did not begin"
fsfreeze -f "$SCRATCH/source"
touch "$SCRATCH/go"
some_wait() { [ "$(cat "$connection/waiting")" -ge 32 ]; }
eventually 20 some_wait || fail "only $(cat "$connection/waiting") requests wait for the source"
operator_works
fsfreeze -u "$SCRATCH/source"
wait "${guests[0]}" || fail "a guest saw an error"

for restarts in no yes; do
    begin_guests
    sleep 1
    fsfreeze -f "$SCRATCH/source"
    eventually 20 nearly_all_wait || fail "only $(cat "$connection/waiting") requests wait for the source"
    begin_changes "$mnt/$restarts"
    sleep 2 # the kernel asks again whether it may go through the root
    operator_works
    operator_works
    if [ $restarts = yes ]; then
        timeout "$LIMIT" twinfs restart "$mnt" &
        changes+=($!)
        # Longer than the worker waits for its threads.
        sleep 7
    fi
    fsfreeze -u "$SCRATCH/source"
    all_end_well "$mnt/$restarts"
done
say "again and again: a thread that comes back must not overlook what waits"
begin_guests
for _ in {1..30}; do
    fsfreeze -f "$SCRATCH/source"
    sleep 0.1
    fsfreeze -u "$SCRATCH/source"
done
changes=()
all_end_well "$mnt/yes"
complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/twins/vm1.img"
unmount_twinfs "$mnt"
umount "$SCRATCH/source"
losetup -d "$device"

say "a server that hangs"
bindfs -f "$SCRATCH/disk" "$SCRATCH/source" &
server=$!
eventually 20 mountpoint -q "$SCRATCH/source" || fail "bindfs"
for name in vm1 vm2; do random_file "$SCRATCH/source/$name.img" 32M; done
mount_twinfs "$SCRATCH/source" "$mnt"
connection=$(fuse_connection "$mnt")
start_mirror "$mnt/vm1.img" target="$SCRATCH/twins/again.img"
wait_ready "$mnt/vm1.img"
begin_guests
sleep 1
kill -STOP "$server"
eventually 20 nearly_all_wait || fail "only $(cat "$connection/waiting") requests wait for the source"
begin_changes "$mnt/server"
sleep 2
operator_works
operator_works
kill -CONT "$server"
all_end_well "$mnt/server"
complete_and_compare "$mnt" vm1.img "$SCRATCH/source/vm1.img" "$SCRATCH/twins/again.img"
unmount_twinfs "$mnt"
umount "$SCRATCH/source"
eventually 20 process_gone "$server" || fail "bindfs stays"
server=
