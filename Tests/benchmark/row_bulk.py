"""Rows 7 and 11: a guest that never stops, beside a bulk copy."""

import os
from bisect import bisect_left
from time import sleep, time

from fio import Guest
from lab import Failure, remove, until
from rounds import Spread
from rows import ratio
from twinfs import Mount

WRITES = ("--rw=randwrite", "--bs=4k")


def percentile(values, share):
    """Of values that are in order already."""
    return values[min(len(values) - 1, int(len(values) * share))]


class Trace:
    """The requests of a guest, in the order of their ends."""

    def __init__(self, requests):
        self.requests = sorted(requests)
        self.times = [time for time, _ in self.requests]

    def between(self, begin, end):
        """Latencies in microseconds, ascending."""
        part = self.requests[bisect_left(self.times, begin):bisect_left(self.times, end)]
        return sorted(latency for _, latency in part)


def guest_in_bulk(lab):
    """Row 7. One guest all the time; jobs come and go, so that with and without take turns."""
    source, twins = lab.folder("tmpfs", "bulk"), lab.folder("tmpfs", "bulk-twins")
    lab.image(f"{source}/a.img", lab.settings.bulk)
    mount = Mount(lab, source, "bulk")
    guest = Guest(lab, mount.path("a.img"), "bulk", *WRITES, "--iodepth=16")
    sleep(lab.settings.duration / 2)
    times = [bulk_and_idle(lab, mount, twins)
             for _ in range(lab.settings.rounds + lab.settings.warm_up)]
    guest.stop()
    mount.close()
    remove(source)
    return pace_findings(Trace(guest.requests()), times[lab.settings.warm_up:])


def bulk_and_idle(lab, mount, twins):
    """Returns when: idle from, bulk from, bulk to."""
    idle = time()
    sleep(lab.settings.duration)
    begin = time()
    mount.mirror("a.img", target=f"{twins}/a.img", existing="replace", pace="guest",
                 copy_mode="background")
    while time() - begin < lab.settings.duration and not mount.job("a.img")["ready"]:
        sleep(0.02)
    end = time()
    mount.drop("a.img")
    remove(f"{twins}/a.img")
    sleep(lab.settings.duration / 4)
    return idle, begin, end


def pace_findings(trace, times):
    free, busy, free_p99, busy_p99 = [], [], [], []
    for idle, begin, end in times:
        for (start, stop), counts, tails in (((idle, begin), free, free_p99),
                                             ((begin, end), busy, busy_p99)):
            latencies = trace.between(start, stop)
            if not latencies:
                raise Failure("the guest did nothing for a whole interval")
            counts.append(len(latencies) / (stop - start))
            tails.append(percentile(latencies, 0.99))
    lengths = f"bulk of {min(e - b for _, b, e in times):.1f} s and more"
    return [
        ratio(7, "tmpfs", "IOPS kept in bulk with pace=guest, 4 KiB writes of depth 16",
              Spread(busy), Spread(free), 0.8, note=lengths),
        ratio(7, "tmpfs", "p99 latency of the same", Spread(busy_p99), Spread(free_p99), 1.5,
              at_least=False),
    ]


def ready_under_writer(lab):
    """Row 11. The target takes so many bytes a second and no more; the writer does not care. With
    pace=guest the copier gives way to it, so that is told and not held against the aim."""
    source, twins = lab.folder("tmpfs", "slow"), lab.folder("tmpfs", "slow-twins")
    lab.image(f"{source}/a.img", lab.settings.slow_image)
    mount = Mount(lab, source, "slow")
    quiet, full, giving_way = [], [], []
    for _ in range(max(1, lab.settings.rounds // 2)):
        quiet.append(time_to_ready(lab, mount, twins, "full"))
        guest = Guest(lab, mount.path("a.img"), "slow", *WRITES, "--iodepth=16")
        sleep(0.2)
        full.append(time_to_ready(lab, mount, twins, "full"))
        giving_way.append(time_to_ready(lab, mount, twins, "guest"))
        guest.stop()
        guest.requests()
    mount.close()
    remove(source)
    rate = lab.settings.slow_image / Spread(quiet).median / (1 << 20)
    what = "time to ready under a writer that never stops, to size / bandwidth, pace="
    return [ratio(11, "tmpfs", what + "full", Spread(full), Spread(quiet), 1.5, at_least=False,
                  note=f"bandwidth {rate:.0f} MiB/s"),
            ratio(11, "tmpfs", what + "guest", Spread(giving_way), Spread(quiet), None,
                  at_least=False)]


def time_to_ready(lab, mount, twins, pace):
    """A job of its own with a target of its own, ended when it is ready. Seconds."""
    twin, socket = f"{twins}/a.img", f"{lab.scratch}/slow-target"
    with open(twin, "wb") as file:
        file.truncate(lab.settings.slow_image)
    # The rate is in bits. Hardly anything is saved up, or a short copy would not meet it.
    server = lab.spawn("nbdkit", "-f", "-U", socket, "--filter=rate", "file", twin,
                       f"rate={lab.settings.slow_rate * 8}", "burstiness=0.1")
    until(lambda: os.path.exists(socket), "nbdkit")
    seconds = mount.seconds_to_ready("a.img", target=f"nbd+unix:///?socket={socket}", pace=pace)
    mount.drop("a.img")
    server.terminate()
    server.wait()
    remove(socket)
    remove(twin)
    return seconds
