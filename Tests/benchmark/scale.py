"""How a mount grows with its images, its jobs, and the size of an image: what `--scale` shows."""

import os
import random
import signal
from dataclasses import dataclass
from time import monotonic, sleep

from lab import Failure, memory, remove, until
from rounds import Spread, say
from twinfs import Mount

KIB, MIB = 1 << 10, 1 << 20
# What each image holds, and what one of a size of its own does, in pieces all over it.
CONTENT, PIECES, PIECE = 4 * KIB, 64, 64 * KIB


@dataclass(frozen=True)
class Point:
    """Of one mount. Times in seconds, None where there is nothing of the kind."""

    # images, jobs or size, and how many or how large.
    kind: str
    amount: int
    mount: float
    takeover: float
    ready: float | None
    status: float
    status_bytes: int
    json: float
    job: float | None
    # Of keeper and worker: MiB, processor time as a share of one, switches of threads a second.
    memory: float
    idle: float
    switches: float
    threads: int
    descriptors: int


def measure(lab):
    """All points, one mount after the other."""
    for count in lab.settings.scale_counts:
        say(f"{count} images")
        yield one(lab, "images", count, MIB, 0)
        say(f"{count} jobs")
        yield one(lab, "jobs", count, MIB, count)
    for size in lab.settings.scale_sizes:
        say(f"an image of {size_name(size)}")
        yield one(lab, "size", size, size, 1)


def one(lab, kind, amount, size, jobs):
    with lab.part():
        name = f"scale-{kind}-{amount}"
        source, twins = lab.folder("tmpfs", name), lab.folder("tmpfs", f"{name}-twins")
        images = [f"{number}.img" for number in range(1 if kind == "size" else amount)]
        for image in images:
            fill(f"{source}/{image}", size)
        scale = Scale(lab, Mount(lab, source, name), images, jobs)
        point = scale.point(kind, amount, f"{twins}/")
        scale.mount.close()
        remove(source)
        remove(twins)
        return point


def fill(path, size):
    """A sparse image: one piece where all are small, else many."""
    places = random.Random(size)
    with open(path, "wb", buffering=0) as file:
        file.truncate(size)
        if size == MIB:
            file.write(os.urandom(CONTENT))
            return
        for _ in range(PIECES):
            os.pwrite(file.fileno(), os.urandom(PIECE), places.randrange(size - PIECE) & -CONTENT)


