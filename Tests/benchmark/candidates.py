"""What twinfs is measured as: images of one mount, with jobs and without; and who takes turns."""

import os

from lab import Failure, Unavailable, until
from peers import Bare, Bindfs, Candidate, QemuFuse, QemuNBD, QemuNBDMirror
from twinfs import Mount


class Twinfs(Candidate):
    """An image in a mount, without a job. All that follow lie in the same mount."""

    mounts = {}

    def prepare(self):
        self.mount = self.shared_mount()
        self.image = f"{self.name}.img"
        self.new_image(self.mount.source, self.image)
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
        super().settle()
        self.mount.wait_clean(self.image)


class TwinfsWriteBlocking(TwinfsReady):
    """A job in ready that sends the guest's writes to both."""

    mode = "write-blocking"

    def settle(self):
        super().settle()
        until(lambda: self.mount.job(self.image)["actively-synced"], "actively synced")


class TwinfsStandby(TwinfsReady):
    """A job in ready that is paused: it tracks and does nothing else. It begins clean each time."""

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
    "bare": Bare, "bindfs": Bindfs, "qemu-fuse": QemuFuse, "qemu-nbd": QemuNBD,
    "qemu-nbd-mirror": QemuNBDMirror,
}
