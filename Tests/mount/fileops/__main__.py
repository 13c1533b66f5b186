#!/usr/bin/env python3
"""Does the same file operations in two directories, and says where they behave differently.

    python3 -B fileops PLAIN MOUNT [OPERATION…]

PLAIN is a directory, MOUNT a mount over one of the same filesystem. An operation is a file of this folder,
with a function of its name; without one all of them are done.

Every operation runs as root and as another user (with one supplementary group), each time in a new
subdirectory. What is compared: return values, errnos, mode, owner, group, size, links, contents,
attributes, holes. Exits 1 if anything differs.
"""
import json
import os
import shutil
import signal
import sys
import traceback

from allocation import allocation
from attributes import attributes
from common import EXTRA, GROUP, USER, Record
from create_and_open import create_and_open
from directories import directories
from extended_attributes import extended_attributes
from links import links
from locks import locks
from mapping import mapping
from names import names
from permissions import permissions, prepare
from read_and_write import read_and_write
from readers_beside_writers import readers_beside_writers
from reading_directories import reading_directories
from renames import renames
from rest import rest
from seeking import seeking
from sizes import sizes
from special_files import special_files
from unlinked_but_open import unlinked_but_open

SCENARIOS = [
    create_and_open,
    read_and_write,
    readers_beside_writers,
    sizes,
    allocation,
    seeking,
    mapping,
    directories,
    reading_directories,
    names,
    renames,
    links,
    unlinked_but_open,
    attributes,
    extended_attributes,
    special_files,
    locks,
    permissions,
    rest,
]


def run(root, function, user):
    """Runs a scenario in a child, as `user`, and hands back what it noted."""
    place = os.path.join(root, f"{function.__name__}-{user}")
    os.mkdir(place)
    os.chmod(place, 0o755)
    if user:
        os.chown(place, USER, GROUP)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        record = Record()
        try:
            os.chdir(place)
            if user:
                os.setgroups([EXTRA])
                os.setresgid(GROUP, GROUP, GROUP)
                os.setresuid(USER, USER, USER)
            os.umask(0o022)
            signal.alarm(60)
            function(record)
        except BaseException:
            record.note("the scenario broke off", traceback.format_exc().splitlines()[-4:])
        with os.fdopen(writer, "w") as pipe:
            json.dump(record.rows, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else [["the scenario", "killed"]]


def compare(title, plain, mount):
    differences = 0
    for row in range(max(len(plain), len(mount))):
        one = plain[row] if row < len(plain) else ["nothing", None]
        two = mount[row] if row < len(mount) else ["nothing", None]
        if one != two:
            differences += 1
            print(f"{title}: {one[0]}: plain {one[1]!r}, mount {two[1]!r}"
                  + (f" ({two[0]})" if one[0] != two[0] else ""))
    return differences


def main():
    if len(sys.argv) < 3 or os.geteuid() != 0:
        sys.exit(__doc__ + "\nNeeds root, to act as different users.")
    roots = [os.path.join(os.path.abspath(root), "fileops") for root in sys.argv[1:3]]
    chosen = sys.argv[3:]
    differences = count = 0
    for user in ("", "user"):
        for root in roots:
            shutil.rmtree(root, ignore_errors=True)
            os.mkdir(root)
            os.chmod(root, 0o755)
            prepare(root)
        for function in SCENARIOS:
            if chosen and function.__name__ not in chosen:
                continue
            plain, mount = (run(root, function, user) for root in roots)
            count += len(plain)
            broken = [row for row in plain + mount if row[0].startswith("the scenario")]
            if broken and plain == mount:
                differences += 1
                print(f"{function.__name__} ({user or 'root'}): {broken[0]}")
            differences += compare(f"{function.__name__} ({user or 'root'})", plain, mount)
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{count} results compared, {differences} differences")
    sys.exit(1 if differences else 0)


main()
