"""What fio does, on which medium, and who is measured with it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """`unit` is what one looks at first: I/Os or bytes a second."""

    key: str
    title: str
    options: tuple
    unit: str = "iops"


def fio(pattern, block, depth, *more, direct=1):
    return (f"--rw={pattern}", f"--bs={block}", f"--iodepth={depth}", f"--direct={direct}", *more)


def reads(pattern, block, depth, *more, direct=1):
    """Reads by a handle that may write, as a hypervisor's: fio opens it so if it might mix."""
    return fio(pattern, block, depth, "--rwmixread=100", *more, direct=direct)


THREADS = ("--numjobs=4", "--thread", "--group_reporting")

ALL = {load.key: load for load in (
    Workload("w4d1", "4 KiB write, depth 1", fio("randwrite", "4k", 1)),
    Workload("w4d16", "4 KiB write, depth 16", fio("randwrite", "4k", 16)),
    Workload("w4d32", "4 KiB write, depth 32", fio("randwrite", "4k", 32)),
    Workload("w4d64", "4 KiB write, depth 64", fio("randwrite", "4k", 64)),
    Workload("w4t4", "4 KiB write, 4 threads of depth 4", fio("randwrite", "4k", 4, *THREADS)),
    Workload("r4d1", "4 KiB read, depth 1", reads("randrw", "4k", 1)),
    Workload("r4d16", "4 KiB read, depth 16", reads("randrw", "4k", 16)),
    Workload("ro4d1", "4 KiB read by a read-only handle, depth 1", fio("randread", "4k", 1)),
    Workload("ro4d16", "4 KiB read by a read-only handle, depth 16", fio("randread", "4k", 16)),
    Workload("r4d32", "4 KiB read, depth 32", reads("randrw", "4k", 32)),
    Workload("r4d64", "4 KiB read, depth 64", reads("randrw", "4k", 64)),
    Workload("r4t4", "4 KiB read, 4 threads of depth 4", reads("randrw", "4k", 4, *THREADS)),
    Workload("w64", "64 KiB write, depth 4", fio("randwrite", "64k", 4), "bytes"),
    Workload("r64", "64 KiB read, depth 4", reads("randrw", "64k", 4), "bytes"),
    Workload("w1m", "1 MiB write, depth 4", fio("write", "1m", 4), "bytes"),
    Workload("r1m", "1 MiB read, depth 4", reads("rw", "1m", 4), "bytes"),
    Workload("buffered-w4", "4 KiB write, buffered",
             fio("randwrite", "4k", 1, "--ioengine=psync", direct=0)),
    Workload("buffered-r4", "4 KiB read, buffered",
             reads("randrw", "4k", 1, "--ioengine=psync", direct=0)),
    Workload("sync32", "4 KiB write, fdatasync each 32",
             fio("randwrite", "4k", 1, "--fdatasync=32")),
)}

# (medium, workload): who is in the table beside those that a row needs. Not with --quick.
OTHERS = {
    ("tmpfs", "w4d1"): ("native", "qemu-nbd"),
    ("tmpfs", "w4d16"): ("native", "write-blocking"),
    ("tmpfs", "r4d1"): ("native", "twinfs", "qemu-fuse", "bindfs"),
    ("tmpfs", "r4d16"): ("native", "twinfs", "qemu-fuse", "bindfs"),
    ("tmpfs", "r4d64"): ("native", "twinfs", "qemu-fuse"),
    ("tmpfs", "w4d64"): ("native", "twinfs", "ready", "qemu-fuse"),
    ("tmpfs", "w4t4"): ("native", "twinfs", "ready", "qemu-fuse"),
    ("tmpfs", "r4t4"): ("native", "twinfs", "qemu-fuse"),
    ("tmpfs", "w64"): ("native", "twinfs", "ready", "qemu-fuse"),
    ("tmpfs", "r64"): ("native", "twinfs", "qemu-fuse"),
    ("tmpfs", "r1m"): ("native", "qemu-fuse", "bindfs"),
    ("tmpfs", "w1m"): ("native", "ready", "qemu-fuse", "bindfs"),
    ("tmpfs", "buffered-w4"): ("native", "twinfs", "ready", "bindfs"),
    ("tmpfs", "buffered-r4"): ("native", "twinfs", "bindfs"),
    ("tmpfs", "sync32"): ("native", "twinfs", "ready"),
    ("disk", "w4d32"): ("qemu-fuse", "bindfs"),
    ("disk", "r4d32"): ("qemu-fuse", "bindfs"),
    ("disk", "sync32"): ("qemu-fuse", "bindfs"),
}