class Scale:
    """One mount with its images, the first so many of which have a job."""

    def __init__(self, lab, mount, images, jobs):
        self.settings = lab.settings
        self.mount, self.images, self.jobs = mount, images, images[:jobs]

    def point(self, kind, amount, target):
        ready = self.start(target) if self.jobs else None
        # Another worker is the last thing that has made its memory.
        times = [self.remounted() for _ in range(self.settings.rounds)]
        takeover = self.taken_over()
        for image in self.images:
            os.stat(self.mount.path(image))
        sleep(self.settings.scale_settle)
        job = f"jobs/{self.images[0]}/status.json" if self.jobs else None
        idle, switches = self.idle()
        pids = self.mount.pids()
        return Point(
            kind, amount, Spread(times).median, takeover, ready,
            *self.shown("status"), self.shown("status.json")[0],
            self.shown(job)[0] if job else None, memory(pids) / MIB, idle, switches,
            listed(pids, "task"), listed(pids, "fd"))

    def start(self, target):
        """A job for each image, by one handle of `control`; seconds until all are ready."""
        begin = monotonic()
        control = os.open(f"{self.mount.point}/.mirror/control", os.O_RDWR)
        try:
            for image in self.jobs:
                os.write(control, f"mirror {image} target={target}".encode())
        except OSError as error:
            answer = os.read(control, 4096).decode(errors="replace")
            raise Failure(f"mirror {image}: {error}: {answer}") from error
        finally:
            os.close(control)
        self.wait_ready()
        return monotonic() - begin

    def wait_ready(self):
        def all_ready():
            jobs = self.mount.status()["jobs"]
            wrong = [job["error"] for job in jobs if job["error"]]
            if wrong:
                raise Failure(wrong[0])
            return sum(job["ready"] for job in jobs) == len(self.jobs)

        until(all_ready, "all jobs ready", pause=0.05)

    def read(self):
        with open(self.mount.path(self.images[-1]), "rb", buffering=0) as file:
            file.read(CONTENT)

    def remounted(self):
        """Seconds from the command until the last image is read; jobs come back with the mount."""
        self.mount.close()
        begin = monotonic()
        self.mount.mount()
        self.read()
        seconds = monotonic() - begin
        self.wait_ready()
        return seconds

    def taken_over(self):
        """Seconds from the worker's death until its successor has read for a guest."""
        worker = self.mount.status()["worker-pid"]
        begin = monotonic()
        os.kill(worker, signal.SIGKILL)
        self.read()
        seconds = monotonic() - begin
        if self.mount.status()["worker-pid"] == worker:
            raise Failure("the worker lives on")
        self.wait_ready()
        return seconds

    def shown(self, name):
        """The shortest of some looks at a file of `.mirror`, and its length."""
        times, length = [], 0
        for _ in range(5):
            begin = monotonic()
            with open(f"{self.mount.point}/.mirror/{name}", "rb") as file:
                length = len(file.read())
            times.append(monotonic() - begin)
        return min(times), length

    def idle(self):
        """While nobody does anything: the share of a processor that is used, and switches a second."""
        pids = self.mount.pids()
        before, begin = Threads(pids), monotonic()
        sleep(self.settings.scale_idle)
        after, seconds = Threads(pids), monotonic() - begin
        return after.busy(before) / seconds, after.switches(before) / seconds


class Threads:
    """What the threads of some processes have used up to now."""

    def __init__(self, pids):
        self.used = dict(use for pid in pids for use in uses(pid))

    def busy(self, before):
        """Seconds of processors since then, by the threads that are still there."""
        return self.since(before, 0) / 1e9

    def switches(self, before):
        return self.since(before, 1)

    def since(self, before, figure):
        return sum(use[figure] - before.used.get(thread, (0, 0))[figure]
                   for thread, use in self.used.items())


def uses(pid):
    """(thread, (nanoseconds on a processor, times that it got one)), in user and kernel."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                running, _, slices = file.read().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield thread, (int(running), int(slices))


def listed(pids, what):
    """Threads (`task`) or descriptors (`fd`) of the processes."""
    return sum(len(os.listdir(f"/proc/{pid}/{what}")) for pid in pids)


# ---- the table --------------------------------------------------------------------------------

KINDS = {"images": ("image", "images"), "jobs": ("image in ready", "images, each in ready")}


def name_of(point):
    if point.kind == "size":
        return f"one image of {size_name(point.amount)} in ready"
    return f"{point.amount:,} {KINDS[point.kind][point.amount > 1]}"


def size_name(size):
    return f"{size >> 40} TiB" if size >= 1 << 40 else f"{size >> 30} GiB"


def seconds(value):
    return "" if value is None else f"{value * 1000:,.3g} ms" if value < 1 else f"{value:.2f} s"


def lines(points):
    """Markdown."""
    yield ("| | mounted and read | after the worker's death | all ready | `status` | its size | "
           "`status.json` | one job's | memory | idle processor | switches | threads | descriptors |")
    yield "|---" + "|---:" * 12 + "|"
    for point in sorted(points, key=lambda one: list((*KINDS, "size")).index(one.kind)):
        cells = [name_of(point), *map(seconds, (point.mount, point.takeover, point.ready,
                                                point.status)),
                 f"{point.status_bytes:,} bytes", seconds(point.json), seconds(point.job),
                 f"{point.memory:.1f} MiB", f"{point.idle:.2%}", f"{point.switches:.1f}/s",
                 str(point.threads), f"{point.descriptors:,}"]
        yield f"| {' | '.join(cells)} |"
