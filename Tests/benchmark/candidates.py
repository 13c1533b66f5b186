"""What is compared: each serves an image of its own, on the same medium as all others."""

import os

import qemu
from lab import Failure, Unavailable, until
from twinfs import Mount


class Candidate:
    """The plain directory; what others are beside it, subclasses say."""

    def __init__(self, lab, medium, name):
        self.lab, self.medium, self.name = lab, medium, name
        self.prepare()

    def prepare(self):
        self.file = self.new_image()

    def new_image(self):
        return self.lab.image(f"{self.lab.folder(self.medium, self.name)}/image")

    def place(self):
        """What fio reads and writes."""
        return (f"--filename={self.file}", f"--size={self.lab.settings.image}")

    def settle(self):
        """Called before each measurement: what the last one left to do is done."""

    def pids(self):
        """Of the processes that serve."""
        return []


class Bindfs(Candidate):
    def prepare(self):
        source, point = os.path.dirname(self.new_image()), self.lab.point(f"{self.medium}-bindfs")
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
        self.process = qemu.fuse_export(self.lab, self.new_image(), self.file)

    def pids(self):
        return [self.process.pid]


class QemuNBD(Candidate):
    """qemu-storage-daemon's NBD export, without a job."""

    def prepare(self):
        self.server = qemu.NBDServer(self.lab, f"{self.medium}-{self.name}", self.new_image(),
                                     self.twin())

    def twin(self):
        return None

    def place(self):
        return ("--ioengine=nbd", f"--uri={self.server.uri}", f"--size={self.lab.settings.image}")

    def settle(self):
        self.server.settle()

    def pids(self):
        return [self.server.process.pid]


class QemuNBDMirror(QemuNBD):
    """The same with a mirror job that is ready and goes on copying."""

    def twin(self):
        path = f"{self.lab.folder(self.medium, 'nbd-twin')}/image"
        with open(path, "wb") as file:
            file.truncate(self.lab.settings.image)
        return path


class Twinfs(Candidate):
    """An image in a mount, without a job. All that follow lie in the same mount."""

    mounts = {}

    def prepare(self):
        self.mount = self.shared_mount()
        self.image = f"{self.name}.img"
        self.lab.image(f"{self.mount.source}/{self.image}")
        self.file = self.mount.path(self.image)

    def shared_mount(self, role="source"):
        key = (self.lab.scratch, self.medium, role)
        if key not in self.mounts:
            source = self.lab.folder(self.medium, f"twinfs-{role}")
            self.mounts[key] = Mount(self.lab, source, f"{self.medium}-twinfs-{role}")
        return self.mounts[key]

    def pids(self):
        return self.mount.pids()


class TwinfsAtTarget(Twinfs):
    """What the twin of a job would be as an image: the target's folder in a mount of its own."""

    def shared_mount(self, role="target"):
        return super().shared_mount(role)


class TwinfsReadOnly(Twinfs):
    """An image that nobody may write, so that the kernel reads it by itself."""

    def prepare(self):
        super().prepare()
        os.chmod(f"{self.mount.source}/{self.image}", 0o444)


class TwinfsReady(Twinfs):
    """A job in ready, which tracks and goes on copying."""

    mode = "background"
    more = {}

    def prepare(self):
        super().prepare()
        target = self.lab.folder(self.medium, f"twins-{self.name}") + "/"
        self.mount.mirror(self.image, target=target, copy_mode=self.mode, **self.more)
        self.mount.wait_ready(self.image)

    def settle(self):
        self.mount.wait_clean(self.image)


class TwinfsWriteBlocking(TwinfsReady):
    """A job in ready that sends the guest's writes to both."""

    mode = "write-blocking"

    def settle(self):
        super().settle()
        until(lambda: self.mount.job(self.image)["actively-synced"], "actively synced")


class TwinfsStandby(TwinfsReady):
    """A job in ready that is paused: it tracks, and does nothing else. It begins clean each time."""

    def settle(self):
        if self.mount.job(self.image)["paused"]:
            self.mount.command("resume", self.image)
        super().settle()
        self.mount.command("pause", self.image)


class TwinfsIntent(TwinfsReady):
    """A job in ready that notes on disk, before it happens, where the guest writes, or does not."""

    def prepare(self):
        self.more = {"intent": self.name.removeprefix("intent-")}
        try:
            super().prepare()
        except Failure as failure:
            if "no such parameter" in str(failure):
                raise Unavailable("this build does not know intent=") from failure
            raise


KINDS = {
    "native": Candidate, "twinfs": Twinfs, "ready": TwinfsReady, "standby": TwinfsStandby,
    "write-blocking": TwinfsWriteBlocking, "at-target": TwinfsAtTarget,
    "read-only": TwinfsReadOnly, "intent-on": TwinfsIntent, "intent-off": TwinfsIntent,
    "bindfs": Bindfs, "qemu-fuse": QemuFuse, "qemu-nbd": QemuNBD, "qemu-nbd-mirror": QemuNBDMirror,
}
