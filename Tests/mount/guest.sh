#!/bin/bash
# Promise: a running guest notices nothing of the mirror, whatever cache mode its hypervisor uses, and
# the twin boots with everything that the guest wrote.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=Tests/mount/guest/lib.sh
. "$MOUNT_TESTS/guest/lib.sh"

rounds=12
mkdir "$SCRATCH"/{source,mount,twins}
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
make_guest_disk "$SCRATCH/blank.raw" 256M 48M
qemu-img convert -O qcow2 "$SCRATCH/blank.raw" "$SCRATCH/blank.qcow2"

console_says() { grep -q "$2" "$1" 2>/dev/null; }

scenario() { # NAME FORMAT CACHE-OPTIONS
    local name=$1.$2 image=$SCRATCH/mount/$1.$2 console=$SCRATCH/$1.$2.console guest
    cp --sparse=always "$SCRATCH/blank.$2" "$SCRATCH/source/$name"
    start_mirror "$image" target="$SCRATCH/twins" speed=1M
    expect_field "$SCRATCH/mount" "$name" phase bulk

    boot_guest "$image" "$2" "$3" write $rounds "$console" &
    guest=$!
    eventually "$LIMIT" console_says "$console" 'GUEST ROUND 4' || {
        cat "$console"
        fail "$name: the guest does not write"
    }
    expect_field "$SCRATCH/mount" "$name" phase bulk
    timeout "$LIMIT" twinfs set "$image" speed=0
    wait $guest || fail "$name: QEMU ended with $?"
    check_console "$console"

    wait_ready "$image"
    complete_and_compare "$SCRATCH/mount" "$name" "$SCRATCH/source/$name" "$SCRATCH/twins/$name"
    verify_twin "$SCRATCH/twins/$name" "$2" $rounds
    say "$name: $3: equal, boots, checksums right"
}

# A raw and a qcow2 guest at once: two images of one mount are written side by side.
pair() { # NAME CACHE-OPTIONS
    local raw qcow2
    (trap - EXIT && scenario "$1" raw "$2") &
    raw=$!
    (trap - EXIT && scenario "$1" qcow2 "$2") &
    qcow2=$!
    wait $raw || fail "$1.raw"
    wait $qcow2 || fail "$1.qcow2"
}

pair native cache=none,aio=native
pair io_uring cache=none,aio=io_uring
pair writeback cache=writeback
pair directsync cache=directsync
unmount_twinfs "$SCRATCH/mount"
