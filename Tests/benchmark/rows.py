"""The aims that two candidates beside each other show, and what every row's result looks like."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A line of the last table. `value` is what is held against `aim`; None where there is none."""

    row: int
    medium: str
    what: str
    value: float | None = None
    aim: float | None = None
    at_least: bool = True
    unit: str = "×"
    low: float | None = None
    high: float | None = None
    note: str = ""

    def met(self):
        """Whether the aim is met; None where nothing is aimed at or nothing was measured."""
        if self.value is None or self.aim is None:
            return None
        return self.value >= self.aim if self.at_least else self.value <= self.aim


def ratio(row, medium, what, subject, reference, aim, at_least=True, note=""):
    """The ratio of the medians of two `Spread`s; its range is that of the rounds' ratios."""
    each = [a / b for a, b in zip(subject.figures, reference.figures) if b]
    if not each or not reference.median:
        return Finding(row, medium, what, None, aim, at_least)
    return Finding(row, medium, what, subject.median / reference.median, aim, at_least,
                   low=min(each), high=max(each), note=note)


@dataclass(frozen=True)
class Comparison:
    """`subject` against `reference`, by one figure of a workload."""

    row: int
    what: str
    workload: str
    subject: str
    reference: str
    aim: float | None
    medium: str = "tmpfs"
    figure: str = "iops"

    def finding(self, matrix):
        pair = [matrix.spread(self.medium, self.workload, name, self.figure)
                for name in (self.subject, self.reference)]
        if None in pair:
            reasons = {matrix.missing.get(name, "") for name in (self.subject, self.reference)}
            return Finding(self.row, self.medium, self.what, aim=self.aim,
                           note=" ".join(filter(None, reasons)))
        return ratio(self.row, self.medium, self.what, *pair, self.aim)


def both(row, what, workloads, *rest, **more):
    return [Comparison(row, f"{what}, {title}", load, *rest, **more) for load, title in workloads]


DEPTHS = (("w4d1", "depth 1"), ("w4d16", "depth 16"))

COMPARISONS = [
    Comparison(1, "4 KiB write, depth 1, ready, to qemu's FUSE export", "w4d1", "ready",
               "qemu-fuse", 3),
    Comparison(1, "4 KiB write, depth 16, ready, to qemu's FUSE export", "w4d16", "ready",
               "qemu-fuse", 5),
    *both(1, "the same to the bare way through /dev/fuse", DEPTHS, "ready", "bare", None),
    *both(1, "without a job, to the bare way", DEPTHS, "twinfs", "bare", None),
    Comparison(2, "4 KiB write, depth 1, ready, to bindfs", "w4d1", "ready", "bindfs", 1.5),
    Comparison(2, "4 KiB write, depth 16, ready, to bindfs", "w4d16", "ready", "bindfs", 3),
    *both(3, "tracking alone, to no job", DEPTHS, "standby", "twinfs", 0.97),
    Comparison(4, "1 MiB read, to native", "r1m", "twinfs", "native", 0.8),
    Comparison(4, "1 MiB write, to native", "w1m", "twinfs", "native", 0.6),
    *both(4, "1 MiB, to the bare way", (("r1m", "read"), ("w1m", "write")), "twinfs", "bare", None),
    Comparison(4, "1 MiB read, to native", "r1m", "twinfs", "native", 0.95, "disk"),
    Comparison(4, "1 MiB write, to native", "w1m", "twinfs", "native", 0.95, "disk"),
    *both(5, "4 KiB read of a read-only image, to native",
          (("ro4d1", "depth 1"), ("ro4d16", "depth 16")), "read-only", "native", 0.9),
    Comparison(6, "4 KiB read, depth 32, to native", "r4d32", "twinfs", "native", 0.9, "disk"),
    Comparison(6, "4 KiB write, depth 32, to native", "w4d32", "twinfs", "native", 0.9, "disk"),
    *both(6, "4 KiB of depth 32, to the bare way", (("r4d32", "read"), ("w4d32", "write")),
          "twinfs", "bare", None, "disk"),
    Comparison(8, "4 KiB write, depth 16, kept in ready", "w4d16", "ready", "twinfs", 0.85),
    Comparison(8, "the same by qemu over NBD", "w4d16", "qemu-nbd-mirror", "qemu-nbd", None),
    Comparison(16, "4 KiB write, fdatasync each 32, to native", "sync32", "twinfs", "native", 0.8,
               "disk"),
    Comparison(17, "4 KiB write, depth 16, intent=on to off", "w4d16", "intent-on", "intent-off",
               0.95),
]

# Row 10 has two references: the slower of them counts.
WRITE_BLOCKING = {("tmpfs", "w4d1"): ("write-blocking", "twinfs", "at-target")}


def needed(rows):
    """{(medium, workload): [candidate]} that these rows ask for; all rows for None."""
    cells = {}
    for one in COMPARISONS:
        if rows is None or one.row in rows:
            names = cells.setdefault((one.medium, one.workload), {})
            names.update(dict.fromkeys((one.reference, one.subject)))
    for key, names in WRITE_BLOCKING.items():
        if rows is None or 10 in rows:
            cells.setdefault(key, {}).update(dict.fromkeys(names))
    return {key: list(names) for key, names in cells.items()}


def findings(matrix, rows, media):
    """What the matrix says of the rows."""
    found = [one.finding(matrix) for one in COMPARISONS
             if (rows is None or one.row in rows) and one.medium in media]
    if (rows is None or 10 in rows) and "tmpfs" in media:
        found.append(write_blocking(matrix))
    return found


def write_blocking(matrix):
    """Latency of a write that goes to both, against the slower of source and target alone."""
    both, source, target = (matrix.spread("tmpfs", "w4d1", name, "mean")
                            for name in WRITE_BLOCKING["tmpfs", "w4d1"])
    if None in (both, source, target):
        return Finding(10, "tmpfs", "latency of 4 KiB writes, write-blocking")
    slower = max(source, target, key=lambda spread: spread.median)
    return ratio(10, "tmpfs", "latency of 4 KiB writes, write-blocking, to the slower side alone",
                 both, slower, 1.3, at_least=False)
