"""Draws how a mount grows as SVG: over the number of its images on the left, over the size of one on
the right, all axes but that of the idle processor logarithmic."""

from math import log10

from scale import size_name
from svg import Panel, curve, duration, line, text, write

WIDTH, TOP, HEIGHT, GAP, BOTTOM = 1000, 86, 170, 56, 46
COLUMNS = ((70, 480), (570, 980))
IMAGES, JOBS, THIRD = "#0969da", "#bc4c00", "#8250df"
MICROSECONDS = 1_000_000


def draw(points, file):
    """Writes the picture of some `Point`s."""
    images, jobs, sizes = ([point for point in points if point.kind == kind]
                           for kind in ("images", "jobs", "size"))
    rows = [
        ("a guest reads:", time_scale,
         [("mounted", images, IMAGES, "mount"), ("mounted, jobs", jobs, JOBS, "mount"),
          ("worker killed", jobs, THIRD, "takeover")],
         [("mounted", sizes, JOBS, "mount"), ("worker killed", sizes, THIRD, "takeover")]),
        ("a look at:", time_scale,
         [("status", images, IMAGES, "status"), ("status, jobs", jobs, JOBS, "status"),
          ("one job's", jobs, THIRD, "job")],
         [("status", sizes, JOBS, "status"), ("one job's", sizes, THIRD, "job")]),
        ("memory of all:", memory_scale,
         [("no jobs", images, IMAGES, "memory"), ("all in ready", jobs, JOBS, "memory")],
         [("in ready", sizes, JOBS, "memory")]),
        ("processor while idle:", share_scale,
         [("no jobs", images, IMAGES, "idle"), ("all in ready", jobs, JOBS, "idle")],
         [("in ready", sizes, JOBS, "idle")]),
    ]
    height = TOP + len(rows) * (HEIGHT + GAP) - GAP + BOTTOM
    parts = [text(70, 24, "How a mount grows", "title"),
             text(70, 50, "over the number of images", "small"),
             text(570, 50, "over the size of one image", "small")]
    for number, (title, scale, left, right) in enumerate(rows):
        for (begin, end), series in zip(COLUMNS, (left, right)):
            panel = Panel(begin, end, TOP + number * (HEIGHT + GAP), HEIGHT)
            parts += plot(panel, title, scale, series)
    write(file, WIDTH, height, parts)


def time_scale(panel, values):
    height_of, ticks = panel.logarithmic([value * MICROSECONDS for value in values], duration)
    return lambda value: height_of(value * MICROSECONDS), ticks


def memory_scale(panel, values):
    return panel.logarithmic(values, lambda value: f"{value:g} MiB")


def share_scale(panel, values):
    height_of, ticks = panel.linear([value * 100 for value in values], unit=" %")
    return lambda value: height_of(value * 100), ticks


def plot(panel, title, scale, series):
    """The series of a panel: each a name, its points, a colour, and the figure of them."""
    yield from panel.legend(title, [(name, colour) for name, _, colour, _ in series])
    height_of, ticks = scale(panel, [getattr(point, figure) for _, points, _, figure in series
                                     for point in points])
    yield from ticks
    amounts = sorted({point.amount for _, points, _, _ in series for point in points})
    across = place(panel, amounts)
    for amount in amounts:
        yield line(across(amount), panel.top, across(amount), panel.top + panel.height, "grid")
        label = size_name(amount) if amount >= 1 << 30 else f"{amount:,}"
        yield text(across(amount), panel.top + panel.height + 18, label, "small", "middle")
    for _, points, colour, figure in series:
        spots = [(across(point.amount), height_of(getattr(point, figure))) for point in points]
        yield curve(spots, colour)
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
                    for x, y in spots)


def place(panel, amounts):
    """Where an amount stands: by its logarithm, from the least to the greatest."""
    low, span = log10(amounts[0]), max(log10(amounts[-1] / amounts[0]), 1e-9)
    return lambda amount: panel.left + (log10(amount) - low) / span * (panel.right - panel.left)
