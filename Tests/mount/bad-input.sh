#!/bin/bash
# Promise: what cannot be done is refused before anything is touched, with a message that names the
# thing. Each case: exit code above 0, the message, and nothing mounted, created or changed.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require setpriv unshare find md5sum

S=$SCRATCH
umask 022
mkdir "$S"/{source,source/folder,source/inner,mount,other,twins,full,readonly,plain}
random_file "$S/source/vm1.img" 2M
random_file "$S/source/vm2.img" 2M
random_file "$S/source/busy.img" 8M
echo file >"$S/file"
echo kept >"$S/plain/kept"
mkdir -m 700 "$S/private"
mkdir "$S/nobody"
chown 65534:65534 "$S/nobody"
mount -t tmpfs -o size=1M tmpfs "$S/full"
mount -t tmpfs -o ro tmpfs "$S/readonly"

# Everything that must not change: names, sizes, times, contents; and the mount table.
snapshot() {
    # The access to .mirror is not part of it: status counts seconds.
    find "$S" -name .mirror -prune -o -printf '%p %y %s %m %U %C@\n' 2>/dev/null | sort
    find "$S" -name .mirror -prune -o -type f -print0 | sort -z | xargs -0 md5sum
    mounts_below "$S" | tr '\0' '\n'
    echo end
}

cases=0
failures=0
# A wrong case does not hide the ones behind it: they are counted.
refused() { # MESSAGE-REGEX COMMAND…
    local before after text point
    before=$(snapshot)
    if ! text=$( (trap - EXIT && expect_error any "$@") 2>&1); then
        say "$text"
        failures=$((failures + 1))
    fi
    after=$(snapshot)
    if [ "$before" != "$after" ]; then
        say "CHANGED by: $*"
        diff <(say "$before") <(say "$after") || true
        for point in "$S/nobody" "$S/other" "$S/plain" "$S/mount"; do # so that the next case is fair
            [[ $before != *$'\n'"$point"$'\n'* ]] && mountpoint -q "$point" && umount -l "$point"
        done
        failures=$((failures + 1))
    fi
    cases=$((cases + 1))
}

say "--- help"
twinfs help parameters >"$S/help"
grep -q '^max-pause: default 300, live' "$S/help"
grep -q '^sync: default full$' "$S/help"
if LC_ALL=C.UTF-8 grep -E '^.{81}' "$S/help"; then fail "help is wider than 80 columns"; fi
twinfs help exit-codes | grep -q '^64 .*command line'
twinfs --help | grep -q 'twinfs help exit-codes'
twinfs help set | grep -q 'Can be changed: speed'
rm "$S/help"

say "--- the source"
refused "$S/none" twinfs "$S/none" "$S/mount"
refused "$S/file" twinfs "$S/file" "$S/mount"
refused "$S/private" as_nobody twinfs "$S/private" "$S/nobody"
refused '' twinfs
refused '' twinfs "$S/source" "$S/mount" "$S/other"

say "--- the mountpoint"
refused "$S/none" twinfs "$S/source" "$S/none"
refused "$S/file" twinfs "$S/source" "$S/file"
refused "$S/plain.*empty|empty.*$S/plain" twinfs "$S/source" "$S/plain"

say "--- options"
refused frobnicate twinfs "$S/source" "$S/mount" -o frobnicate
refused frobnicate twinfs "$S/source" "$S/mount" -o frobnicate=1
refused frobnicate twinfs "$S/source" "$S/mount" --frobnicate
refused sideways twinfs "$S/source" "$S/mount" -o "target=$S/twins,sync=sideways"
refused quickly twinfs "$S/source" "$S/mount" -o "target=$S/twins,speed=quickly"
refused 3000 twinfs "$S/source" "$S/mount" -o "target=$S/twins,granularity=3000"
refused "$S/source" twinfs "$S/source" "$S/mount" -o "target=$S/source"
refused "$S/mount" twinfs "$S/source" "$S/mount" -o "target=$S/mount"
refused "$S/source/inner" twinfs "$S/source" "$S/mount" -o "target=$S/source/inner"
refused "$S" twinfs "$S/source" "$S/mount" -o "target=$S"
refused "$S/none" twinfs "$S/source" "$S/mount" -o "target=$S/none/deeper"
refused 'nbd://host/x.*directory' twinfs "$S/source" "$S/mount" -o target=nbd://host/x
refused 'fsync=both.*copy-mode=write-blocking' twinfs "$S/source" "$S/mount" -o fsync=both
refused "log=$S/source/log.*cannot lie in its source" twinfs "$S/source" "$S/mount" -o "log=$S/source/log"
refused "log=$S/mount/log.*cannot lie in its source" twinfs "$S/source" "$S/mount" -o "log=$S/mount/log"
refused 'statedir=state' twinfs "$S/source" "$S/mount" -o statedir=state
refused "$S/file" twinfs "$S/source" "$S/mount" -o "statedir=$S/file"
refused "$S/file/deeper" twinfs "$S/source" "$S/mount" -o "statedir=$S/file/deeper"
for place in source source/deeper/state mount/state twins/none/../../source/state; do
    refused "$S/$place.*statedir=" twinfs "$S/source" "$S/mount" -o "statedir=$S/$place"
