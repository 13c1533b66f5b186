"""Draws the life of a job as SVG: guest, copier and latency one above the other, the phases across
all of them."""

from math import ceil, floor, log10

WIDTH, LEFT, RIGHT = 1000, 70, 20
TOP, GAP, BOTTOM = 98, 44, 48
# Heights of the panels: the guest's throughput, the copier's, the guest's latency.
GUEST_PANEL, COPIER_PANEL, LATENCY_PANEL = 150, 110, 210
COPIER_TOP = TOP + GUEST_PANEL + GAP
LATENCY_TOP = COPIER_TOP + COPIER_PANEL + GAP
HEIGHT = LATENCY_TOP + LATENCY_PANEL + BOTTOM
SHADES = ("#f4f6f8", "#e6ebf0")
STYLE = ("text{font:13px sans-serif;fill:#24292f}.small{font-size:11px}.title{font-size:16px;"
         "font-weight:bold}.axis{stroke:#8c959f;fill:none}.grid{stroke:#d0d7de;stroke-width:.5}"
         "path{fill:none;stroke-width:1.6;stroke-linejoin:round}")
GUEST, COPIER, MEDIAN, TAIL, LONGEST = "#0969da", "#bc4c00", "#0969da", "#8250df", "#cf222e"


def draw(life, file):
    """Writes the picture of a `Life`."""
    end = life.phases[-1][1]

    def across(time):
        return LEFT + min(max(time, 0), end) / end * (WIDTH - LEFT - RIGHT)

    guest = [(across(at), rate) for at, rate, *_ in life.guest]
    copier = [(across(at), rate) for at, rate in life.copier]
    parts = [*bands(life.phases, across),
             *rates(TOP, GUEST_PANEL, "guest, 4 KiB writes a second", guest, GUEST),
             *rates(COPIER_TOP, COPIER_PANEL, "copier, MiB a second", copier, COPIER),
             *latency(life, across), *time_axis(end, across)]
    with open(file, "w", encoding="utf-8") as output:
        output.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}">\n<style>{STYLE}</style>\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
            + text(LEFT, 24, "The life of a job, as the guest feels it", "title")
            + "\n" + "\n".join(parts) + "\n</svg>\n")


def text(x, y, words, kind="", anchor="start", more=""):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{more}'
    return f"<text {place}>{words}</text>"


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def bands(phases, across):
    """A shade for each phase, its name above; that of a narrow one stands higher."""
    for number, (begin, end, name) in enumerate(phases):
        left, right = across(begin), across(end)
        yield (f'<rect x="{left:.1f}" y="{TOP}" width="{max(1, right - left):.1f}" '
               f'height="{HEIGHT - TOP - BOTTOM}" fill="{SHADES[number % 2]}"/>')
        yield line(left, 36, left, HEIGHT - BOTTOM, "grid")
        narrow = right - left < 7 * len(name)
        yield text((left + right) / 2, 44 if narrow else 58, name, "small", "middle")


def rates(top, panel, title, points, colour):
    """One series from zero to its peak."""
    step = nice(max([rate for _, rate in points] + [1]) / 4)
    highest = max(1, ceil(max([rate for _, rate in points] + [1]) / step)) * step

    def height(rate):
        return top + panel - rate / highest * panel

    yield from legend(top - 10, title, ())
    for number in range(round(highest / step) + 1):
        yield from tick(height(number * step), f"{number * step:,.0f}")
    yield curve([(x, height(rate)) for x, rate in points], colour)


def latency(life, across):
    """Microseconds, on a logarithmic scale: the longest is a thousand times the median."""
    base = LATENCY_TOP
    values = [value for point in life.guest for value in point[2:] if value]
    low = floor(log10(min(values, default=1)))
    high = max(low + 1, ceil(log10(max(values, default=10))))

    def height(value):
        return base + LATENCY_PANEL - (log10(value) - low) / (high - low) * LATENCY_PANEL

    kinds = (("longest", LONGEST, 4), ("99 of 100", TAIL, 3), ("median", MEDIAN, 2))
    yield from legend(base - 10, "latency of the guest's writes:",
                      [(name, colour) for name, colour, _ in kinds])
    for power in range(low, high + 1):
        yield from tick(height(10**power), amount(10**power))
    for _, colour, column in kinds:
        yield curve([(across(point[0]), height(point[column])) if point[column] else None
                     for point in life.guest], colour)


def amount(microseconds):
    for unit, size in (("s", 1_000_000), ("ms", 1000)):
        if microseconds >= size:
            return f"{microseconds / size:g} {unit}"
    return f"{microseconds:g} µs"


def legend(y, title, entries):
    yield text(LEFT, y, title)
    x = LEFT + 8 * len(title)
    for name, colour in entries:
        yield text(x, y, f"— {name}", more=f' style="fill:{colour}"')
        x += 30 + 8 * len(name)


def tick(y, label):
    yield line(LEFT, y, WIDTH - RIGHT, y, "grid")
    yield text(LEFT - 8, y + 4, label, "small", "end")


def time_axis(end, across):
    base, step = HEIGHT - BOTTOM, max(nice(end / 12), 0.1)
    yield line(LEFT, base, WIDTH - RIGHT, base, "axis")
    for number in range(int(end / step) + 1):
        yield text(across(number * step), base + 18, f"{number * step:g} s", "small", "middle")


def nice(value):
    """1, 2 or 5 times a power of ten, not below the value."""
    power = 10 ** floor(log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


def curve(points, colour):
    """A path with gaps where a point is None."""
    words, move = [], True
    for point in points:
        if point is None:
            move = True
            continue
        words.append(f"{'M' if move else 'L'}{point[0]:.1f} {point[1]:.1f}")
        move = False
    return f'<path d="{" ".join(words)}" stroke="{colour}"/>'
