"""The benchmark from its arguments to its exit code: 0, or 1 where a row that was asked for, and
that this build can show, has no figure. An aim that is missed is told, and is no failure."""

import json
import os
import signal
import sys

import life
import picture
import row_bulk
import row_copy
import row_size
import row_switch
import rows
import scale
import scale_picture
import table
from conditions import Conditions, large_pipes
from lab import Failure, Lab, Unavailable
from rounds import Matrix, say
from settings import parse

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# (rows it is about, media that it needs one of, what measures it).
JOBS = (
    ({7}, {"tmpfs"}, lambda lab, _: row_bulk.guest_in_bulk(lab)),
    ({9}, {"tmpfs", "disk"}, row_copy.bulk),
    ({11}, {"tmpfs"}, lambda lab, _: row_bulk.ready_under_writer(lab)),
    ({12}, {"disk"}, lambda lab, _: row_switch.pause(lab)),
    ({13}, {"tmpfs"}, lambda lab, _: row_size.mark(lab)),
    ({14, 15}, {"tmpfs"}, lambda lab, _: row_size.many_images(lab)),
    ({14}, {"tmpfs"}, lambda lab, _: row_size.scattered(lab)),
)


def measure(lab, conditions, arguments):
    """Everything that was asked for: the matrix, the findings of all rows."""
    found = []
    for about, media, job in JOBS:
        if arguments.rows is not None and not about & arguments.rows:
            continue
        for medium in [medium for medium in arguments.media if medium in media]:
            conditions.look()
            found += one_job(lab, about, medium, job)
    matrix = Matrix(lab)
    try:
        for medium in arguments.media:
            conditions.look()
            with lab.part():
                matrix.fill(rows.needed(arguments.rows), medium)
    except Failure as failure:
        say(f"FAILED: {failure}")
    found += rows.findings(matrix, arguments.rows, arguments.media)
    return matrix, sorted(found, key=lambda one: one.row)


def one_job(lab, about, medium, job):
    """The findings of one job; one that fails does not cost the others their figures."""
    say(f"row {', '.join(map(str, sorted(about)))} on {medium}")
    try:
        with lab.part():
            return job(lab, medium)
    except Unavailable as reason:
        return [rows.Finding(row, medium, "", note=str(reason)) for row in about]
    except Failure as failure:
        say(f"FAILED: {failure}")
        return [rows.Finding(row, medium, "failed") for row in about]


def report(conditions, matrix, found):
    print(*conditions.lines(REPOSITORY), sep="\n")
    print(*table.matrices(matrix), sep="\n")
    print("### Aims\n")
    print(*table.verdicts(found), sep="\n")
    print("\nAims", table.summary(found), flush=True)


def write_raw(path, matrix, found):
    samples = [{"medium": key[0], "workload": key[1], "candidate": key[2], **sample.as_dict()}
               for key, had in matrix.samples.items() for sample in had]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"samples": samples, "findings": [vars(one) for one in found]}, file, indent=1)


def show_scale(lab, conditions, arguments):
    points = list(scale.measure(lab))
    print(conditions.head(REPOSITORY), *conditions.notes(), "", sep="\n")
    print(*scale.lines(points), sep="\n", flush=True)
    if arguments.raw:
        with open(arguments.raw, "w", encoding="utf-8") as file:
            json.dump([vars(point) for point in points], file, indent=1)
    scale_picture.draw(points, arguments.scale)
    return 0


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with large_pipes(), Lab(arguments.scratch, arguments.settings) as lab:
        conditions = Conditions(lab)
        if arguments.scale:
            return show_scale(lab, conditions, arguments)
        matrix, found = measure(lab, conditions, arguments)
        report(conditions, matrix, found)
        if arguments.raw:
            write_raw(arguments.raw, matrix, found)
        if arguments.picture:
            say("the life of a job")
            with lab.part():
                picture.draw(life.live(lab), arguments.picture)
    return 1 if any(one.value is None and not one.note for one in found) else 0


try:
    sys.exit(main())
except Failure as failure:
    say(f"FAILED: {failure}")
    sys.exit(1)
