#!/bin/bash
# Promise: the mount looks to a hypervisor like the disk below it: O_DIRECT with 512-byte alignment
# where that has it, and QEMU's image locks work among users of the mount, and against somebody who
# goes for the backing file behind the mount's back.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require qemu-system-x86_64 qemu-img qemu-io qemu-storage-daemon flock

mkdir "$SCRATCH"/{source,mount}
truncate -s $((8 * 1024 * 1024 + 512)) "$SCRATCH/source/odd.img"
truncate -s 8M "$SCRATCH/source/vm1.img"
qemu-img create -q -f qcow2 "$SCRATCH/source/vm2.qcow2" 8M
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
cd "$SCRATCH/mount"

# A size that is a multiple of 512 but not of 4096, with cache=none: the last sector is written.
for aio in threads native io_uring; do
    qemu-io -f raw -t none -i $aio -c 'write -P 7 8M 512' -c 'read -P 7 8M 512' odd.img |
        grep -q 'wrote 512/512' || fail "cache=none aio=$aio on an odd size"
done
[ "$(tail -c 512 "$SCRATCH/source/odd.img" | tr -d '\7' | wc -c)" = 0 ] || fail "last sector"

# A hypervisor whose guest is stopped holds the image until it is told to quit.
hold() { # FILE FORMAT
    local line=
    coproc HOLDER {
        exec qemu-system-x86_64 -accel tcg -S -nodefaults -display none -monitor stdio \
            -drive file="$1",format="$2",if=virtio,cache=none,aio=native 2>&1
    }
    echo 'info block' >&"${HOLDER[1]}"
    until [[ $line == *": $1"* ]]; do
        read -r -t "$LIMIT" line <&"${HOLDER[0]}" || fail "the first hypervisor: $line"
    done
}
release() {
    local pid=$HOLDER_PID
    echo quit >&"${HOLDER[1]}"
    wait "$pid"
}
open_for_writing() { # FILE FORMAT
    timeout 10 qemu-system-x86_64 -accel tcg -S -nodefaults -display none -monitor none \
        -drive file="$1",format="$2",if=virtio
}

locked='Failed to (get .* lock|lock byte)'
hold vm1.img raw
expect_error any "$locked" open_for_writing vm1.img raw
expect_error any "$locked" qemu-io -f raw -c 'write 0 4k' vm1.img
expect_error any "$locked" qemu-img resize -f raw vm1.img 16M
expect_error any "$locked" qemu-storage-daemon --blockdev file,node-name=a,filename=vm1.img \
    --export type=nbd,id=e,node-name=a,writable=on --nbd-server addr.type=unix,addr.path="$SCRATCH/s"
# The daemon itself holds the backing file while the mount has it open for writing.
expect_error any "$locked" qemu-io -f raw -c 'write 0 4k' "$SCRATCH/source/vm1.img"
expect_error any "$locked" open_for_writing "$SCRATCH/source/vm1.img" raw
release
qemu-io -f raw -c 'write 0 4k' vm1.img >/dev/null || fail "still locked after the first one went"

# The lock of a format with metadata keeps readers out too, unless they say that they know.
hold vm2.qcow2 qcow2
expect_error any "$locked" qemu-img check vm2.qcow2
qemu-img info -U vm2.qcow2 >/dev/null || fail "qemu-img info -U"
release
qemu-img check -q vm2.qcow2

# flock(1) and POSIX locks among users of the mount.
exec 9>vm1.img.lock
flock -x 9
expect_error 1 '' flock -n -x vm1.img.lock true
exec 9>&-
flock -n -x vm1.img.lock true
python3 - vm1.img <<'PYTHON'
import fcntl, os, sys
a = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(a, fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 100)
if os.fork() == 0:
    b = os.open(sys.argv[1], os.O_RDWR)
    try:
        fcntl.lockf(b, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 150)
    except OSError:
        os._exit(0)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
PYTHON
cd /
unmount_twinfs "$SCRATCH/mount"
# Closed, the backing file is free again.
qemu-io -f raw -c 'write 0 4k' "$SCRATCH/source/vm1.img" >/dev/null
