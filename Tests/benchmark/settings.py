"""How much is measured: the sizes and lengths of a run, as the command line asks for them."""

import argparse
import os
from dataclasses import dataclass, replace

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40


@dataclass(frozen=True)
class Settings:
    """Times in seconds, sizes in bytes."""

    rounds: int = 5
    duration: float = 1.0
    warm_up: bool = True
    # Also what no row needs: the whole matrix, in a third of the rounds.
    others: bool = True
    image: int = 256 * MIB
    disk_image: int = GIB
    # What bulk copies are measured with.
    bulk: int = 2 * GIB
    # For a bulk at a target of limited bandwidth, in bytes and in bytes a second.
    slow_image: int = 192 * MIB
    slow_rate: int = 96 * MIB
    switch_image: int = 256 * MIB
    switch_dirty: int = 64 * MIB
    # Random writes into 1 TiB. Its table has 8192 pages.
    scattered: int = 65536
    # A second of every phase in the picture.
    phase: float = 2.0
    # For `--scale`: how many images and jobs, how large an image.
    scale_counts: tuple = (1, 10, 100, 1000)
    scale_sizes: tuple = (GIB, 64 * GIB, TIB, 16 * TIB)
    # Seconds until what follows the last change is over, and for which the idle mount is looked at.
    scale_settle: float = 25.0
    scale_idle: float = 3.0


DEFAULT = Settings()
QUICK = replace(DEFAULT, rounds=2, duration=0.4, warm_up=False, others=False,
                disk_image=GIB // 2, bulk=GIB // 2, slow_image=64 * MIB, scattered=32768, phase=1.0)
SMOKE = replace(QUICK, rounds=1, duration=0.1, image=16 * MIB, disk_image=16 * MIB, bulk=32 * MIB,
                slow_image=16 * MIB, switch_image=32 * MIB, switch_dirty=4 * MIB,
                scattered=2048, phase=0.2, scale_counts=(1, 10), scale_sizes=(GIB, 16 * TIB),
                scale_settle=0.2, scale_idle=0.2)


def parse():
    """The arguments of the command line, with the settings that follow from them in `.settings`."""
    parser = argparse.ArgumentParser("Tests/bench", description="Compares twinfs with its peers.")
    parser.add_argument("--rows", help="numbers of the rows, with commas between; all")
    parser.add_argument("--media", default="tmpfs,disk", help="tmpfs, disk or both")
    parser.add_argument("--rounds", type=int, help="after one to warm up, which is thrown away")
    parser.add_argument("--duration", type=float, help="seconds of each measurement")
    parser.add_argument("--quick", action="store_true", help="two minutes, a first impression")
    parser.add_argument("--smoke", action="store_true", help="only shows that all of it works")
    parser.add_argument("--picture", help="draw the life of a job into this SVG file")
    parser.add_argument("--scale", help="instead, show how a mount grows with images, jobs and the "
                        "size of an image, and draw it into this SVG file")
    parser.add_argument("--raw", help="write every single figure into this JSON file")
    parser.add_argument("--scratch", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="base", default=".", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = SMOKE if arguments.smoke else QUICK if arguments.quick else DEFAULT
    given = {name: getattr(arguments, name) for name in ("rounds", "duration")}
    arguments.settings = replace(chosen, **{k: v for k, v in given.items() if v is not None})
    for name in ("picture", "raw", "scale"):
        if getattr(arguments, name):
            setattr(arguments, name, os.path.join(arguments.base, getattr(arguments, name)))
    arguments.media = arguments.media.split(",")
    if not set(arguments.media) <= {"tmpfs", "disk"}:
        parser.error("--media takes tmpfs and disk")
    if arguments.settings.rounds < 1 or arguments.settings.duration <= 0:
        parser.error("--rounds and --duration must be above zero")
    arguments.rows = numbers(parser, arguments.rows)
    return arguments


def numbers(parser, text):
    """The rows of `--rows`; None stands for all."""
    if text is None:
        return None
    try:
        return {int(word) for word in text.split(",")}
    except ValueError:
        parser.error("--rows takes numbers with commas between")
