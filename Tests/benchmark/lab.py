"""Folders, processes and their end: whatever is made here is gone when the lab closes."""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager

# Seconds; only what hangs reaches them.
LIMIT = 120


class Failure(Exception):
    """Something that must work did not: the benchmark ends with this message."""


class Unavailable(Exception):
    """A candidate that this build or machine does not have: its rows tell why they are empty."""


class Lab:
    """Below `scratch`: a tmpfs (`tmpfs`), a folder on the machine's disk (`disk`), mountpoints."""

    def __init__(self, scratch, settings):
        self.scratch = scratch
        self.settings = settings
        self.stack = ExitStack()
        self.roots = {"tmpfs": f"{scratch}/memory", "disk": f"{scratch}/disk"}

    def __enter__(self):
        for root in self.roots.values():
            os.mkdir(root)
        run("mount", "-t", "tmpfs", "-o", "size=90%", "tmpfs", self.roots["tmpfs"])
        self.stack.callback(unmount, self.roots["tmpfs"])
        return self

    def __exit__(self, *failure):
        return self.stack.__exit__(*failure)

    @contextmanager
    def part(self):
        """What is made within is gone after it, as with a lab of its own. The files stay."""
        outer, self.stack = self.stack, ExitStack()
        try:
            with self.stack:
                yield
        finally:
            self.stack = outer

    def folder(self, medium, name):
        """A new folder on the medium."""
        path = f"{self.roots[medium]}/{name}"
        os.makedirs(path)
        return path

    def point(self, name):
        """A new folder to mount at: it is not on a medium that is measured."""
        path = f"{self.scratch}/points/{name}"
        os.makedirs(path)
        return path

    def image(self, path, size=None):
        """Writes an image that is allocated whole: the same 16 MiB of random data over and over."""
        size = size or self.settings.image
        seed = f"{self.roots['tmpfs']}/seed"
        if not os.path.exists(seed):
            with open("/dev/urandom", "rb") as random, open(seed, "wb") as file:
                file.write(random.read(16 << 20))
        with open(path, "wb") as file:
            while file.tell() < size:
                with open(seed, "rb") as source:
                    file.write(source.read(size - file.tell()))
            os.fsync(file.fileno())
        return path

    def spawn(self, *command, **options):
        """A process that ends with the lab, if nobody ends it before."""
        options.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self.stack.callback(end, process)
        return process


def run(*command, may_fail=False, **options):
    """Runs to the end; its output as text. A failure is one of the benchmark's."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LIMIT,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0 and not may_fail:
        raise Failure(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}")
    return done


def end(process):
    """SIGTERM, and SIGKILL to what does not heed it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def unmount(point):
    """At the end; lazily where somebody still holds it, so that nothing stays mounted."""
    if run("umount", point, may_fail=True).returncode != 0:
        run("umount", "-l", point, may_fail=True)


def until(question, what, pause=0.01):
    """Waits until `question()` is true."""
    limit = time.monotonic() + LIMIT
    while not question():
        if time.monotonic() > limit:
            raise Failure(f"in {LIMIT} s not: {what}")
        time.sleep(pause)


def remove(path):
    """A file or folder, where it is there."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def cpu_seconds(pids):
    """What the processes have used up to now, in user and kernel."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pids):
    """Bytes of the processes; pages that they share count once."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total * 1024