done
ln -s ../source/inner "$S/twins/inside"
refused "$S/twins/inside/state" twinfs "$S/source" -o "statedir=$S/twins/inside/state"
rm "$S/twins/inside"

say "--- rights and /dev/fuse"
cp /etc/fuse.conf "$S/fuse.conf"
sed -i '/^user_allow_other/d' "$S/fuse.conf"
# Both in a mount namespace of their own, which ends with the command.
# shellcheck disable=SC2016
{
    refused allow_other unshare -m bash -c 'mount --bind "$1/fuse.conf" /etc/fuse.conf &&
        exec setpriv --reuid=65534 --regid=65534 --clear-groups \
            twinfs "$1/source" "$1/nobody" -o allow_other' sh "$S"
    refused /dev/fuse unshare -m bash -c 'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 &&
        mknod -m 666 /dev/zero c 1 5 && mknod -m 666 /dev/urandom c 1 9 &&
        exec twinfs "$1/source" "$1/mount"' sh "$S"
}

say "--- a source that is served already"
mount_twinfs "$S/source" "$S/mount"
refused "$S/(source|mount)" twinfs "$S/source" "$S/mount"
refused "$S/source" twinfs "$S/source" "$S/other"
refused "$S/(mount|source)" twinfs "$S/mount" "$S/other"

say "--- mirror"
image=$S/mount/vm1.img
refused none.img twinfs mirror "$S/mount/none.img" target="$S/twins"
refused folder twinfs mirror "$S/mount/folder" target="$S/twins"
refused "$S/plain/kept" twinfs mirror "$S/plain/kept" target="$S/twins"
refused target twinfs mirror "$image"
refused relative/path twinfs mirror "$image" target=relative/path
refused frobnicate twinfs mirror "$image" target="$S/twins" frobnicate=1
refused sideways twinfs mirror "$image" target="$S/twins" sync=sideways
refused sideways twinfs mirror "$image" target="$S/twins" copy-mode=sideways
refused sideways twinfs mirror "$image" target="$S/twins" existing=sideways
refused perhaps twinfs mirror "$image" target="$S/twins" unmap=perhaps
refused 12X twinfs mirror "$image" target="$S/twins" speed=12X
refused '-1' twinfs mirror "$image" target="$S/twins" speed=-1
for value in 3000 0 256 128M many; do
    refused "$value" twinfs mirror "$image" target="$S/twins" granularity=$value
done
refused 'vm1.img is named twice' twinfs mirror "$image" "$S/mount/vm2.img" "$image" target="$S/twins/"
refused 'one image alone, and 2' twinfs mirror "$image" "$S/mount/vm2.img" target="$S/twins/" sync=none
refused 'lies in no twinfs mount' twinfs mirror "$image" "$S/plain/kept" target="$S/twins/"
refused 'checkpoint=NAME' twinfs mirror "$image" target="$S/twins" sync=incremental
refused 'sync=none' twinfs mirror "$image" target="$S/twins" seed=reflink
refused 'fsync=both.*copy-mode=auto' twinfs mirror "$image" target="$S/twins" fsync=both
refused 'pre-cut' twinfs mirror "$image" target="$S/twins" pre-cut=

