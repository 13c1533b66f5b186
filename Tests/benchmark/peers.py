"""What twinfs is compared with. Each serves an image of its own, all on the same medium."""

import os

import qemu
from lab import run, unmount, until


class Candidate:
    """The plain directory; what others are beside it, subclasses say."""

    def __init__(self, lab, medium, name):
        self.lab, self.medium, self.name = lab, medium, name
        self.prepare()

    def prepare(self):
        self.file = self.stored()

    def new_image(self, folder, name="image"):
        self.behind = self.lab.image(f"{folder}/{name}", self.size())
        return self.behind

    def size(self):
        """On a disk, more than is read in one measurement: a daemon may cache, fio does not."""
        settings = self.lab.settings
        return settings.disk_image if self.medium == "disk" else settings.image

    def place(self):
        """What fio reads and writes."""
        return (f"--filename={self.file}", f"--size={self.size()}")

    def settle(self):
        """Called before each measurement: what the last one left to do is done."""
        if self.medium == "disk":
            forget(self.behind)

    def stored(self):
        """An image in a folder of its own, for what serves files and not folders."""
        return self.new_image(self.lab.folder(self.medium, self.name))

    def pids(self):
        """Of the processes that serve."""
        return []


def forget(path):
    """Makes the file durable and drops it from memory: a daemon's reads are then cold as well."""
    with open(path, "rb+") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Bare(Candidate):
    """The shortest way through /dev/fuse (bare.c): what the kernel's interface gives on this machine."""

    # More make it no faster at any depth, fewer do.
    threads = 3

    def prepare(self):
        point = self.lab.point(f"{self.medium}-{self.name}")
        self.process = self.lab.spawn(self.program(), self.stored(), point, str(self.threads))
        self.lab.stack.callback(unmount, point)
        until(lambda: os.path.ismount(point), "the bare way")
        self.file = f"{point}/image"

    def program(self):
        built = f"{self.lab.scratch}/bare"
        if not os.path.exists(built):
            source = f"{os.path.dirname(os.path.realpath(__file__))}/bare.c"
            run("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", built, source)
        return built

    def pids(self):
        return [self.process.pid]


class Bindfs(Candidate):
    def prepare(self):
        source, point = self.lab.folder(self.medium, self.name), self.lab.point(self.name)
        self.new_image(source)
        self.process = self.lab.spawn("bindfs", "-f", source, point)
        until(lambda: os.path.ismount(point), "bindfs")
        self.file = f"{point}/image"

    def pids(self):
        return [self.process.pid]


class QemuFuse(Candidate):
    """qemu-storage-daemon's FUSE export, without a job."""

    def prepare(self):
        self.file = f"{self.lab.point(f'{self.medium}-qemu')}/image"
        with open(self.file, "wb"):
            pass
        self.process = qemu.fuse_export(self.lab, self.stored(), self.file)

    def pids(self):
        return [self.process.pid]


class QemuNBD(Candidate):
    """qemu-storage-daemon's NBD export, without a job."""

    def prepare(self):
        self.server = qemu.NBDServer(self.lab, f"{self.medium}-{self.name}", self.stored(),
                                     self.twin())

    def twin(self):
        return None

    def place(self):
        return ("--ioengine=nbd", f"--uri={self.server.uri}", f"--size={self.size()}")

    def settle(self):
        super().settle()
        self.server.settle()

    def pids(self):
        return [self.server.process.pid]


class QemuNBDMirror(QemuNBD):
    """The same with a mirror job that is ready and goes on copying."""

    def twin(self):
        path = f"{self.lab.folder(self.medium, 'nbd-twin')}/image"
        with open(path, "wb") as file:
            file.truncate(self.size())
        return path
