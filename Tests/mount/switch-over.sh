#!/bin/bash
# Promise: `complete` has a running guest go on on the twin with the handles that it has, and the mirror
# back on its old disk; a remount keeps which file serves; the file that serves no more is not touched, and
# is never served for the other; a pause longer than max-pause is not imposed on the guest.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require fio getfattr sha256sum nbdkit nbdfuse

mkdir "$SCRATCH"/{source,mount,twins,slow}
mnt=$SCRATCH/mount
image=$mnt/vm.img
state=$SCRATCH/state
home=$SCRATCH/source/vm.img
twin=$SCRATCH/twins/vm.img
random_file "$home" 32M

served() { jq -r '.served[] | .image + " " + .twin' "$1/.mirror/status.json"; }
sum() { sha256sum <"$1"; }
superseded() { getfattr --only-values -n user.twinfs.superseded "$1" 2>/dev/null; }

start_guests() { # IMAGE: they go on until the next function is called
    rm -f "$SCRATCH"/{stop,report}
    python3 "$MOUNT_TESTS/handles.py" "$1" "$SCRATCH/report" &
    handles=$!
    fio_rounds "$1" &
    rounds=$!
    eventually "$LIMIT" test -e "$SCRATCH/report" || fail "the guest does not write"
}

# What a round has written it reads back, wherever the image is served from by then.
fio_rounds() { # IMAGE
    trap - EXIT
    until [ -e "$SCRATCH/stop" ]; do
        timeout "$LIMIT" fio --name=guest --filename="$1" --rw=randwrite --offset=8M --size=16M \
            --bssplit=4k/60:64k/40 --blockalign=4k --ioengine=libaio --direct=1 --iodepth=8 \
            --verify=crc32c --verify_fatal=1 --randseed=$RANDOM \
            >"$SCRATCH/fio.log" 2>&1 || { cat "$SCRATCH/fio.log" && return 1; }
    done
}

stop_guests() { # FILE: the one that has served them to the end
    touch "$SCRATCH/stop"
    wait $rounds || fail "fio saw an error"
    kill -TERM $handles
    wait $handles || fail "a handle saw an error"
    cmp -n $((3 << 20)) "$SCRATCH/report" "$1" || fail "$1 has not what the guest wrote"
}

switch_over() { # IMAGE JOB MIRROR-OPTION…
    start_mirror "$1" "${@:3}"
    wait_ready "$1"
    timeout "$LIMIT" twinfs complete "$1" || fail "complete $1"
    wait_completed "$1"
    expect_field "$(dirname "$1")" "$2" error null
    expect_field "$(dirname "$1")" "$2" last-pause-us '[0-9]+'
}

say "there"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$state"
start_guests "$image"
switch_over "$image" vm.img target="$SCRATCH/twins"
expect_field "$mnt" vm.img serving "$twin"
[ "$(served "$mnt")" = "vm.img $twin" ] || fail "served: $(served "$mnt")"
[[ $(superseded "$home") == *" $twin" ]] || fail "the old source is not marked: $(superseded "$home")"
old=$(sum "$home")
sleep 1 # the guests write to the twin
stop_guests "$twin"
cmp "$image" "$twin" || fail "the mount does not show the twin"
[ "$(sum "$home")" = "$old" ] || fail "the old source was written to"

say "a remount goes on with the twin"
unmount_twinfs "$mnt"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$state"
[ "$(served "$mnt")" = "vm.img $twin" ] || fail "served after a remount: $(served "$mnt")"
grep -qF "$twin" "$mnt/.mirror/status" || fail "the status does not name the twin"
dd if=/dev/urandom of="$image" bs=64k count=9 seek=3 conv=notrunc,fsync status=none
cmp "$image" "$twin" || fail "the mount does not show the twin after a remount"
[ "$(sum "$home")" = "$old" ] || fail "the old source was written to after a remount"

