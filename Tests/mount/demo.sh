#!/bin/bash
# Promise: twinfs demo shows the whole thing by itself, succeeds and leaves nothing behind.
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$SCRATCH/tmp"
said=$(TMPDIR=$SCRATCH/tmp timeout "$LIMIT" twinfs demo </dev/null) || fail "twinfs demo: $?: $said"
[[ $said == *" in $SCRATCH/tmp/twinfs-demo-"* ]] || fail "it worked elsewhere: $said"
[ -z "$(ls -A "$SCRATCH/tmp")" ] || fail "left: $(ls -A "$SCRATCH/tmp")"