say "--- checkpoints"
refused '' twinfs checkpoint "$image"
refused '' twinfs checkpoint --list "$image" monday
refused '' twinfs checkpoint --list --delete "$image" monday
refused '[.]monday' twinfs checkpoint "$image" .monday
refused 'a/b' twinfs checkpoint --delete "$image" a/b
refused "$S/mount/none.img" twinfs checkpoint --list "$S/mount/none.img"
refused "$S/mount" twinfs checkpoint --list "$S/mount"
listed=$(timeout "$LIMIT" twinfs checkpoint --list "$image") || fail "no checkpoints is no error"
[ -z "$listed" ] || fail "there are no checkpoints: $listed"

say "--- targets"
refused "$S/source" twinfs mirror "$image" target="$S/source/vm1.img"
refused "$S/source" twinfs mirror "$image" target="$S/source"
refused "$S/source/inner" twinfs mirror "$image" target="$S/source/inner"
refused "$S/mount" twinfs mirror "$image" target="$S/mount/inner"
refused "$S/mount" twinfs mirror "$image" target="$S/mount/twin.img"
ln -s ../source/inner "$S/twins/link"
refused "$S/twins/link" twinfs mirror "$image" target="$S/twins/link"
rm "$S/twins/link"
echo mine >"$S/twins/vm1.img"
refused "$S/twins/vm1.img" twinfs mirror "$image" target="$S/twins"
refused "$S/twins/vm1.img" twinfs mirror "$image" target="$S/twins/vm1.img"
rm "$S/twins/vm1.img"
refused "$S/none" twinfs mirror "$image" target="$S/none/deeper/vm1.img"
refused "$S/file" twinfs mirror "$image" target="$S/file/vm1.img"
refused "$S/readonly" twinfs mirror "$image" target="$S/readonly"
refused "$S/full" twinfs mirror "$image" target="$S/full"
refused /dev/null twinfs mirror "$image" target=/dev/null
truncate -s 1M "$S/small"
small=$(attach_loop "$S/small")
refused "$small" twinfs mirror "$image" target="$small"
losetup -d "$small"

say "--- jobs and commands"
for verb in pause resume cancel dismiss; do
    refused vm1.img twinfs $verb "$image"
done
refused vm1.img twinfs complete "$image"
refused vm1.img twinfs complete "$image" switch=off
refused vm1.img twinfs verify "$image" repair=on
refused vm1.img twinfs set "$image" speed=1M
refused '' twinfs mirror
refused frobnicate twinfs frobnicate "$image"
refused "$S/plain" twinfs status "$S/plain"
refused "$S/plain" twinfs unmount "$S/plain"
refused "$S/none" twinfs unmount "$S/none"
refused sideways twinfs wait --for sideways "$image"

# A live job: what its state does not allow, and a second one.
start_mirror "$S/mount/busy.img" target="$S/busy.twin" speed=1
busy=$S/mount/busy.img
live() { # as refused, for a copier that is at work: its twin may change
    local text
    cases=$((cases + 1))
    text=$( (trap - EXIT && expect_error any "$@") 2>&1) && return
    say "$text"
    failures=$((failures + 1))
}
live busy.img twinfs complete "$busy" switch=off
live busy.img twinfs dismiss "$busy"
live frobnicate twinfs set "$busy" frobnicate=1
live fast twinfs set "$busy" speed=fast
live 'write-blockng' twinfs set "$busy" copy-mode=write-blockng
live sideways twinfs complete "$busy" switch=sideways
live granularity twinfs set "$busy" granularity=8192
live perhaps twinfs cancel "$busy" force=perhaps
live "$S/busy.twin" twinfs mirror "$S/mount/vm2.img" target="$S/busy.twin"

say "--- the control file"
long=$(printf 'x%.0s' {1..70000})
live error control "$S/mount" ''
live error control "$S/mount" "$long"
live error control "$S/mount" $'pause vm\xff\xfe.img'
live 'error.*frobnicate' control "$S/mount" 'frobnicate vm1.img'
live 'error.*none.img' control "$S/mount" 'pause none.img'
live 'error.*frobnicate' control "$S/mount" 'set busy.img frobnicate=1'
live 'error.*fast' control "$S/mount" 'set busy.img speed=fast'
live error control "$S/mount" 'mirror'
live error control "$S/mount" 'mirror "vm1.img'
live error control "$S/mount" "$(printf 'mirror \t \001 vm1.img target=')"
twinfs cancel "$busy" force=on
wait_field "$S/mount" busy.img phase cancelled

unmount_twinfs "$S/mount"
umount "$S/full" "$S/readonly"
say "$cases cases, $failures wrong"
[ $failures = 0 ]
