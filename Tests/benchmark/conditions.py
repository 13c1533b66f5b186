"""Where and with what it was measured, and what makes the figures worthless."""

import os
import platform
import shutil
import subprocess
from contextlib import contextmanager
from datetime import date
from time import sleep


def processor_times():
    """Ticks of all processors since the start: (busy, stolen by the host, all)."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    idle, stolen, total = ticks[3] + ticks[4], ticks[7], sum(ticks)
    return total - idle - stolen, stolen, total


@contextmanager
def large_pipes():
    """Pipes as large as a service may have them, which keeps CAP_SYS_RESOURCE, also in a container that does not."""
    path, wanted = "/proc/sys/fs/pipe-max-size", 2 << 20
    with open(path, encoding="ascii") as file:
        limit = int(file.read())
    try:
        set_to(path, max(limit, wanted))
        yield
    finally:
        set_to(path, limit)


def set_to(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


class Conditions:
    """Looks at the machine before the first measurement and between rows; `lines` at the end."""

    def __init__(self, lab):
        self.lab = lab
        self.busy = 0
        self.start = processor_times()
        self.look(1)

    def look(self, seconds=0.3):
        """While the benchmark does nothing: who uses the processors now?"""
        before = processor_times()
        sleep(seconds)
        after = processor_times()
        self.busy = max(self.busy, (after[0] - before[0]) / max(1, after[2] - before[2]))

    def warnings(self):
        """What invalidates this run, a sentence each."""
        end = processor_times()
        stolen = (end[1] - self.start[1]) / max(1, end[2] - self.start[2])
        if self.busy > 0.1:
            yield f"Something else ran: it took {self.busy:.0%} of the processors' time."
        if stolen > 0.02:
            yield f"The host took away {stolen:.0%} of the processors' time."
        if "/debug" in os.path.realpath(shutil.which("twinfs")):
            yield "This is a debug build."
        if self.lab.settings.rounds < 3:
            yield "Fewer than three rounds: the ranges mean nothing, the medians little."
        if filesystem(self.lab.roots["disk"]) == "tmpfs":
            yield "The disk is a tmpfs: set TMPDIR to a folder on a real one."

    def lines(self, repository):
        """The head of the tables."""
        settings = self.lab.settings
        yield self.head(repository)
        yield (f"{settings.rounds} rounds of {settings.duration:g} s in turns"
               f"{' after one to warm up' if settings.warm_up else ''}, fio, images of "
               f"{settings.image >> 20} MiB ({settings.disk_image >> 20} MiB on disk), "
               f"bulk copies of {settings.bulk >> 20} MiB.")
        yield ("Cells: median of the rounds, ratio to native, ± half the range, median and 99th "
               "percentile of the latency, processor time of the daemon per I/O.")
        yield ""
        yield from self.notes()
        yield ""

    def head(self, repository):
        return (f"{date.today()}, Linux {platform.release()}, "
                f"{os.cpu_count()} cores of {processor()}, commit {commit(repository)}, "
                f"disk {filesystem(self.lab.roots['disk'])}.")

    def notes(self):
        return [f"**Not valid:** {warning}" for warning in self.warnings()]


def filesystem(path):
    return output("stat", "-f", "-c", "%T", path)


def commit(repository):
    return output("git", "-C", repository, "-c", "safe.directory=*", "describe", "--always",
                  "--dirty") or "unknown"


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
