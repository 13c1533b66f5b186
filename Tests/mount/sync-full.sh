#!/bin/bash
# Promise: sync=full takes along every file that an image's header refers to, cut at one instant, in the
# same layout: the twins open from their new place without any edit. What would not is refused with the way
# out, which works. sync=top copies the named image alone.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require qemu-img qemu-io

mkdir -p "$SCRATCH"/{source/{base,vm,split},mount,twins,top}
mnt=$SCRATCH/mount
twins=$SCRATCH/twins

(
    cd "$SCRATCH/source/base"
    qemu-img create -q -f qcow2 golden.qcow2 64M
    qemu-io -f qcow2 -c 'write -P 1 0 8M' -c 'write -P 2 32M 1M' golden.qcow2 >/dev/null
    cd ../vm
    qemu-img create -q -f qcow2 -b ../base/golden.qcow2 -F qcow2 middle.qcow2
    qemu-io -f qcow2 -c 'write -P 3 1M 3M' middle.qcow2 >/dev/null
    qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 top.qcow2
    # QEMU looks for a data file where it stands itself.
    qemu-img create -q -f qcow2 -o data_file=outside.data,data_file_raw=on outside.qcow2 32M
    qemu-io -f qcow2 -c 'write -P 4 2M 4M' outside.qcow2 >/dev/null
    cd ../split
    qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse split.vmdk 3G
    qemu-img create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 16M
)
mount_twinfs "$SCRATCH/source" "$mnt"

expect_images() { # JOB IMAGE…
    local found
    found=$(jq -r --arg id "$1" '.jobs[] | select(.id == $id) | .images | sort | join(" ")' \
        "$mnt/.mirror/status.json")
    [ "$found" = "${*:2}" ] || fail "$1 takes along: $found"
}

cut() { # IMAGE MEMBER…
    wait_ready "$mnt/$1"
    timeout "$LIMIT" twinfs complete "$mnt/$1" switch=off || fail "complete $1"
    wait_completed "$mnt/$1"
    expect_field "$mnt" "$1" error null
    for member in "${@:1}"; do compare "$SCRATCH/source/$member" "$twins/$member"; done
    timeout "$LIMIT" twinfs dismiss "$mnt/$1"
}

say "a chain of three, written while it is mirrored"
start_mirror "$mnt/vm/top.qcow2" target="$twins" speed=4M
expect_images vm/top.qcow2 base/golden.qcow2 vm/middle.qcow2 vm/top.qcow2
qemu-io -f qcow2 -t none -c 'write -P 5 3M 2M' -c 'write -P 6 40M 1M' -c flush \
    "$mnt/vm/top.qcow2" >/dev/null
timeout "$LIMIT" twinfs set "$mnt/vm/top.qcow2" speed=0
wait_ready "$mnt/vm/top.qcow2"
qemu-io -f qcow2 -t none -c 'write -P 7 4M 64k' "$mnt/vm/top.qcow2" >/dev/null
cut vm/top.qcow2 vm/middle.qcow2 base/golden.qcow2

say "an external data file"
start_mirror "$mnt/vm/outside.qcow2" target="$twins"
expect_images vm/outside.qcow2 vm/outside.data vm/outside.qcow2
(cd "$mnt/vm" && qemu-io -f qcow2 -t none -c 'write -P 8 20M 1M' outside.qcow2 >/dev/null)
cut vm/outside.qcow2 vm/outside.data

say "a split VMDK, and a flat one"
start_mirror "$mnt/split/split.vmdk" target="$twins"
expect_images split/split.vmdk split/split-s001.vmdk split/split-s002.vmdk split/split.vmdk
qemu-io -f vmdk -c 'write -P 9 100M 1M' -c 'write -P 10 2500M 1M' "$mnt/split/split.vmdk" >/dev/null
cut split/split.vmdk split/split-s001.vmdk split/split-s002.vmdk
start_mirror "$mnt/split/flat.vmdk" target="$twins"
expect_images split/flat.vmdk split/flat-flat.vmdk split/flat.vmdk
qemu-io -f vmdk -c 'write -P 11 1M 1M' "$mnt/split/flat.vmdk" >/dev/null
cut split/flat.vmdk split/flat-flat.vmdk

say "what a twin could not open is refused, and the way out works"
(
    cd "$SCRATCH/source/vm"
    qemu-img create -q -f qcow2 -b "$SCRATCH/source/base/golden.qcow2" -F qcow2 absolute.qcow2
    qemu-img create -q -u -f qcow2 -b ../base/gone.qcow2 -F qcow2 missing.qcow2 64M
    qemu-img create -q -u -f qcow2 -b ../../elsewhere.qcow2 -F qcow2 leaving.qcow2 64M
)
refused() { # IMAGE REGEX
    expect_error 7 "vm/$1\.qcow2.*$2.*sync=top" twinfs mirror "$mnt/vm/$1.qcow2" target="$SCRATCH/none/"
    [ ! -e "$SCRATCH/none" ] || fail "a refused job has left $(find "$SCRATCH/none")"
}
refused absolute 'golden\.qcow2.*absolute path'
refused missing 'base/gone\.qcow2.*does not exist'
refused leaving 'elsewhere\.qcow2.*leaves the source directory'
expect_error 7 'qemu-img rebase -u -b \.\./base/golden\.qcow2' \
    twinfs mirror "$mnt/vm/absolute.qcow2" target="$SCRATCH/none/"
qemu-img rebase -u -f qcow2 -b ../base/golden.qcow2 -F qcow2 "$mnt/vm/absolute.qcow2"
start_mirror "$mnt/vm/absolute.qcow2" target="$twins" existing=reuse
cut vm/absolute.qcow2 base/golden.qcow2
expect_error any 'name a directory' twinfs mirror "$mnt/vm/top.qcow2" target="$SCRATCH/one-file.qcow2"

say "sync=top"
for name in top missing; do
    start_mirror "$mnt/vm/$name.qcow2" target="$SCRATCH/top" sync=top
    expect_images vm/$name.qcow2 vm/$name.qcow2
    wait_ready "$mnt/vm/$name.qcow2"
    complete_and_compare "$mnt" vm/$name.qcow2 "$SCRATCH"/{source,top}/vm/$name.qcow2
done
[ "$(find "$SCRATCH/top" -type f | wc -l)" = 2 ] || fail "sync=top took along: $(find "$SCRATCH/top")"
unmount_twinfs "$mnt"

say "the twins open where they are, without the source"
mv "$SCRATCH/source" "$SCRATCH/away"
same() { # FORMAT IMAGE
    (cd "$twins/$(dirname "$2")" && qemu-img convert -f "$1" -O qcow2 "$(basename "$2")" "$SCRATCH/twin.qcow2") ||
        fail "the twin $2 does not open"
    (cd "$SCRATCH/away/$(dirname "$2")" &&
        qemu-img compare -q -f "$1" -F qcow2 "$(basename "$2")" "$SCRATCH/twin.qcow2") ||
        fail "the twin $2 has not what the guest sees"
}
same qcow2 vm/top.qcow2
same qcow2 vm/outside.qcow2
same qcow2 vm/absolute.qcow2
same vmdk split/split.vmdk
same vmdk split/flat.vmdk
for image in vm/top.qcow2 vm/middle.qcow2 base/golden.qcow2; do
    qemu-img check -q "$twins/$image" || fail "qemu-img check $image"
done
