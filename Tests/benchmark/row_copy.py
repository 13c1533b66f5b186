"""Row 9: how long a copy takes, beside the tools that copy files."""

import random
from time import monotonic

from lab import remove, run
from rounds import Spread
from rows import ratio
from twinfs import Mount

MIB = 1 << 20
TOOLS = {
    "cp": lambda source, twin: run("cp", source, twin),
    "nbdcopy": lambda source, twin: run("nbdcopy", source, twin),
    "qemu-img": lambda source, twin: run("qemu-img", "convert", "-f", "raw", "-O", "raw", source,
                                         twin),
}


def bulk(lab, medium):
    """A full image and one of which three tenths are data, copied in turns."""
    source, twins = lab.folder(medium, "copy"), lab.folder(medium, "copy-twins")
    lab.image(f"{source}/full.img", lab.settings.bulk)
    thin(f"{source}/full.img", f"{source}/thin.img", lab.settings.bulk)
    mount = Mount(lab, source, f"{medium}-copy")
    rounds = lab.settings.rounds
    if medium == "disk":
        rounds = max(1, rounds // 2)
    found = []
    for image, what in (("full.img", "a full image"), ("thin.img", "an image that is 30 % full")):
        times = take_turns(mount, image, f"{twins}/{image}", rounds, lab.settings.warm_up)
        found += beside(medium, what, times)
    mount.close()
    remove(source)
    return found


def thin(full, path, size):
    """Extents of 64 KiB to 2 MiB, three tenths of the image in all; the rest are holes."""
    chance = random.Random(1)
    with open(full, "rb") as source, open(path, "wb") as file:
        file.truncate(size)
        place = 0
        while place < size:
            length = chance.randrange(64 << 10, 2 * MIB, 64 << 10)
            source.seek(place)
            file.seek(place)
            file.write(source.read(min(length, size - place)))
            place += length + length * 7 // 3 // 4096 * 4096


def take_turns(mount, image, twin, rounds, warm_up):
    """Seconds by tool. What a copy left to be written to the disk goes with it."""
    times = {tool: [] for tool in ("twinfs", *TOOLS)}
    for _ in range(rounds + warm_up):
        for tool, figures in times.items():
            if tool == "twinfs":
                figures.append(mirror(mount, image, twin))
            else:
                begin = monotonic()
                TOOLS[tool](f"{mount.source}/{image}", twin)
                figures.append(monotonic() - begin)
            remove(twin)
    return {tool: Spread(figures[warm_up:]) for tool, figures in times.items()}


def mirror(mount, image, twin):
    """Up to ready, the command's own start included. The cut, which also flushes, is not."""
    seconds = mount.seconds_to_ready(image, target=twin, sync="top")
    mount.drop(image)
    return seconds


def beside(medium, what, times):
    best = min(TOOLS, key=lambda tool: times[tool].median)
    each = ", ".join(f"{tool} {spread.median:.2f} s" for tool, spread in times.items())
    return [ratio(9, medium, f"time to copy {what}, to the best tool's", times["twinfs"],
                  times[best], 1.0, at_least=False, note=each)]
