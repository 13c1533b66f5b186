#!/bin/bash
# Promise: whatever way a guest's writes arrive (io_uring, libaio, buffered, shared mmap; 4 KiB to
# 1 MiB at random), in bulk and in ready, all of them are in the twin.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require fio

size=96M
say "SEED=$SEED"
mkdir "$SCRATCH"/{source,mount,twins}
mount_twinfs "$SCRATCH/source" "$SCRATCH/mount"

# Covers the whole file, each block once. A second call with the same seed and --verify_only expects
# to find exactly that.
run_fio() { # FILE SEED FIO-OPTION…
    local file=$1 seed=$2
    shift 2
    timeout "$LIMIT" fio --name=guest --filename="$file" --rw=randwrite --size=$size \
        --bssplit=4k/50:16k/20:64k/15:256k/10:1m/5 --blockalign=4k --randseed="$seed" \
        --verify=crc32c --verify_fatal=1 --end_fsync=1 "$@" >"$SCRATCH/fio.log" 2>&1 ||
        { cat "$SCRATCH/fio.log" && fail "fio $*"; }
}

scenario() { # NAME FIO-OPTION…
    local name=$1 image=$SCRATCH/mount/$1.img writer
    shift
    random_file "$SCRATCH/source/$name.img" $size
    start_mirror "$image" target="$SCRATCH/twins" speed=8M
    expect_field "$SCRATCH/mount" "$name.img" phase bulk

    run_fio "$image" "$SEED" "$@" &
    writer=$!
    sleep 1 # the slow copier and then the unhindered one meet the writer
    timeout "$LIMIT" twinfs set "$image" speed=0
    wait $writer || fail "$name: fio in bulk"
    wait_ready "$image"

    run_fio "$image" $((SEED + 1)) "$@"
    complete_and_compare "$SCRATCH/mount" "$name.img" \
        "$SCRATCH/source/$name.img" "$SCRATCH/twins/$name.img"
    run_fio "$SCRATCH/twins/$name.img" $((SEED + 1)) --ioengine=psync --verify_only
    rm "$SCRATCH/source/$name.img" "$SCRATCH/twins/$name.img"
}

scenario io_uring --ioengine=io_uring --direct=1 --iodepth=16
scenario libaio --ioengine=libaio --direct=1 --iodepth=16
scenario buffered --ioengine=psync
scenario mmap --ioengine=mmap
unmount_twinfs "$SCRATCH/mount"
