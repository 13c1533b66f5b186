#!/bin/bash
# Promise: a guest that was switched to a block device finds its image there, and neither less nor more: what
# the device has past the image's end is not read, and nothing is written there. No other job takes it.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require losetup cmp

mkdir "$SCRATCH"/{source,mount}
mnt=$SCRATCH/mount
state=$SCRATCH/state
length=$((3 * 1024 * 1024 + 512))
random_file "$SCRATCH/source/vm1.img" $length
random_file "$SCRATCH/source/other.img" 1M
random_file "$SCRATCH/device.img" 4M
# The copier makes the rest of the last granule zero.
beyond=$((3 * 1024 * 1024 + 4096 + 1))
tail -c +$beyond "$SCRATCH/device.img" >"$SCRATCH/beyond"
device=$(attach_loop "$SCRATCH/device.img")
mount_twinfs "$SCRATCH/source" "$mnt" -o "statedir=$state"

exec {guest}<>"$mnt/vm1.img"
start_mirror "$mnt/vm1.img" target="$device"
wait_ready "$mnt/vm1.img"
timeout "$LIMIT" twinfs complete "$mnt/vm1.img"
wait_completed "$mnt/vm1.img"

the_device_is_bounded() {
    [ "$(stat -c %s "$mnt/vm1.img")" = $length ] || fail "the image has another size"
    compare "$mnt/vm1.img" "$SCRATCH/source/vm1.img"
    # A read that the page cache does not cut at the size.
    dd if="$mnt/vm1.img" of="$SCRATCH/read" bs=1M iflag=direct status=none
    compare "$SCRATCH/read" "$SCRATCH/source/vm1.img"
    expect_error any 'No space left' dd if=/dev/zero of="$mnt/vm1.img" bs=4k count=1 \
        oflag=append conv=notrunc
    expect_error any 'No space left' dd if=/dev/zero of="$mnt/vm1.img" bs=4k count=1 seek=1000 \
        oflag=direct conv=notrunc
    expect_error any 'No space left' truncate -s 4M "$mnt/vm1.img"
    [ "$(stat -c %s "$mnt/vm1.img")" = $length ] || fail "the image has another size"
}

the_device_is_refused() { # MESSAGE-REGEX
    local more
    for more in existing=fail existing=reuse; do
        expect_error any "$1" twinfs mirror "$mnt/other.img" target="$device" $more
    done
    ln -sfn "$device" "$SCRATCH/link"
    expect_error any "$1" twinfs mirror "$mnt/other.img" target="$SCRATCH/link"
}

the_device_is_bounded
the_device_is_refused 'vm1.img is served from it'
exec {guest}>&-
unmount_twinfs "$mnt"
mount_twinfs "$SCRATCH/source" "$mnt" -o "statedir=$state"
# Nobody has the image open.
the_device_is_refused 'vm1.img is served from it'
the_device_is_bounded
unmount_twinfs "$mnt"

printf x >>"$state/serving.json"
mount_twinfs "$SCRATCH/source" "$mnt" -o "statedir=$state"
the_device_is_refused 'may be served from it'
unmount_twinfs "$mnt"

tail -c +$beyond "$device" | cmp - "$SCRATCH/beyond" || fail "written past the image's end"
losetup -d "$device"
