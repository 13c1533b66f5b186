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
        turns = take_turns(mount, image, f"{twins}/{image}", rounds, lab.settings.warm_up)
        found += beside(medium, what, *turns)
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
    """Seconds by tool: until its copy can be read, and until it is on the disk as in ready."""
    times = {tool: [] for tool in ("twinfs", *TOOLS)}
    durable = {tool: [] for tool in times}
    for _ in range(rounds + warm_up):
        for tool, figures in times.items():
            begin = monotonic()
            if tool == "twinfs":
                figures.append(mirror(mount, image, twin))
                durable[tool].append(figures[-1])
            else:
                TOOLS[tool](f"{mount.source}/{image}", twin)
                figures.append(monotonic() - begin)
                run("sync", twin)
                durable[tool].append(monotonic() - begin)
            remove(twin)
    return tuple({tool: Spread(figures[warm_up:]) for tool, figures in kind.items()}
                 for kind in (times, durable))


def mirror(mount, image, twin):
    """Up to ready, the command's own start included: the twin is durable and has its name."""
    seconds = mount.seconds_to_ready(image, target=twin, sync="top")
    mount.drop(image)
    return seconds


def beside(medium, what, times, durable):
    """On a disk the tools that leave their copy in memory are shown, and no aim is set for them."""
    if medium != "disk":
        return [compared(medium, f"time to copy {what}, to the best tool's", times, 1.0)]
    return [
        compared(medium, f"time to copy {what} to disk, to the best tool's and sync", durable, 1.0),
        compared(medium, "the same, to the best tool's into memory", times, None),
    ]


def compared(medium, what, times, aim):
    best = min(TOOLS, key=lambda tool: times[tool].median)
    each = ", ".join(f"{tool} {spread.median:.2f} s" for tool, spread in times.items())
    return ratio(9, medium, what, times["twinfs"], times[best], aim, at_least=False, note=each)
