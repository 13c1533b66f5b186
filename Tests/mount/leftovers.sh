# shellcheck shell=bash
# What a test left behind: mounts and loop devices below its folder, processes that carry its tag.
# Sourced by lib.sh and by Tests/run. Ends only what is found that way, by id.

# NUL-separated, newest first. The mount table writes blanks in names as \040.
mounts_below() { # FOLDER
    python3 - "$1/" <<'PYTHON'
import re, sys
below = []
for line in open("/proc/self/mountinfo", "rb"):
    point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), line.split(b" ")[4])
    if (point + b"/").startswith(sys.argv[1].encode()):
        below.insert(0, point + b"\0")
sys.stdout.buffer.write(b"".join(below))
PYTHON
}

loops_below() { # FOLDER
    losetup --list --noheadings --output NAME,BACK-FILE |
        awk -v folder="$1/" '{ name = $1; $1 = ""; sub(/^ /, ""); if (index($0, folder) == 1) print name }'
}

# Sets left_processes: those with TWINFS_TEST=TAG in the environment they were started with, or the
# folder in their command line, without this shell and its ancestors.
find_processes() { # TAG FOLDER
    local entry pid word parent="$$" mine=" "
    left_processes=()
    while [ "$parent" -gt 1 ]; do
        mine+="$parent "
        parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$parent/status")
    done
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        [[ $mine == *" $pid "* || $pid == "$BASHPID" ]] && continue
        {
            while IFS= read -r -d '' word; do
                if [[ $word == "TWINFS_TEST=$1" ]]; then
                    left_processes+=("$pid")
                    continue 2
                fi
            done <"$entry/environ"
            while IFS= read -r -d '' word; do
                if [[ $word == *"$2/"* ]]; then
                    left_processes+=("$pid")
                    continue 2
                fi
            done <"$entry/cmdline"
        } 2>/dev/null || true
    done
}

# The folder of a FUSE connection in fusectl, by the mount table alone: a stat() could hang.
fuse_connection() { # MOUNTPOINT
    local device
    device=$(awk -v point="${1// /\\040}" '$5 == point { n = $3 } END { print n }' /proc/self/mountinfo)
    [ -n "$device" ] || return 1
    mountpoint -q /sys/fs/fuse/connections ||
        mount -t fusectl fusectl /sys/fs/fuse/connections || return 1
    echo "/sys/fs/fuse/connections/$((${device%:*} << 8 | ${device#*:}))"
}

# Prints what is left and takes it away. Returns 1 if there was anything.
sweep() { # TAG FOLDER
    local found=0 point device pid connection
    while IFS= read -r -d '' point; do
        echo "left over: mount $point"
        found=1
        timeout 10 umount "$point" 2>/dev/null && continue
        connection=$(fuse_connection "$point") && [ -e "$connection/abort" ] &&
            echo 1 >"$connection/abort"
        umount -l "$point" || true
    done < <(mounts_below "$2")
    for device in $(loops_below "$2"); do
        echo "left over: loop device $device"
        found=1
        losetup -d "$device" || true
    done
    find_processes "$1" "$2"
    for pid in "${left_processes[@]}"; do
        echo "left over: process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        found=1
        kill -KILL "$pid" 2>/dev/null || true
    done
    return $found
}

# Says in a folder that it is a test's, and whose: nothing else is ever swept unasked.
claim_folder() { echo "$$" >"$1/.twinfs-test"; }

# What tests left that were ended with the machine or by SIGKILL: the process that claimed the folder is no test any
# more. A loop device on a mount that is dead stops every mkfs.btrfs of the machine.
sweep_ended_tests() { # FOLDER of those folders
    local folder owner
    for folder in "$1"/twinfs-*; do
        [[ $(cat "$folder/.twinfs-test" 2>/dev/null) =~ ^([0-9]+)$ ]] || continue
        owner=${BASH_REMATCH[1]}
        grep -aqsE 'Tests/|\.sh' "/proc/$owner/cmdline" && continue
        sweep "of.no.test" "$folder" || true
        rm -rf --one-file-system "$folder"
    done
}
