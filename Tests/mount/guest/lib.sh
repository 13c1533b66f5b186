# shellcheck shell=bash
# Boots the test guest: Debian's kernel under QEMU without KVM, our busybox initramfs, one ext4 disk.
# Sourced after ../lib.sh.
require qemu-system-x86_64 qemu-img busybox modprobe cpio mkfs.ext4 e2fsck

kernel=$(find /boot -maxdepth 1 -name 'vmlinuz-*' | sort -V | tail -n 1)
[ -n "$kernel" ] || fail "no /boot/vmlinuz-*: linux-image-amd64 is missing"
"$MOUNT_TESTS/guest/build-initramfs" "$SCRATCH/initramfs" "${kernel#/boot/vmlinuz-}"

# IMAGE FORMAT CACHE-OPTIONS TASK ROUNDS CONSOLE [FIFO]: returns when the guest powered itself off. What is
# written to the FIFO is typed at its console.
boot_guest() {
    local machine=(timeout "${GUEST_LIMIT:-300}" qemu-system-x86_64 -accel tcg -cpu max -m 256
        -nodefaults -display none -no-reboot -kernel "$kernel" -initrd "$SCRATCH/initramfs"
        -append "console=ttyS0 quiet panic=-1 no_timer_check twin.do=$4 twin.rounds=$5"
        -drive "file=$1,format=$2,if=virtio,discard=unmap,$3")
    if [ -n "${7:-}" ]; then
        "${machine[@]}" -serial stdio <>"$7" >"$6"
    else
        "${machine[@]}" -serial "file:$6" </dev/null
    fi
}

check_console() { # CONSOLE
    if grep -E 'I/O error|EXT4-fs error|JBD2:.*error|Kernel panic|GUEST FAILED|Oops' "$1"; then
        cat "$1"
        fail "the guest saw an error ($1)"
    fi
    grep -q '^GUEST DONE' "$1" || { cat "$1" && fail "the guest did not come to its end ($1)"; }
}

# FILE SIZE CONTENT: a raw disk with ext4 and CONTENT of random data, so that bulk has work.
make_guest_disk() {
    local tree
    tree=$(mktemp -d "$SCRATCH/tree.XXXXXX")
    random_file "$tree/ballast" "$3"
    truncate -s "$2" "$1"
    mkfs.ext4 -q -F -d "$tree" "$1"
    rm -r "$tree"
}

# The twin opens, its filesystem is clean, its files have their checksums and it takes writes.
verify_twin() { # TWIN FORMAT ROUNDS
    local copy
    copy=$(mktemp "$SCRATCH/copy.XXXXXX")
    [ "$2" = raw ] || qemu-img check -q -f "$2" "$1" || fail "qemu-img check $1"
    qemu-img convert -f "$2" -O raw "$1" "$copy"
    e2fsck -fn "$copy" >"$copy.log" 2>&1 || { cat "$copy.log" && fail "e2fsck of $1"; }
    boot_guest "$copy" raw cache=unsafe verify "$3" "$copy.console" || fail "the twin does not boot"
    check_console "$copy.console"
    rm "$copy"
}
