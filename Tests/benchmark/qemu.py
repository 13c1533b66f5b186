"""qemu-storage-daemon, with its FUSE export or its NBD server, and a mirror job by QMP."""

import json
import os
import socket

from lab import LIMIT, Failure, until

NODE = "driver=file,node-name={},filename={}"


def fuse_export(lab, image, point):
    """The image at `point`, which is a file. Returns the process."""
    process = lab.spawn(
        "qemu-storage-daemon", "--blockdev", NODE.format("image", image),
        "--export", f"type=fuse,id=export,node-name=image,mountpoint={point},writable=on")
    until(lambda: os.path.ismount(point) or process.poll() is not None, "the FUSE export")
    if process.poll() is not None:
        raise Failure("qemu-storage-daemon ended")
    return process


class NBDServer:
    """The image behind `uri`; with a mirror job to `twin`, a file of its size, if there is one."""

    def __init__(self, lab, name, image, twin=None):
        server, monitor = (f"{lab.scratch}/{name}-{kind}" for kind in ("nbd", "qmp"))
        nodes = ["--blockdev", NODE.format("image", image)]
        if twin:
            nodes += ["--blockdev", NODE.format("twin", twin)]
        self.process = lab.spawn(
            "qemu-storage-daemon", *nodes, "--nbd-server", f"addr.type=unix,addr.path={server}",
            "--export", "type=nbd,id=export,node-name=image,name=image,writable=on",
            "--chardev", f"socket,id=monitor,path={monitor},server=on,wait=off",
            "--monitor", "chardev=monitor")
        self.uri = f"nbd+unix:///image?socket={server}"
        until(lambda: os.path.exists(monitor), "qemu-storage-daemon")
        self.monitor = Monitor(monitor)
        lab.stack.callback(self.monitor.close)
        self.mirrors = twin is not None
        if twin:
            self.monitor.command("blockdev-mirror", **{
                "job-id": "mirror", "device": "image", "target": "twin", "sync": "full",
                "copy-mode": "background"})
            self.settle()

    def settle(self):
        """Until the job is ready and has nothing left to do."""
        if self.mirrors:
            until(self.is_clean, "qemu's mirror is ready", pause=0.02)

    def is_clean(self):
        jobs = self.monitor.command("query-jobs")
        if [job["status"] for job in jobs] == ["ready"]:
            return jobs[0]["current-progress"] == jobs[0]["total-progress"]
        if not jobs or jobs[0].get("error"):
            raise Failure(f"qemu's mirror: {jobs}")
        return False


class Monitor:
    """QMP: a command and its answer; events in between are passed over."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw", encoding="utf-8")
        self.lines.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise Failure(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        self.socket.close()
