"""Row 12: how long a switch-over holds the guest, beyond what the target's own flush takes."""

import os
from time import monotonic, sleep, time

from fio import Guest
from lab import remove, run
from rounds import Spread
from row_bulk import Trace
from rows import Finding
from twinfs import Mount


def pause(lab):
    """On disk, a guest at work, 64 MiB that are still to be copied when the job is told to end."""
    source, twins = lab.folder("disk", "switch"), lab.folder("disk", "switch-twins")
    mount = Mount(lab, source, "switch")
    held, felt, flushes = [], [], []
    for number in range(lab.settings.rounds):
        image = f"{number}.img"
        lab.image(f"{source}/{image}", lab.settings.switch_image)
        flushes.append(flush(lab, f"{source}/{image}", f"{twins}/flushed"))
        told, seen = switch(lab, mount, image, f"{twins}/{image}")
        held.append(told)
        felt.append(seen)
    mount.close()
    remove(source)
    remove(twins)
    beyond = Spread([a - b for a, b in zip(held, flushes)])
    note = (f"pause {Spread(held).median:.1f} ms, flush {Spread(flushes).median:.1f} ms, "
            f"the guest's longest write {Spread(felt).median:.1f} ms")
    return [Finding(12, "disk", "pause of a switch-over with "
                    f"{lab.settings.switch_dirty >> 20} MiB dirty, beyond the target's flush",
                    beyond.median, 20, False, "ms", min(beyond.figures), max(beyond.figures), note)]


def dirty(lab, file, *more):
    """Writes so much at random places, each once."""
    settings = lab.settings
    run("fio", "--name=dirty", f"--filename={file}", f"--size={settings.switch_image}",
        f"--io_size={settings.switch_dirty}", "--rw=randwrite", "--bs=64k", "--ioengine=libaio",
        "--iodepth=16", "--overwrite=1", *more)


def flush(lab, image, copy):
    """What the disk takes to make that much durable in a file like the twin. Milliseconds."""
    run("cp", image, copy)
    run("sync", copy)
    dirty(lab, copy, "--direct=0")
    with open(copy, "rb+") as file:
        begin = monotonic()
        os.fdatasync(file.fileno())
        milliseconds = (monotonic() - begin) * 1000
    remove(copy)
    return milliseconds


def switch(lab, mount, image, twin):
    """Milliseconds: as the status tells them, and the longest that the guest waited meanwhile."""
    mount.mirror(image, target=twin, sync="top")
    mount.wait_ready(image)
    mount.command("pause", image)
    dirty(lab, mount.path(image), "--direct=1")
    guest = Guest(lab, mount.path(image), "switch", "--rw=randwrite", "--bs=4k", "--iodepth=1",
                  "--rate_iops=500")
    sleep(0.2)
    begin = time()
    mount.command("resume", image)
    mount.command("complete", image)
    mount.wait_completed(image)
    end = time()
    sleep(0.1)
    guest.stop()
    told = mount.job(image)["last-pause-us"] / 1000
    return told, max(Trace(guest.requests()).between(begin, end + 0.05), default=0) / 1000