say "and back"
expect_error any 'existing=reuse' twinfs mirror "$image" target="$home"
start_guests "$image"
switch_over "$image" vm.img target="$home" existing=reuse
expect_field "$mnt" vm.img serving source
[ -z "$(served "$mnt")" ] || fail "still served: $(served "$mnt")"
superseded "$home" && fail "the source is still superseded"
[ -n "$(superseded "$twin")" ] || fail "the twin that serves no more is not marked"
old=$(sum "$twin")
stop_guests "$home"
unmount_twinfs "$mnt"
[ "$(sum "$twin")" = "$old" ] || fail "the twin that serves no more was written to"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$state"
cmp "$image" "$home" || fail "the source does not serve after a remount"

say "without its state directory a mount does not serve old data"
rm "$twin"
switch_over "$image" vm.img target="$SCRATCH/twins"
unmount_twinfs "$mnt"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$SCRATCH/empty"
expect_error any 'Input/output error' cat "$image"
expect_error any 'Input/output error' dd if=/dev/null of="$image" conv=notrunc
grep -q 'vm\.img.*superseded' "$mnt/.mirror/status" ||
    fail "no words for it: $(cat "$mnt/.mirror/status")"
unmount_twinfs "$mnt"
mount_twinfs "$SCRATCH/source" "$mnt" -o statedir="$state"
cmp "$image" "$twin" || fail "the twin does not serve again"

say "max-pause"
random_file "$SCRATCH/source/paused.img" 8M
truncate -s 8M "$SCRATCH/slow.img"
nbdkit -f -U "$SCRATCH/socket" --filter=delay file "$SCRATCH/slow.img" wdelay=60ms &
server=$!
eventually 20 test -S "$SCRATCH/socket" || fail "nbdkit"
nbdfuse "$SCRATCH/slow/disk" "nbd+unix:///?socket=$SCRATCH/socket" &
fuse=$!
eventually 20 test -e "$SCRATCH/slow/disk" || fail "nbdfuse"
device=$(attach_loop "$SCRATCH/slow/disk")
start_mirror "$mnt/paused.img" target="$device" max-pause=10 copy-mode=background
wait_ready "$mnt/paused.img"
start_guests_writer() {
    trap - EXIT
    until [ -e "$SCRATCH/stop" ]; do
        dd if=/dev/urandom of="$mnt/paused.img" bs=4k count=1 seek=$((RANDOM % 2048)) \
            conv=notrunc status=none || return 1
        sleep 0.02
    done
}
rm -f "$SCRATCH/stop"
start_guests_writer &
writer=$!
timeout "$LIMIT" twinfs complete "$mnt/paused.img"
wait_field "$mnt" paused.img last-pause-us '[0-9]+'
expect_field "$mnt" paused.img phase completing
expect_field "$mnt" paused.img serving source
timeout "$LIMIT" twinfs set "$mnt/paused.img" max-pause=60000
wait_completed "$mnt/paused.img"
expect_field "$mnt" paused.img serving "$device"
touch "$SCRATCH/stop"
wait $writer || fail "the writer saw an error"
cmp -n $((8 << 20)) "$mnt/paused.img" "$device" || fail "the device does not serve"
rm -f "$mnt/paused.img"
unmount_twinfs "$mnt"
losetup -d "$device"
umount "$SCRATCH/slow"
wait $fuse || true
kill $server
wait $server || true

say "over the source itself"
rm -r "$state" "$SCRATCH/twins" "$SCRATCH/source"
mkdir "$SCRATCH"/{twins,source}
images=$SCRATCH/source
# Not smaller than what fio writes: it would make a new file of that name.
random_file "$home" 32M
MOUNTS+=("$images")
timeout "$LIMIT" twinfs "$images" -o statedir="$state"
start_guests "$images/vm.img"
switch_over "$images/vm.img" vm.img target="$SCRATCH/twins"
expect_field "$images" vm.img serving "$twin"
switch_over "$images/vm.img" 'vm.img#2' target="$images/vm.img" existing=reuse
expect_field "$images" 'vm.img#2' serving source
stop_guests "$images/vm.img"
unmount_twinfs "$images"
cmp -n $((3 << 20)) "$SCRATCH/report" "$home" || fail "the source has not what the guest wrote"
