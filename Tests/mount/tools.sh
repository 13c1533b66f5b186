#!/bin/bash
# Promise: the tools that people use on image files do in the mount what they do in a plain directory,
# to the byte, while jobs run, and the twins follow.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require qemu-img qemu-io mkfs.ext4 e2fsck dd cp fallocate truncate

mkdir "$SCRATCH"/{source,mount,plain,twins}
random_file "$SCRATCH/seed.raw" 3M
truncate -s 32M "$SCRATCH/seed.raw"

# The same commands run in both folders; whatever they print goes to the log and is compared.
work() {
    qemu-img create -q -f qcow2 a.qcow2 64M
    qemu-img create -q -f qcow2 -o preallocation=metadata b.qcow2 32M
    qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 child.qcow2
    qemu-img create -q -f raw a.raw 16M
    qemu-img convert -f raw -O qcow2 ../seed.raw c.qcow2
    qemu-img convert -f qcow2 -O raw c.qcow2 c.raw
    qemu-img convert -f qcow2 -O vmdk c.qcow2 c.vmdk
    qemu-io -f qcow2 -c 'write -P 1 1M 2M' -c 'write -z 2M 512k' -c 'discard 1M 256k' a.qcow2
    qemu-io -f qcow2 -c 'write -P 9 5M 64k' child.qcow2
    qemu-io -f raw -t none -c 'write -P 2 0 1M' -c 'write -z -u 64k 64k' -c 'discard 512k 128k' \
        -c 'write -P 3 700001 4321' -c flush a.raw
    qemu-img resize -q -f qcow2 a.qcow2 96M
    qemu-img resize -q -f raw a.raw 24M
    qemu-img resize -q -f raw --shrink a.raw 20M
    qemu-img check -f qcow2 a.qcow2
    qemu-img check -f qcow2 b.qcow2
    qemu-img compare -f raw -F qcow2 c.raw c.qcow2
    qemu-img map --output=json -f qcow2 a.qcow2
    qemu-img map --output=json -f raw c.raw
    qemu-img snapshot -c one a.qcow2
    qemu-img commit -q -f qcow2 child.qcow2
    cp --sparse=always c.raw sparse.raw
    cp --reflink=auto c.raw copy.raw
    dd if=../seed.raw of=d.raw bs=64k conv=fsync status=none
    dd if=../seed.raw of=d.raw bs=4k skip=3 seek=100 count=50 conv=notrunc,fsync status=none
    dd if=../seed.raw of=d.raw bs=4k count=10 oflag=append conv=notrunc status=none
    fallocate --punch-hole --offset 1M --length 1M c.raw
    fallocate --zero-range --offset 100k --length 300k d.raw
    fallocate --length 40M d.raw
    truncate -s 39M d.raw
    stat -c '%n %s %a %U' ./*.raw
}

disk_on_loop() { # FILE: a filesystem on a loop device on an image
    local device
    truncate -s 64M "$1"
    device=$(attach_loop "$1")
    mkfs.ext4 -q "$device"
    mkdir "$SCRATCH/on-loop"
    mount "$device" "$SCRATCH/on-loop"
    cp "$SCRATCH/seed.raw" "$SCRATCH/on-loop/"
    dd if=/dev/urandom of="$SCRATCH/on-loop/random" bs=1M count=8 conv=fsync status=none
    fstrim "$SCRATCH/on-loop"
    umount "$SCRATCH/on-loop"
    losetup -d "$device"
    e2fsck -fn "$1" >/dev/null || fail "e2fsck of $1"
}


(cd "$SCRATCH/plain" && work >"$SCRATCH/plain.log")
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"
(cd "$SCRATCH/mount" && work >"$SCRATCH/mount.log")
# qemu-io prints times, qemu-img map the allocation of the folder below.
for log in plain mount; do
    grep -vE 'ops; |"data"' "$SCRATCH/$log.log" >"$SCRATCH/$log.text"
done
diff "$SCRATCH/plain.text" "$SCRATCH/mount.text" || fail "tools say other things in the mount"

for file in "$SCRATCH"/plain/*; do
    name=$(basename "$file")
    case $name in
    c.vmdk | *.qcow2) # random ids and times in the header: compared by content
        qemu-img compare -q "$file" "$SCRATCH/mount/$name" || fail "$name has another content" ;;
    *) compare "$file" "$SCRATCH/mount/$name" ;;
    esac
done

# The same while a job follows each image.
for name in a.raw d.raw; do
    start_mirror "$SCRATCH/mount/$name" target="$SCRATCH/twins"
done
(
    cd "$SCRATCH/mount"
    qemu-io -f raw -t none -c 'write -P 2 1M 1M' -c 'write -z -u 1M 64k' -c 'discard 1M 512k' a.raw
    qemu-img resize -q -f raw a.raw 48M
    qemu-img resize -q -f raw --shrink a.raw 30M
    dd if=../seed.raw of=d.raw bs=4k skip=3 seek=9000 count=50 conv=notrunc,fsync status=none
    fallocate --punch-hole --offset 2M --length 1M d.raw
    fallocate --zero-range --offset 4M --length 3M d.raw
) >/dev/null
for name in a.raw d.raw; do
    wait_ready "$SCRATCH/mount/$name"
    complete_and_compare "$SCRATCH/mount" $name "$SCRATCH/source/$name" "$SCRATCH/twins/$name"
done

random_file "$SCRATCH/source/loop.img" 1M
start_mirror "$SCRATCH/mount/loop.img" target="$SCRATCH/twins"
disk_on_loop "$SCRATCH/mount/loop.img"
wait_ready "$SCRATCH/mount/loop.img"
complete_and_compare "$SCRATCH/mount" loop.img "$SCRATCH/source/loop.img" "$SCRATCH/twins/loop.img"
e2fsck -fn "$SCRATCH/twins/loop.img" >/dev/null || fail "e2fsck of the twin"
unmount_twinfs "$SCRATCH/mount"
