"""A twinfs mount and its jobs, by the commands and files that everybody has."""

import json
import os
from time import time

from lab import LIMIT, Failure, run, unmount, until


class Mount:
    """`source` mounted at a point of its own until the lab closes or `close` is called. What must
    outlive the daemon is kept on disk, whatever medium the images are on."""

    def __init__(self, lab, source, name):
        self.source = source
        self.point = lab.point(name)
        self.state = f"{lab.scratch}/state/{name}"
        self.open = False
        lab.stack.callback(self.close)
        self.mount()

    def mount(self):
        run("twinfs", self.source, self.point, "-o", f"statedir={self.state}")
        self.open = True

    def close(self):
        if self.open:
            self.open = False
            pids = self.pids()
            if run("twinfs", "unmount", self.point, may_fail=True).returncode != 0:
                unmount(self.point)
            until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "its end")

    def path(self, image):
        return f"{self.point}/{image}"

    def status(self):
        with open(f"{self.point}/.mirror/status.json", encoding="utf-8") as file:
            return json.load(file)

    def pids(self):
        status = self.status()
        return [status[key] for key in ("keeper-pid", "worker-pid") if status.get(key)]

    def job(self, image):
        jobs = [job for job in self.status()["jobs"] if job["id"] == image]
        if not jobs:
            raise Failure(f"no job {image}")
        return jobs[-1]

    def mirror(self, image, **parameters):
        """Starts a job; an underscore in a parameter's name stands for its hyphen."""
        words = [f"{key.replace('_', '-')}={value}" for key, value in parameters.items()]
        run("twinfs", "mirror", self.path(image), *words)

    def command(self, verb, image, *words):
        """`twinfs set`, `pause`, `complete` …"""
        run("twinfs", verb, self.path(image), *words)

    def wait_ready(self, image):
        run("twinfs", "wait", "--for", "ready", "--timeout", str(LIMIT), self.path(image))

    def seconds_to_ready(self, image, **parameters):
        """A job from the command's start to the event that tells of ready."""
        begin = time()
        self.mirror(image, **parameters)
        self.wait_ready(image)
        return self.last("BLOCK_JOB_READY", image) - begin

    def wait_completed(self, image):
        run("twinfs", "wait", "--for", "completed", "--timeout", str(LIMIT), self.path(image))

    def wait_clean(self, image):
        """Until the copier has nothing left to do."""
        until(lambda: self.is_clean(image), f"{image} has nothing dirty", pause=0.02)

    def is_clean(self, image):
        job = self.job(image)
        if job["error"]:
            raise Failure(f"job {image}: {job['error']}")
        return job["dirty-bytes"] == 0 and job["in-flight-bytes"] == 0

    def drop(self, image):
        """Ends the job, whatever it is doing, and forgets it."""
        run("twinfs", "cancel", self.path(image), "force=on", may_fail=True)
        until(lambda: run("twinfs", "dismiss", self.path(image), may_fail=True).returncode == 0,
              f"the end of {image}'s job")

    def events(self):
        """All that are kept: (seconds since 1970, name, data)."""
        with open(f"{self.point}/.mirror/events", encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                stamp = event["timestamp"]
                yield (stamp["seconds"] + stamp["microseconds"] / 1e6, event["event"],
                       event.get("data", {}))

    def last(self, name, image):
        """When the image's job last sent the event."""
        times = [moment for moment, event, data in self.events()
                 if event == name and image in (data.get("device"), data.get("id"))]
        if not times:
            raise Failure(f"no event {name} of {image}")
        return times[-1]
