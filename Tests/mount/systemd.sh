#!/bin/bash
# Promise: under a service manager the mount survives the death of keeper and worker together, because the
# manager holds the descriptors; it hears when the mount is ready, hangs and ends.
# The manager is a small program that speaks systemd's protocol; the unit itself is checked by systemd's tool.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require python3 systemd-analyze

mkdir "$SCRATCH"/{source,mount}
MOUNTS+=("$SCRATCH/mount")
timeout "$((3 * LIMIT))" python3 "$MOUNT_TESTS/manager.py" "$SCRATCH/source" "$SCRATCH/mount" ||
    fail "the manager is not content"
MOUNTS=()

# The tool wants the program where the unit names it.
sed "s|/usr/local/bin/twinfs|$(command -v twinfs)|" "$REPOSITORY/mount-helpers/twinfs@.service" \
    >"$SCRATCH/twinfs@trial.service"
output=$(systemd-analyze verify --man=no "$SCRATCH/twinfs@trial.service" 2>&1) || fail "unit: $output"
[[ $output != *twinfs@* ]] || fail "unit: $output"
