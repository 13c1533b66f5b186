"""Draws the life of a job as SVG: guest, copier and latency one above the other, the phases across
all of them."""

from svg import Panel, curve, duration, line, nice, text, write

WIDTH, LEFT, RIGHT = 1000, 70, 20
TOP, GAP, BOTTOM = 98, 44, 48
# The panels: the guest's throughput, the copier's, the guest's latency.
GUEST_PANEL = Panel(LEFT, WIDTH - RIGHT, TOP, 150)
COPIER_PANEL = Panel(LEFT, WIDTH - RIGHT, TOP + 150 + GAP, 110)
LATENCY_PANEL = Panel(LEFT, WIDTH - RIGHT, TOP + 150 + 110 + 2 * GAP, 210)
HEIGHT = LATENCY_PANEL.top + LATENCY_PANEL.height + BOTTOM
SHADES = ("#f4f6f8", "#e6ebf0")
GUEST, COPIER, MEDIAN, TAIL, LONGEST = "#0969da", "#bc4c00", "#0969da", "#8250df", "#cf222e"


def draw(life, file):
    """Writes the picture of a `Life`."""
    end = life.phases[-1][1]

    def across(time):
        return LEFT + min(max(time, 0), end) / end * (WIDTH - LEFT - RIGHT)

    guest = [(across(at), rate) for at, rate, *_ in life.guest]
    copier = [(across(at), rate) for at, rate in life.copier]
    write(file, WIDTH, HEIGHT, [
        text(LEFT, 24, "The life of a job, as the guest feels it", "title"),
        *bands(life.phases, across),
        *rates(GUEST_PANEL, "guest, 4 KiB writes a second", guest, GUEST),
        *rates(COPIER_PANEL, "copier, MiB a second", copier, COPIER),
        *latency(life, across), *time_axis(end, across)])


def bands(phases, across):
    """A shade for each phase, its name above; that of a narrow one stands higher."""
    for number, (begin, end, name) in enumerate(phases):
        left, right = across(begin), across(end)
        yield (f'<rect x="{left:.1f}" y="{TOP}" width="{max(1, right - left):.1f}" '
               f'height="{HEIGHT - TOP - BOTTOM}" fill="{SHADES[number % 2]}"/>')
        yield line(left, 36, left, HEIGHT - BOTTOM, "grid")
        narrow = right - left < 7 * len(name)
        yield text((left + right) / 2, 44 if narrow else 58, name, "small", "middle")


def rates(panel, title, points, colour):
    """One series from zero to its peak."""
    height_of, ticks = panel.linear([rate for _, rate in points])
    yield from panel.legend(title)
    yield from ticks
    yield curve([(x, height_of(rate)) for x, rate in points], colour)


def latency(life, across):
    """Microseconds, on a logarithmic scale: the longest is a thousand times the median."""
    values = [value for point in life.guest for value in point[2:] if value]
    height_of, ticks = LATENCY_PANEL.logarithmic(values, duration)
    kinds = (("longest", LONGEST, 4), ("99 of 100", TAIL, 3), ("median", MEDIAN, 2))
    yield from LATENCY_PANEL.legend("latency of the guest's writes:",
                                    [(name, colour) for name, colour, _ in kinds])
    yield from ticks
    for _, colour, column in kinds:
        yield curve([(across(point[0]), height_of(point[column])) if point[column] else None
                     for point in life.guest], colour)


def time_axis(end, across):
    base, step = HEIGHT - BOTTOM, max(nice(end / 12), 0.1)
    yield line(LEFT, base, WIDTH - RIGHT, base, "axis")
    for number in range(int(end / step) + 1):
        yield text(across(number * step), base + 18, f"{number * step:g} s", "small", "middle")
