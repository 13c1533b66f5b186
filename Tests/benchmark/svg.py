"""What pictures are made of: text, lines, curves, and panels with a scale, as SVG by hand."""

from dataclasses import dataclass
from math import ceil, floor, log10

STYLE = ("text{font:13px sans-serif;fill:#24292f}.small{font-size:11px}.title{font-size:16px;"
         "font-weight:bold}.axis{stroke:#8c959f;fill:none}.grid{stroke:#d0d7de;stroke-width:.5}"
         "path{fill:none;stroke-width:1.6;stroke-linejoin:round}")


def write(file, width, height, parts):
    with open(file, "w", encoding="utf-8") as output:
        output.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}">\n<style>{STYLE}</style>\n'
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def text(x, y, words, kind="", anchor="start", more=""):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{more}'
    return f"<text {place}>{words}</text>"


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


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


def nice(value):
    """1, 2 or 5 times a power of ten, not below the value."""
    power = 10 ** floor(log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


def duration(microseconds):
    for unit, size in (("s", 1_000_000), ("ms", 1000)):
        if microseconds >= size:
            return f"{microseconds / size:g} {unit}"
    return f"{microseconds:g} µs"


@dataclass
class Panel:
    """A part of the picture with a scale of its own; `height_of` follows from the values."""

    left: float
    right: float
    top: float
    height: float

    def legend(self, title, entries=()):
        """A title above the panel, behind it (name, colour) of each curve."""
        yield text(self.left, self.top - 10, title)
        x = self.left + 8 * len(title)
        for name, colour in entries:
            yield text(x, self.top - 10, f"— {name}", more=f' style="fill:{colour}"')
            x += 30 + 8 * len(name)

    def tick(self, y, label):
        yield line(self.left, y, self.right, y, "grid")
        yield text(self.left - 8, y + 4, label, "small", "end")

    def linear(self, values, least=1.0, unit=""):
        """From zero to the greatest value, `least` where that is smaller: (height_of, ticks)."""
        greatest = max([*values, least])
        step = nice(greatest / 4)
        highest = ceil(greatest / step) * step

        def height_of(value):
            return self.top + self.height - value / highest * self.height

        digits = max(0, -floor(log10(step)))
        return height_of, [part for number in range(round(highest / step) + 1) for part in
                           self.tick(height_of(number * step), f"{number * step:,.{digits}f}{unit}")]

    def logarithmic(self, values, label):
        """Powers of ten around the values: (height_of, ticks)."""
        low = floor(log10(min(values, default=1)))
        high = max(low + 1, ceil(log10(max(values, default=10))))

        def height_of(value):
            return self.top + self.height - (log10(value) - low) / (high - low) * self.height

        return height_of, [part for power in range(low, high + 1)
                           for part in self.tick(height_of(10**power), label(10**power))]
