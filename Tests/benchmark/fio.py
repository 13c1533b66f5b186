"""fio: one measurement of a workload, and a guest whose every request is logged."""

import json
import os
import signal
import subprocess
from dataclasses import asdict, dataclass

from lab import LIMIT, Failure, cpu_seconds, end, remove, run, until

COMMON = ("fio", "--name=bench", "--norandommap", "--randrepeat=0", "--overwrite=1",
          "--lat_percentiles=1")


@dataclass(frozen=True)
class Sample:
    """One measurement. Latencies in microseconds; `cpu` is the daemon's, in microseconds an I/O."""

    iops: float
    bytes: float
    mean: float
    p50: float
    p99: float
    cpu: float

    def as_dict(self):
        return asdict(self)


def measure(lab, place, options, pids, duration):
    """Runs the workload for so many seconds. `place` is what fio reads and writes."""
    output = f"{lab.scratch}/fio.json"
    before = cpu_seconds(pids)
    run(*COMMON, *engine(place), *options, *place, "--time_based",
        f"--runtime={round(duration * 1000)}ms", "--output-format=json", f"--output={output}")
    used = cpu_seconds(pids) - before
    with open(output, encoding="utf-8") as file:
        job = json.loads(file.read())["jobs"][0]
    sides = [job[side] for side in ("read", "write") if job[side]["total_ios"] > 0]
    if not sides:
        raise Failure(f"fio did nothing: {options} {place}")
    side = max(sides, key=lambda side: side["total_ios"])
    latency = side["lat_ns"]
    return Sample(iops=side["iops"], bytes=side["bw_bytes"], mean=latency["mean"] / 1000,
                  p50=latency["percentile"]["50.000000"] / 1000,
                  p99=latency["percentile"]["99.000000"] / 1000,
                  cpu=used * 1e6 / side["total_ios"])


def engine(place):
    """libaio, where the place is no engine by itself."""
    return () if any(word.startswith("--ioengine") for word in place) else ("--ioengine=libaio",)


class Guest:
    """fio on one image until it is told to stop. `requests()` then has each request it made."""

    def __init__(self, lab, file, name, *options):
        self.log = f"{lab.scratch}/guest-{name}"
        self.output = f"{self.log}.out"
        begun = f"{self.log}.begun"
        remove(begun)
        self.process = lab.spawn(
            *COMMON, "--ioengine=libaio", "--direct=1", f"--filename={file}", *options,
            "--time_based", f"--runtime={10 * LIMIT}", "--log_unix_epoch=1", "--disable_slat=1",
            "--disable_clat=1", f"--write_lat_log={self.log}", f"--output={self.output}",
            f"--exec_prerun=touch {begun}", stderr=subprocess.STDOUT)
        until(lambda: os.path.exists(begun) or self.process.poll() is not None, "fio's start")
        self.still_runs()

    def still_runs(self):
        if self.process.poll() is not None:
            with open(self.output, encoding="utf-8") as file:
                raise Failure(f"the guest ended by itself: {file.read()[-2000:]}")

    def stop(self):
        """Ends it in order, so that it writes down what it logged."""
        self.still_runs()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(LIMIT)
        finally:
            end(self.process)

    def requests(self):
        """Each as (seconds since 1970 at its end, microseconds it took), and forgets the log."""
        path = f"{self.log}_lat.1.log"
        found = []
        with open(path, encoding="ascii") as file:
            for line in file:
                time, latency, _ = line.split(",", 2)
                found.append((int(time) / 1000, int(latency) / 1000))
        os.unlink(path)
        return found
