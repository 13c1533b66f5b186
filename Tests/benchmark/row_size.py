"""Rows 13 to 15: what a mark costs, memory, and how soon a mount can be used."""

import os
import shutil
from time import monotonic

from lab import Unavailable, memory, remove, run
from rounds import Spread
from rows import Finding
from twinfs import Mount

MIB = 1 << 20
TIB = 1 << 40
# What a mount begins with, and what each of them has touched: see RequestThread and Readers.
WARM_THREADS = max(3, min(16, os.cpu_count() + 1))
REQUEST = MIB


def mark(_):
    """Row 13: mark-benchmark, which lies beside twinfs after `swift build -c release`."""
    program = f"{os.path.dirname(shutil.which('twinfs'))}/mark-benchmark"
    if not os.path.exists(program):
        raise Unavailable("there is no mark-benchmark beside twinfs")
    found = []
    for line in run(program).stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        aim = cells[2] if len(cells) > 2 else ""
        if cells[0].startswith(("mark", "gauge", "zero scan", "memcpy")) and is_number(cells[1]):
            found.append(Finding(13, "memory", cells[0], float(cells[1]),
                                 float(aim) if is_number(aim) else None, False, "ns"))
    return found


def is_number(text):
    return text.replace(".", "", 1).isdigit()


def many_images(lab, count=1000):
    """Rows 14 and 15: a folder of a thousand images, mounted again and again."""
    source = lab.folder("tmpfs", "many")
    for number in range(count):
        with open(f"{source}/{number}.img", "wb") as file:
            file.truncate(MIB)
    mount = Mount(lab, source, "many")
    times = []
    for _ in range(lab.settings.rounds + lab.settings.warm_up):
        mount.close()
        begin = monotonic()
        mount.mount()
        touch(mount.path(f"{count - 1}.img"))
        times.append(monotonic() - begin)
    for number in range(count):
        os.stat(mount.path(f"{number}.img"))
    used = memory(mount.pids()) / MIB
    mount.close()
    remove(source)
    note = f"{used:.0f} MiB with the request buffers of {WARM_THREADS} threads"
    spread = Spread(times[lab.settings.warm_up:])
    return [
        Finding(14, "memory", f"idle mount, {count:,} images, each looked up",
                used - WARM_THREADS * REQUEST / MIB, 32, False, "MiB", note=note),
        Finding(15, "tmpfs", f"mount of {count:,} images until the first is read", spread.median,
                0.2, False, "s", min(spread.figures), max(spread.figures)),
    ]


def touch(path):
    with open(path, "rb", buffering=0) as file:
        file.read(4096)


def scattered(lab):
    """Row 14: an image of 1 TiB, dirty everywhere, its job paused. What the mount grows by when the
    same is written to an image without a job are the buffers of its requests: they are left out."""
    source, twins = lab.folder("tmpfs", "huge"), lab.folder("tmpfs", "huge-twins")
    for image in ("plain.img", "huge.img"):
        with open(f"{source}/{image}", "wb") as file:
            file.truncate(TIB)
    mount = Mount(lab, source, "huge")
    idle = memory(mount.pids())
    scatter(lab, mount.path("plain.img"))
    buffers = (memory(mount.pids()) - idle) / MIB
    mount.mirror("huge.img", target=f"{twins}/", copy_mode="background")
    mount.wait_ready("huge.img")
    mount.command("pause", "huge.img")
    scatter(lab, mount.path("huge.img"))
    used = memory(mount.pids()) / MIB
    mount.drop("huge.img")
    mount.close()
    remove(source)
    remove(twins)
    what = f"1 TiB image, {lab.settings.scattered:,} writes of 4 KiB everywhere"
    note = f"beside {buffers:.0f} MiB of buffers"
    return [Finding(14, "memory", what, used - buffers, 96, False, "MiB", note=note)]


def scatter(lab, file):
    run("fio", "--name=scatter", f"--filename={file}", f"--size={TIB}", "--rw=randwrite", "--bs=4k",
        f"--io_size={lab.settings.scattered * 4096}", "--norandommap", "--ioengine=libaio",
        "--iodepth=16", "--direct=1", "--overwrite=1", "--randrepeat=0")
