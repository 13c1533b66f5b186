"""readdir from the start, from a place, and while the directory changes."""
import ctypes
import os

from common import libc, put, shown


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("len", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long


def names_from(handle, limit=None, types=None):
    names = []
    while limit is None or len(names) < limit:
        entry = libc.readdir(handle)
        if not entry:
            break
        if entry.contents.name != b".mirror":
            names.append(entry.contents.name)
            if types is not None:
                types.append([entry.contents.name.hex(), entry.contents.type])
    return names


def reading_directories(r):
    os.mkdir("d")
    for number in range(1000):
        put(f"d/file{number:04}")
    handle = ctypes.c_void_p(libc.opendir(b"d"))
    first = names_from(handle)
    r.note("count", len(first))
    libc.rewinddir(handle)
    second = names_from(handle)
    r.note("rewound is the same", first == second and len(set(first)) == len(first))
    libc.rewinddir(handle)
    head = names_from(handle, 300)
    place = libc.telldir(handle)
    tail = names_from(handle)
    libc.seekdir(handle, ctypes.c_long(place))
    r.note("seekdir", names_from(handle) == tail and len(head) + len(tail) == len(first))
    put("d/new")
    os.unlink("d/file0500")
    libc.rewinddir(handle)
    third = names_from(handle)
    r.note("changes seen", [b"new" in third, b"file0500" in third, len(third)])
    libc.rewinddir(handle)
    seen = []
    while True:
        some = names_from(handle, 10)
        if not some:
            break
        for name in some:
            seen.append(name)
            if name not in (b".", b".."):
                os.unlink(b"d/" + name)
    r.note("removed while reading", len(seen))
    libc.closedir(handle)
    r.note("left", os.listdir("d"))
    os.mkdir("k")
    os.mkdir("k/dir")
    os.symlink("x", "k/link")
    os.mkfifo("k/fifo")
    put("k/file")
    types = []
    handle = ctypes.c_void_p(libc.opendir(b"k"))
    names_from(handle, None, types)
    libc.closedir(handle)
    r.note("types", sorted(types))
    r.note("scandir", sorted([e.name, shown(e.stat(follow_symlinks=False))] for e in os.scandir("k")))
