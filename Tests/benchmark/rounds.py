"""Candidates take turns within a round, so that a slow minute of the machine hits all of them."""

import sys
from statistics import median
from time import monotonic

import fio
from candidates import KINDS
from lab import Unavailable, memory
from workloads import ALL, OTHERS


START = monotonic()


def say(text):
    """Progress, beside the table that goes to standard output."""
    print(f"{monotonic() - START:5.0f} s  {text}", file=sys.stderr, flush=True)


class Spread:
    """The figures of one thing, a figure each round, in the order of the rounds."""

    def __init__(self, figures):
        self.figures = list(figures)
        self.median = median(self.figures)
        self.half_range = (max(self.figures) - min(self.figures)) / 2

    def percent(self):
        return self.half_range / self.median * 100 if self.median else 0


class Matrix:
    """Samples by (medium, workload, candidate)."""

    def __init__(self, lab):
        self.lab = lab
        self.samples = {}
        self.missing = {}
        self.memory = {}

    def fill(self, needed, medium):
        """Measures what `needed` names, {(medium, workload): [candidate]}, and the others."""
        rows = {key: list(names) for key, names in needed.items() if key[0] == medium}
        others = {}
        if rows and self.lab.settings.others:
            others = {key: [name for name in names if name not in rows.get(key, ())]
                      for key, names in OTHERS.items() if key[0] == medium}
        self.fill_medium(medium, rows, others)

    def fill_medium(self, medium, rows, others):
        names = [name for cells in (rows, others) for part in cells.values() for name in part]
        ready = self.prepare(medium, dict.fromkeys(names))
        settings = self.lab.settings
        if settings.warm_up and ready:
            self.round(rows, ready, settings.duration / 2)
            self.round(others, ready, settings.duration / 4)
            self.samples = {key: had for key, had in self.samples.items() if key[0] != medium}
            say(f"{medium}: warm")
        for number in range(settings.rounds):
            self.round(rows, ready, settings.duration)
            if number % 3 == 0:
                self.round(others, ready, settings.duration)
            if ready:
                say(f"{medium}: round {number + 1} of {settings.rounds}")

        for name, candidate in ready.items():
            self.memory[medium, name] = memory(candidate.pids())

    def prepare(self, medium, names):
        ready = {}
        for name in names:
            try:
                ready[name] = KINDS[name](self.lab, medium, name)
            except Unavailable as reason:
                self.missing[name] = str(reason)
        return ready

    def round(self, cells, ready, duration):
        for (medium, workload), names in cells.items():
            for name in names:
                if name in ready:
                    self.measure((medium, workload, name), ready[name], duration)

    def measure(self, key, candidate, duration):
        candidate.settle()
        sample = fio.measure(self.lab, candidate.place(), ALL[key[1]].options, candidate.pids(),
                             duration)
        self.samples.setdefault(key, []).append(sample)

    def spread(self, medium, workload, candidate, figure):
        """Of one figure of the samples; None if it was not measured."""
        had = self.samples.get((medium, workload, candidate))
        return Spread(getattr(sample, figure) for sample in had) if had else None
