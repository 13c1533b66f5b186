#!/bin/bash
# Promise: under systemd itself `twinfs@.service` does what it says: a mount starts, is upgraded, survives the death of
# keeper and worker together, keeps its guest's disk when it is stopped, says for whom, and is stopped after
# the guests. A wrong configuration is told once.
#
# systemd is the first process of namespaces of its own: processes, mounts, control groups (guest/systemd-root).
# shellcheck source=Tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
require unshare nsenter systemctl pivot_root

[ -x /lib/systemd/systemd ] || fail "/lib/systemd/systemd is missing"
mkdir "$SCRATCH"/{root,units}
cp "$REPOSITORY/mount-helpers/twinfs@.service" "$SCRATCH/units"
cat >"$SCRATCH/units/trial.target" <<'UNIT'
[Unit]
AllowIsolate=yes
UNIT
# As libvirt's, which stops the guests.
cat >"$SCRATCH/units/libvirt-guests.service" <<UNIT
[Service]
ExecStart=python3 /usr/local/bin/prober.py /srv/images/vm.img /run/never /run/never
ExecStopPost=cp /proc/uptime /run/guests-ended
UNIT
# The watchdog sooner than after the unit's 60 s, so that a mount that forgets to report is noticed here.
mkdir "$SCRATCH/units/twinfs@trial.service.d"
cat >"$SCRATCH/units/twinfs@trial.service.d/trial.conf" <<'UNIT'
[Service]
WatchdogSec=2
ExecStopPost=cp /proc/uptime /run/disks-ended
UNIT

groups='' init=''
start_systemd() {
    local point
    point=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
    [ -n "$point" ] || fail "no control groups of version 2"
    groups=$point/twinfs-test-$$
    mkdir "$groups"
    (
        trap - EXIT
        echo "$BASHPID" >"$groups/cgroup.procs"
        exec unshare --pid --fork --kill-child --mount --cgroup --uts --ipc \
            "$MOUNT_TESTS/guest/systemd-root" "$SCRATCH/root" "$SCRATCH/units" "$(command -v twinfs)" \
            "$MOUNT_TESTS/prober.py"
    ) >"$SCRATCH/log" 2>&1 &
    unshared=$!
    eventually 60 systemd_runs || fail "systemd does not start: $(cat "$SCRATCH/log")"
}

systemd_runs() {
    init=$(pgrep -P "$unshared") && [ "$(cat "/proc/$init/comm")" = systemd ] &&
        [[ $(inside systemctl is-system-running) == running ]]
}

# The first process takes all others with it, and the mount.
at_end() {
    [ -z "$init" ] || kill -KILL "$init" || true
    [ -z "$groups" ] || eventually 20 groups_gone || say "control groups are left in $groups"
}

groups_gone() {
    [ ! -e "$groups" ] || find "$groups" -depth -type d -exec rmdir {} + 2>/dev/null
}

inside() { timeout "$LIMIT" nsenter -t "$init" -m -p -C -u -i -- "$@"; }
unit() { inside systemctl show -P "$1" "${2:-twinfs@trial}"; }
unit_is() { [[ $(unit "$1") =~ $2 ]]; }
expect_unit() { eventually 30 unit_is "$@" || fail "$1 is '$(unit "$1")', expected $2: $(cat "$SCRATCH/log")"; }
mount_field() { inside cat /srv/images/.mirror/status.json | jq -r "$1"; }
guest_gets_on() { [ -e "/proc/$guest" ] || fail "the guest saw an error"; }

start_systemd
inside mkdir /srv/images /srv/backup
inside sh -c 'head -c 8M /dev/urandom >/srv/images/vm.img'

say "a wrong configuration is told once, not tried again and again"
inside sh -c 'echo SOURCE=/srv/nothing MOUNTPOINT=/srv/nothing | tr " " "\n" >/etc/twinfs/wrong.conf'
! inside systemctl start twinfs@wrong 2>/dev/null || fail "it starts without its source"
sleep 1
[ "$(unit NRestarts twinfs@wrong)" = 0 ] || fail "tried $(unit NRestarts twinfs@wrong) times again"
[ "$(unit ActiveState twinfs@wrong)" = failed ] || fail "$(unit ActiveState twinfs@wrong)"

say "start"
inside tee /etc/twinfs/trial.conf >/dev/null <<'CONF'
SOURCE=/srv/images
MOUNTPOINT=/srv/images
OPTIONS=-o target=/srv/backup
CONF
inside systemctl start twinfs@trial
expect_unit ActiveState '^active$'
expect_unit StatusText 'serving /srv/images: 1 jobs, 1 ready'
inside python3 /usr/local/bin/prober.py /srv/images/vm.img /run/stop /run/stall &
guest=$!

say "reload is twinfs restart"
keeper=$(unit MainPID)
inside systemctl reload twinfs@trial
[ "$(unit MainPID)" = "$keeper" ] || fail "another keeper"
[ "$(mount_field .generation)" = 2 ] || fail "generation $(mount_field .generation)"
guest_gets_on

say "keeper and worker die together"
[ "$(unit NFileDescriptorStore)" -gt 0 ] || fail "systemd holds nothing"
inside systemctl kill --kill-whom=all --signal=KILL twinfs@trial
expect_unit NRestarts '^1$'
expect_unit StatusText 'serving /srv/images: 1 jobs, 1 ready'
[ "$(mount_field .generation)" = 3 ] || fail "generation $(mount_field .generation)"
[ "$(mount_field '.jobs[0].resumed')" = worker ] || fail "resumed: $(mount_field '.jobs[0].resumed')"
guest_gets_on

say "it reports to the watchdog"
sleep 5
[ "$(unit NRestarts)" = 1 ] || fail "the watchdog has ended it"

say "stop waits for the guest, and names it"
inside systemctl stop --no-block twinfs@trial
expect_unit StatusText 'python3 \(process [0-9]+\): /srv/images/vm.img'
! unit_is StatusText systemd || fail "the service manager counts as a guest: $(unit StatusText)"
sleep 1
expect_unit ActiveState '^deactivating$'
guest_gets_on
inside touch /run/stop
wait "$guest" || fail "the guest saw an error: $?"
stall=$(inside cat /run/stall)
expect_unit ActiveState '^inactive$'
inside cmp /srv/images/vm.img /srv/backup/vm.img || fail "source and twin differ"

say "guests are stopped before their disks"
inside systemctl start twinfs@trial libvirt-guests
expect_unit StatusText '1 ready'
inside systemctl isolate trial.target
expect_unit ActiveState '^inactive$'
ends=$(inside cat /run/guests-ended /run/disks-ended | awk '{ print $1 }')
[ "$(sort -n <<<"$ends")" = "$ends" ] || fail "guests and disks ended at $ends seconds"
inside cmp /srv/images/vm.img /srv/backup/vm.img || fail "source and twin differ"
say "systemd $(inside systemctl --version | awk 'NR == 1 { print $2 }'): longest stall ${stall% *} ms of ${stall#* } probes"
