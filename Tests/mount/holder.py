"""Guests with open disks: writes and reads back, through handles that stay open, until standard input ends.

    holder.py DIRECTORY

Holds kept.img, an image that was renamed while it was open, and one that was deleted. Any error or any block
that reads back wrong ends it with exit code 1.
"""
import os
import random
import sys
import threading

BLOCK, BLOCKS = 4096, 256
done = threading.Event()
failures = []
counts = {}


def run(directory, name, prepare):
    path = os.path.join(directory, name)
    try:
        handle = os.open(path, os.O_RDWR)
        prepare(path)
        blocks = {}
        ready.wait()
        while not done.is_set():
            index = random.randrange(BLOCKS)
            data = os.urandom(BLOCK)
            if os.pwrite(handle, data, index * BLOCK) != BLOCK:
                raise OSError("short write")
            blocks[index] = data
            if random.random() < 0.05:
                os.fsync(handle)
            index = random.choice(list(blocks))
            if os.pread(handle, BLOCK, index * BLOCK) != blocks[index]:
                raise ValueError(f"block {index} reads back wrong")
            counts[name] = counts.get(name, 0) + 1
        for index, data in blocks.items():
            if os.pread(handle, BLOCK, index * BLOCK) != data:
                raise ValueError(f"block {index} is wrong at the end")
        os.close(handle)
    except Exception as error:  # noqa: BLE001: every failure is told, whatever it is
        failures.append(f"{name}: {type(error).__name__}: {error}")
        ready.abort()


directory = sys.argv[1]
cases = [
    ("kept.img", lambda path: None),
    ("before.img", lambda path: os.rename(path, os.path.join(directory, "after.img"))),
    ("deleted.img", os.unlink),
]
ready = threading.Barrier(len(cases) + 1)
threads = [threading.Thread(target=run, args=(directory, *case)) for case in cases]
for thread in threads:
    thread.start()
try:
    ready.wait()
    print("open", flush=True)
    sys.stdin.read()
except threading.BrokenBarrierError:
    pass
done.set()
for thread in threads:
    thread.join()
print(failures or counts, flush=True)
sys.exit(1 if failures or len(counts) < len(cases) else 0)
