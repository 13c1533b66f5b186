#!/bin/bash
# Promise: a directory in the mount behaves as a plain directory does: every file operation, results
# and errors alike. The operations stand in fileops/, a file each; they run in both, and are compared.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require mkfs.ext4 getfattr getfacl
[ "$(id -u)" = 0 ] || fail "needs root"
[ -e "$MOUNT_TESTS/fileops/__main__.py" ] || fail "fileops is missing"

# Source and plain directory on two filesystems of the same kind and making.
for name in source plain; do
    mkdir "$SCRATCH/$name"
    truncate -s 512M "$SCRATCH/$name.fs"
    mkfs.ext4 -q -F "$SCRATCH/$name.fs"
    mount "$(attach_loop "$SCRATCH/$name.fs")" "$SCRATCH/$name"
    rmdir "$SCRATCH/$name/lost+found"
done
mkdir "$SCRATCH/mount"
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount" -o allow_other
timeout "$LIMIT" python3 -B "$MOUNT_TESTS/fileops" "$SCRATCH/plain" "$SCRATCH/mount"
unmount_twinfs "$SCRATCH/mount"
for name in source plain; do
    device=$(findmnt -n -o SOURCE "$SCRATCH/$name")
    umount "$SCRATCH/$name"
    losetup -d "$device"
done
