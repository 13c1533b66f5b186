"""What is printed: a matrix of medians for each medium, and how the rows stand to their aims."""

from workloads import ALL

TITLES = {
    "native": "native", "twinfs": "twinfs", "ready": "twinfs, ready", "standby": "twinfs, standby",
    "write-blocking": "twinfs, write-blocking", "at-target": "twinfs on the target's folder",
    "read-only": "twinfs, read-only image", "intent-on": "twinfs, ready, intent=on",
    "intent-off": "twinfs, ready, intent=off", "bare": "bare FUSE", "bindfs": "bindfs", "qemu-fuse": "qemu FUSE",
    "qemu-nbd": "qemu NBD", "qemu-nbd-mirror": "qemu NBD, mirror",
}


def microseconds(value):
    """Three digits are enough, and a unit that fits."""
    if value >= 10_000:
        return f"{value / 1000:,.0f} ms"
    return f"{value:,.0f} µs" if value >= 10 else f"{value:.1f} µs"


def matrices(matrix):
    """A Markdown table for each medium measured: a line a workload, a column a candidate."""
    for medium in dict.fromkeys(key[0] for key in matrix.samples):
        keys = [key for key in matrix.samples if key[0] == medium]
        names = [name for name in TITLES if any(key[2] == name for key in keys)]
        loads = [load for load in ALL if any(key[1] == load for key in keys)]
        yield f"### {medium}\n"
        yield "| | " + " | ".join(TITLES[name] for name in names) + " |"
        yield "|---" * (len(names) + 1) + "|"
        for load in loads:
            cells = [cell(matrix, medium, ALL[load], name) for name in names]
            yield f"| {ALL[load].title} | " + " | ".join(cells) + " |"
        used = [matrix.memory.get((medium, name), 0) >> 20 for name in names]
        yield "| memory of the daemon | " + " | ".join(f"{n} MiB" if n else "" for n in used) + " |"
        yield ""


def cell(matrix, medium, load, name):
    spread = matrix.spread(medium, load.key, name, load.unit)
    if spread is None:
        return ""
    amount = f"{spread.median:,.0f}/s"
    if load.unit == "bytes":
        amount = f"{spread.median / 2**20:,.0f} MiB/s"
    native = matrix.spread(medium, load.key, "native", load.unit)
    if native and name != "native":
        amount += f", {spread.median / native.median:.2f}×"
    p50, p99, cpu = (matrix.spread(medium, load.key, name, figure).median
                     for figure in ("p50", "p99", "cpu"))
    text = f"{amount} ±{spread.percent():.0f} %, {microseconds(p50)} / {microseconds(p99)}"
    return text + (f", CPU {microseconds(cpu)}" if cpu else "")


def figure(value, unit):
    if value is None:
        return "–"
    if unit == "×":
        return f"{value:.2f}×"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def verdicts(findings):
    """The rows, a line for each finding."""
    yield "| row | medium | what | measured | range | aim | met | |"
    yield "|---:|---|---|---:|---|---:|---|---|"
    for one in findings:
        span = ""
        if one.low is not None and one.low != one.high:
            span = f"{figure(one.low, one.unit)} – {figure(one.high, one.unit)}"
        aim = ""
        if one.aim is not None:
            aim = f"{'≥' if one.at_least else '≤'} {figure(one.aim, one.unit)}"
        met = {True: "yes", False: "**no**", None: ""}[one.met()]
        measured = figure(one.value, one.unit)
        cells = (one.row, one.medium, one.what, measured, span, aim, met, one.note)
        yield "| " + " | ".join(str(text) for text in cells) + " |"


def summary(findings):
    """One line: which rows met all their aims, which did not, which have no figure."""
    groups = {"met": [], "not met": [], "no figure": []}
    for row in sorted({one.row for one in findings}):
        mine = [one for one in findings if one.row == row]
        judged = [one.met() for one in mine if one.met() is not None]
        key = "no figure" if not judged else "met" if all(judged) else "not met"
        groups[key].append(str(row))
    return "; ".join(f"{key}: {', '.join(rows) or 'none'}" for key, rows in groups.items())
