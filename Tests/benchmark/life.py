"""The life of a job as its guest feels it: what the picture shows."""

from dataclasses import dataclass
from time import sleep, time

from fio import Guest
from lab import remove
from row_bulk import Trace, percentile
from twinfs import Mount

IMAGE = "a.img"
# Seconds between two looks at the job, and seconds that a point of the picture stands for.
LOOK = 0.05


@dataclass(frozen=True)
class Life:
    """Times in seconds since the guest was first seen."""

    # (time, guest's writes a second, p50, p99, longest). Latencies in microseconds, None where no
    # request ended.
    guest: list
    # (time, MiB/s copied).
    copier: list
    # (begin, end, name).
    phases: list


class Recorder:
    """Looks at the job while phases pass."""

    def __init__(self, mount):
        self.mount, self.copied, self.phases = mount, [], []

    def phase(self, name, seconds, over=lambda job: False):
        """One phase: so many seconds, or less where `over(job)` says so."""
        begin = time()
        while time() - begin < seconds:
            jobs = self.mount.status()["jobs"]
            self.copied.append((time(), jobs[-1]["copied-bytes"] if jobs else 0))
            if jobs and over(jobs[-1]):
                break
            sleep(LOOK)
        self.phases.append((begin, time(), name))


def live(lab):
    """A guest that writes 4 KiB at random, one at a time, and a job from start to switch-over."""
    source, twins = lab.folder("tmpfs", "life"), lab.folder("tmpfs", "life-twins")
    lab.image(f"{source}/{IMAGE}", lab.settings.bulk)
    mount = Mount(lab, source, "life")
    guest = Guest(lab, mount.path(IMAGE), "life", "--rw=randwrite", "--bs=4k", "--iodepth=1")
    sleep(lab.settings.phase / 4)
    record = Recorder(mount)
    pass_phases(record, mount, f"{twins}/", lab.settings.bulk, lab.settings.phase)
    guest.stop()
    mount.close()
    remove(source)
    remove(twins)
    return drawn(Trace(guest.requests()), record)


def pass_phases(record, mount, target, size, seconds):
    def is_ready(job):
        return job["ready"]

    record.phase("no job", seconds)
    # A bulk that one can see: a machine that copies faster is held to that.
    mount.mirror(IMAGE, target=target, copy_mode="background", pace="guest",
                 speed=round(size / (1.5 * seconds)))
    record.phase("bulk, pace=guest", 2.5 * seconds, is_ready)
    if not is_ready(mount.job(IMAGE)):
        mount.command("set", IMAGE, "pace=full", "speed=0")
        record.phase("bulk, pace=full", 30 * seconds, is_ready)
    mount.command("set", IMAGE, "pace=guest", "speed=0")
    record.phase("ready", seconds)
    mount.command("set", IMAGE, "copy-mode=write-blocking")
    record.phase("write-blocking", seconds)
    mount.command("complete", IMAGE)
    record.phase("switch-over", 30 * seconds, lambda job: job["phase"] == "completed")
    record.phase("on the twin", seconds)


def drawn(trace, record):
    """The record in points of `LOOK` seconds."""
    begin, end = record.phases[0][0], record.phases[-1][1]
    guest = []
    for number in range(int((end - begin) / LOOK)):
        found = trace.between(begin + number * LOOK, begin + (number + 1) * LOOK)
        rate = len(found) / LOOK
        tails = [percentile(found, share) if found else None for share in (0.5, 0.99, 1)]
        guest.append(((number + 0.5) * LOOK, rate, *tails))
    copier = [((a[0] + b[0]) / 2 - begin, max(0, b[1] - a[1]) / (b[0] - a[0]) / (1 << 20))
              for a, b in zip(record.copied, record.copied[1:])]
    phases = [(a - begin, b - begin, name) for a, b, name in joined(record.phases)]
    return Life(guest, copier, phases)


def joined(phases):
    """Each phase lasts until the next one is seen to begin."""
    ends = [begin for begin, _, _ in phases[1:]] + [phases[-1][1]]
    return [(begin, end, name) for (begin, _, name), end in zip(phases, ends)]
