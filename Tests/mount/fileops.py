#!/usr/bin/env python3
"""Does the same file operations in two directories, and says where they behave differently.

    fileops.py PLAIN MOUNT        PLAIN: a directory; MOUNT: a mount over one of the same filesystem

Every scenario runs as root and as another user (with one supplementary group), each time in a new
subdirectory. What is compared: return values, errnos, mode, owner, group, size, links, contents,
attributes, holes. Exits 1 if anything differs.
"""
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import select
import shutil
import signal
import socket
import stat
import struct
import sys
import time
import traceback

USER, GROUP, EXTRA = 12345, 12346, 12347
libc = ctypes.CDLL(None, use_errno=True)
SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


def name_of(number):
    return errno.errorcode.get(number, str(number))


class Record:
    """The results of one run, in order."""

    def __init__(self):
        self.rows = []

    def note(self, label, value):
        if isinstance(value, bytes):
            value = value.hex() if len(value) < 200 else f"{len(value)} bytes, {hash_of(value)}"
        self.rows.append([label, value])

    def do(self, label, function, *arguments, **named):
        """Notes what the call returns (when that says something) or its errno; hands on its value."""
        try:
            value = function(*arguments, **named)
        except OSError as problem:
            self.note(label, name_of(problem.errno))
            return None
        shown = value if isinstance(value, (int, str, bytes, bool, list, tuple)) else "ok"
        self.note(label, shown)
        return value

    def opened(self, label, path, flags, mode=0o666):
        """Like `do` with os.open, without the descriptor's number in the results."""
        try:
            descriptor = os.open(path, flags, mode)
        except OSError as problem:
            self.note(label, name_of(problem.errno))
            return None
        self.note(label, "ok")
        return descriptor

    def look(self, path, follow=False):
        try:
            found = os.stat(path, follow_symlinks=follow)
        except OSError as problem:
            self.note(f"stat {path!r}", name_of(problem.errno))
            return
        self.note(f"stat {path!r}", shown(found))

    def content(self, path):
        try:
            with open(path, "rb") as file:
                self.note(f"content {path!r}", file.read())
        except OSError as problem:
            self.note(f"content {path!r}", name_of(problem.errno))


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


def shown(found):
    size = found.st_size if not stat.S_ISDIR(found.st_mode) else "-"
    return [oct(found.st_mode), found.st_uid, found.st_gid, size, found.st_nlink, found.st_rdev]


def checked(value):
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return value


def renameat2(old, new, flags):
    return checked(libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags))


def fallocate(descriptor, mode, offset, count):
    return checked(libc.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(count)))


def put(path, data=b"", mode=0o644):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.write(descriptor, data)
    os.close(descriptor)


def close(*descriptors):
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def holes(descriptor):
    """The data extents as lseek tells them."""
    extents, offset, end = [], 0, os.fstat(descriptor).st_size
    while offset < end:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as problem:
            extents.append(name_of(problem.errno))
            break
        offset = os.lseek(descriptor, start, os.SEEK_HOLE)
        extents.append([start, offset])
    return extents


@scenario
def create_and_open(r):
    for mode in (0o666, 0o600, 0o444, 0o000, 0o4755, 0o2755, 0o1777):
        close(r.opened(f"create {mode:o}", f"m{mode:o}", os.O_RDWR | os.O_CREAT, mode))
        r.look(f"m{mode:o}")
    for mask in (0o000, 0o022, 0o077, 0o777):
        old = os.umask(mask)
        close(r.opened(f"create umask {mask:o}", f"u{mask:o}", os.O_WRONLY | os.O_CREAT, 0o666))
        r.do("mkdir", os.mkdir, f"du{mask:o}", 0o777)
        r.do("mknod", os.mknod, f"nu{mask:o}", 0o666 | stat.S_IFREG)
        r.do("mkfifo", os.mkfifo, f"fu{mask:o}", 0o666)
        os.umask(old)
        for kind in ("u", "du", "nu", "fu"):
            r.look(f"{kind}{mask:o}")
    put("there", b"0123456789")
    r.opened("O_EXCL there", "there", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    r.opened("absent", "absent", os.O_RDONLY)
    r.opened("under a file", "there/x", os.O_RDONLY)
    r.opened("create under a file", "there/x", os.O_RDWR | os.O_CREAT)
    r.opened("create under nothing", "absent/x", os.O_RDWR | os.O_CREAT)
    os.mkdir("dir")
    r.opened("directory for writing", "dir", os.O_WRONLY)
    r.opened("directory O_CREAT", "dir", os.O_RDONLY | os.O_CREAT)
    r.opened("O_DIRECTORY of a file", "there", os.O_RDONLY | os.O_DIRECTORY)
    close(r.opened("directory for reading", "dir", os.O_RDONLY))
    os.symlink("there", "link")
    r.opened("O_NOFOLLOW", "link", os.O_RDONLY | os.O_NOFOLLOW)
    close(r.opened("through a link", "link", os.O_RDONLY))
    os.symlink("nowhere", "dangling")
    r.opened("dangling", "dangling", os.O_RDONLY)
    r.opened("dangling O_EXCL", "dangling", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    close(r.opened("dangling O_CREAT", "dangling", os.O_RDWR | os.O_CREAT))
    r.look("nowhere")
    os.symlink("loop", "loop")
    r.opened("loop", "loop", os.O_RDONLY)
    close(r.opened("O_TRUNC", "there", os.O_WRONLY | os.O_TRUNC))
    r.look("there")
    put("ro", b"x", 0o444)
    os.chmod("ro", 0o444)
    close(r.opened("O_TRUNC read-only mode", "ro", os.O_WRONLY | os.O_TRUNC))
    close(r.opened("read-only file", "ro", os.O_RDONLY))
    for flag in (os.O_SYNC, os.O_DSYNC, os.O_DIRECT, os.O_NOATIME):
        close(r.opened(f"flag {flag:o}", "there", os.O_RDWR | flag))
    held = r.opened("create 000 and write", "w000", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0)
    if held is not None:
        r.do("write", os.write, held, b"abc")
        r.do("pread", os.pread, held, 3, 0)
        close(held)


@scenario
def read_and_write(r):
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    r.do("write", os.write, d, b"hello world")
    r.do("pread", os.pread, d, 100, 0)
    r.do("pread past the end", os.pread, d, 100, 1000)
    r.do("pread across the end", os.pread, d, 100, 6)
    r.do("pwrite past the end", os.pwrite, d, b"tail", 100000)
    r.do("pread hole", os.pread, d, 200, 50000)
    r.look("f")
    r.do("pwrite huge offset", os.pwrite, d, b"x", 1 << 62)
    os.ftruncate(d, 200000)
    r.do("pwrite unaligned", os.pwrite, d, b"q" * 5000, 4095)
    r.do("fsync", os.fsync, d)
    r.do("fdatasync", os.fdatasync, d)
    r.do("zero bytes", os.pwrite, d, b"", 5)
    close(d)
    r.content("f")
    d = r.opened("wronly", "f", os.O_WRONLY)
    r.do("read of wronly", os.read, d, 1)
    r.do("write of wronly", os.pwrite, d, b"W", 3)
    close(d)
    d = r.opened("rdonly", "f", os.O_RDONLY)
    r.do("write of rdonly", os.write, d, b"x")
    r.do("ftruncate of rdonly", os.ftruncate, d, 3)
    r.do("fallocate of rdonly", fallocate, d, 0, 0, 10)
    r.do("fsync of rdonly", os.fsync, d)
    close(d)
    d = r.opened("append", "a", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    e = r.opened("append 2", "a", os.O_WRONLY | os.O_APPEND)
    for turn in range(5):
        r.do("append", os.write, d, b"d%d" % turn)
        r.do("append", os.write, e, b"e%d" % turn)
    r.do("pwrite of append", os.pwrite, d, b"P", 0)
    close(d, e)
    r.content("a")
    for flag in (os.O_SYNC, os.O_DSYNC):
        d = r.opened("sync", "s", os.O_RDWR | os.O_CREAT | flag)
        r.do("sync write", os.write, d, b"z" * 10000)
        close(d)
    r.look("s")
    big = bytes(range(256)) * 4096 * 3
    d = r.opened("big", "big", os.O_RDWR | os.O_CREAT)
    r.do("3 MiB", os.write, d, big)
    r.do("read 3 MiB", os.pread, d, len(big) + 10, 0)
    r.do("writev", os.pwritev, d, [b"a" * 100, b"b" * 5000, b"c"], 777)
    r.do("readv", os.preadv, d, [bytearray(10), bytearray(6000)], 770)
    close(d)
    r.content("big")
    d = r.opened("direct", "big", os.O_RDWR | os.O_DIRECT)
    page = mmap.mmap(-1, 8192)
    page.write(b"D" * 8192)
    r.do("direct write", os.pwritev, d, [page], 4096)
    r.do("direct read", os.preadv, d, [page], 1 << 20)
    r.note("direct bytes", bytes(page[:]))
    close(d)
    r.content("big")


@scenario
def readers_beside_writers(r):
    put("f", b"a" * 10000)
    one = r.opened("reader", "f", os.O_RDONLY)
    r.do("read", os.pread, one, 10, 0)
    two = r.opened("writer beside", "f", os.O_RDWR)
    r.do("write", os.pwrite, two, b"B" * 5000, 2000)
    r.do("reader sees", os.pread, one, 10000, 0)
    three = r.opened("reader beside", "f", os.O_RDONLY)
    r.do("new reader sees", os.pread, three, 10000, 0)
    r.do("grow", os.pwrite, two, b"C" * 10, 20000)
    r.do("reader sees growth", os.pread, one, 100, 19990)
    shared = mmap.mmap(one, 10000, mmap.MAP_SHARED, mmap.PROT_READ)
    r.note("mapped", bytes(shared[:]))
    r.do("write", os.pwrite, two, b"E" * 100, 0)
    r.note("mapped sees", bytes(shared[:200]))
    shared.close()
    close(one, two, three)
    one = r.opened("reader again", "f", os.O_RDONLY)
    r.do("read", os.pread, one, 30000, 0)
    close(one)


@scenario
def sizes(r):
    put("f", b"0123456789" * 1000)
    r.do("truncate down", os.truncate, "f", 5000)
    r.content("f")
    r.do("truncate up", os.truncate, "f", 9000)
    r.content("f")
    r.do("truncate negative", os.truncate, "f", -1)
    r.do("truncate huge", os.truncate, "f", 1 << 62)
    r.do("truncate absent", os.truncate, "absent", 1)
    os.mkdir("d")
    r.do("truncate directory", os.truncate, "d", 1)
    d = os.open("f", os.O_RDWR)
    r.do("ftruncate", os.ftruncate, d, 100)
    r.do("after", os.pread, d, 1000, 0)
    r.do("ftruncate up", os.ftruncate, d, 1 << 30)
    r.do("fstat", lambda: shown(os.fstat(d)))
    r.do("hole", os.pread, d, 100, 1 << 29)
    close(d)
    r.look("f")
    os.chmod("f", 0o400)
    r.do("truncate without permission", os.truncate, "f", 1)


@scenario
def allocation(r):
    KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    r.do("write", os.write, d, b"x" * (1 << 18))
    r.do("posix_fallocate", os.posix_fallocate, d, 0, 1 << 19)
    r.do("size", lambda: os.fstat(d).st_size)
    r.do("keep size", fallocate, d, KEEP, 0, 1 << 20)
    r.do("size", lambda: os.fstat(d).st_size)
    r.do("punch", fallocate, d, KEEP | PUNCH, 65536, 65536)
    r.do("blocks", lambda: os.fstat(d).st_blocks)
    r.note("holes", holes(d))
    r.do("punched", os.pread, d, 1 << 18, 0)
    r.do("punch unaligned", fallocate, d, KEEP | PUNCH, 1000, 5000)
    r.do("punched", os.pread, d, 10000, 0)
    r.do("punch past the end", fallocate, d, KEEP | PUNCH, 1 << 25, 4096)
    r.do("punch alone", fallocate, d, PUNCH, 0, 4096)
    r.do("zero range", fallocate, d, ZERO, 131072, 8192)
    r.do("zero range keep", fallocate, d, ZERO | KEEP, 1 << 21, 8192)
    r.do("nothing", fallocate, d, 0, 0, 0)
    r.do("negative", fallocate, d, 0, -1, 10)
    r.do("too far", fallocate, d, 0, 1 << 62, 1 << 62)
    r.do("content", os.pread, d, 1 << 20, 0)
    close(d)
    p = r.opened("fifo", "f", os.O_RDONLY)
    r.do("allocate of rdonly", fallocate, p, 0, 0, 100)
    close(p)


@scenario
def seeking(r):
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    os.ftruncate(d, 1 << 22)
    os.pwrite(d, b"a" * 4096, 1 << 20)
    os.pwrite(d, b"a" * 4096, 3 << 20)
    r.note("extents", holes(d))
    for offset in (0, 1 << 20, (1 << 20) + 4095, (1 << 20) + 4096, 1 << 22, (1 << 22) + 1):
        r.do(f"data {offset}", os.lseek, d, offset, os.SEEK_DATA)
        r.do(f"hole {offset}", os.lseek, d, offset, os.SEEK_HOLE)
    r.do("negative", os.lseek, d, -1, os.SEEK_DATA)
    r.do("end", os.lseek, d, -10, os.SEEK_END)
    r.do("before", os.lseek, d, -10, os.SEEK_SET)
    close(d)


@scenario
def mapping(r):
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    os.ftruncate(d, 3 * 4096)
    shared = mmap.mmap(d, 3 * 4096)
    shared[0:5] = b"first"
    shared[8000:8005] = b"later"
    r.do("write beside", os.pwrite, d, b"WRITTEN", 4096)
    r.note("mapped", bytes(shared[:]))
    shared.flush()
    r.do("read", os.pread, d, 3 * 4096, 0)
    shared[100:103] = b"abc"
    shared.close()
    r.do("read after unmapping", os.pread, d, 200, 0)
    close(d)
    r.content("f")
    d = os.open("f", os.O_RDONLY)
    for kind in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
        view = mmap.mmap(d, 4096, kind, mmap.PROT_READ)
        r.note("view", bytes(view[:]))
        view.close()
    try:
        mmap.mmap(d, 4096, mmap.MAP_SHARED, mmap.PROT_WRITE)
        r.note("writable map of rdonly", "ok")
    except OSError as problem:
        r.note("writable map of rdonly", name_of(problem.errno))
    close(d)
    put("run", b"#!/bin/sh\nexit 7\n", 0o755)
    r.note("execute", os.spawnv(os.P_WAIT, "./run", ["run"]))
    shutil.copy("/bin/true", "true")
    os.chmod("true", 0o755)
    r.note("execute binary", os.spawnv(os.P_WAIT, "./true", ["true"]))
    os.chmod("true", 0o111)
    r.note("execute unreadable", os.spawnv(os.P_WAIT, "./true", ["true"]))


@scenario
def directories(r):
    r.do("mkdir", os.mkdir, "d", 0o750)
    r.look("d")
    r.do("mkdir again", os.mkdir, "d")
    r.do("mkdir under nothing", os.mkdir, "no/d")
    put("f")
    r.do("mkdir under file", os.mkdir, "f/d")
    r.do("mkdir over file", os.mkdir, "f")
    r.do("rmdir file", os.rmdir, "f")
    r.do("unlink directory", os.unlink, "d")
    r.do("rmdir absent", os.rmdir, "no")
    r.do("mkdir inside", os.mkdir, "d/e")
    r.look("d")
    r.do("rmdir full", os.rmdir, "d")
    r.do("rmdir inside", os.rmdir, "d/e")
    r.do("rmdir dot", os.rmdir, "d/.")
    r.do("rmdir", os.rmdir, "d")
    r.do("mkdir sticky", os.mkdir, "t", 0o1777)
    r.do("mkdir setgid", os.mkdir, "g", 0o2777)
    r.look("t")
    r.look("g")
    r.do("many", lambda: [os.mkdir(f"t/{n}") for n in range(50)] and None)
    r.look("t")
    r.do("list", lambda: sorted(os.listdir("t")))
    r.do("list file", os.listdir, "f")
    r.do("list absent", os.listdir, "no")
    d = os.open("t", os.O_RDONLY)
    os.mkdir("gone")
    e = os.open("gone", os.O_RDONLY)
    os.rmdir("gone")
    r.do("list removed", os.listdir, e)
    r.do("fsyncdir", os.fsync, d)
    r.do("read of a directory", os.read, d, 10)
    r.do("create in removed", lambda: os.open("x", os.O_CREAT | os.O_RDWR, dir_fd=e))
    close(d, e)


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


@scenario
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


@scenario
def names(r):
    for name in (b"with\nnewline", "Zürich 日本".encode(), b"\xff\xfe invalid", b"-dash", b" ",
                 b"n" * 255, b"back\\slash", b"\x01\x7f"):
        r.do(f"put {name[:20]!r}", put, name, name)
        r.look(name)
        r.content(name)
        r.do("rename", os.rename, name, name[:-1] + b"+")
    r.note("list", sorted(n.hex() for n in os.listdir(b".")))
    r.do("256 bytes", put, b"n" * 256)
    r.do("mkdir 256", os.mkdir, b"n" * 256)
    r.do("stat 256", os.stat, b"n" * 256)
    r.do("path too long", os.stat, b"n/" * 3000)
    r.do("symlink too long", os.symlink, b"x" * 5000, "long")
    r.do("empty", os.stat, b"")
    deep = "/".join(["d" * 200] * 15)
    r.do("deep", os.makedirs, deep)
    r.do("in the deep", put, deep + "/file", b"down")
    r.content(deep + "/file")


@scenario
def renames(r):
    NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
    put("a", b"A")
    put("b", b"B")
    os.mkdir("d")
    os.mkdir("e")
    put("e/x")
    held = os.open("b", os.O_RDONLY)
    r.do("over", os.rename, "a", "b")
    r.content("b")
    r.look("a")
    r.do("links of the replaced", lambda: os.fstat(held).st_nlink)
    r.do("content of the replaced", os.pread, held, 10, 0)
    close(held)
    r.do("absent", os.rename, "no", "b")
    r.do("to nothing", os.rename, "b", "no/b")
    r.do("file over directory", os.rename, "b", "d")
    r.do("directory over file", os.rename, "d", "b")
    r.do("over full directory", os.rename, "d", "e")
    r.do("over empty directory", os.rename, "e", "d")
    r.look("d/x")
    r.do("into itself", os.rename, "d", "d/y")
    r.do("same name", os.rename, "b", "b")
    r.do("under a file", os.rename, "d", "b/d")
    r.do("into directory", os.rename, "b", "d/b")
    r.content("d/b")
    put("c", b"C")
    r.do("noreplace taken", renameat2, "c", "d/b", NOREPLACE)
    r.do("noreplace free", renameat2, "c", "c2", NOREPLACE)
    r.do("exchange", renameat2, "c2", "d/b", EXCHANGE)
    r.content("c2")
    r.content("d/b")
    r.do("exchange absent", renameat2, "c2", "no", EXCHANGE)
    r.do("exchange file and directory", renameat2, "c2", "d", EXCHANGE)
    r.content("d")
    r.do("list", lambda: sorted(os.listdir("c2")))
    r.do("both flags", renameat2, "d", "z", NOREPLACE | EXCHANGE)
    put("one", b"1")
    os.link("one", "two")
    r.do("hard links of one file", os.rename, "one", "two")
    r.look("one")
    r.look("two")
    os.mkdir("p")
    os.mkdir("p/q")
    put("p/q/f", b"deep")
    held = os.open("p/q/f", os.O_RDWR)
    r.do("directory with an open file", os.rename, "p", "p2")
    r.do("write", os.pwrite, held, b"DEEP", 0)
    close(held)
    r.content("p2/q/f")
    r.look("p/q/f")
    os.symlink("p2", "l")
    r.do("link", os.rename, "l", "l2")
    r.do("readlink", os.readlink, "l2")


@scenario
def links(r):
    put("f", b"data")
    r.do("link", os.link, "f", "g")
    r.look("f")
    r.look("g")
    r.note("same", os.stat("f").st_ino == os.stat("g").st_ino)
    r.do("link over", os.link, "f", "g")
    r.do("link absent", os.link, "no", "x")
    os.mkdir("d")
    r.do("link directory", os.link, "d", "x")
    r.do("link into nothing", os.link, "f", "no/x")
    put("g", b"through g")
    r.content("f")
    r.do("unlink", os.unlink, "f")
    r.look("g")
    r.content("g")
    r.do("unlink absent", os.unlink, "f")
    r.do("symlink", os.symlink, "g", "s")
    r.look("s")
    r.do("readlink", os.readlink, "s")
    r.do("readlink file", os.readlink, "g")
    r.do("readlink absent", os.readlink, "no")
    r.do("symlink over", os.symlink, "x", "g")
    r.do("symlink bytes", os.symlink, b"\xff\n/../..", b"odd")
    r.do("readlink bytes", os.readlink, b"odd")
    r.do("symlink empty", os.symlink, "", "empty")
    r.do("long target", os.symlink, "t" * 4000, "long")
    r.do("readlink long", os.readlink, "long")
    r.do("link to a link", os.link, "s", "s2", follow_symlinks=False)
    r.look("s2")
    r.do("lchown", os.lchown, "s", -1, EXTRA)
    r.look("s")
    r.do("lutimes", os.utime, "s", (1000, 2000), follow_symlinks=False)
    r.do("ltimes", lambda: [os.lstat("s").st_mtime_ns])
    r.do("unlink link", os.unlink, "s")
    r.look("g")


@scenario
def unlinked_but_open(r):
    d = r.opened("open", "f", os.O_RDWR | os.O_CREAT)
    os.write(d, b"alive")
    os.unlink("f")
    r.do("fstat", lambda: shown(os.fstat(d)))
    r.do("read", os.pread, d, 10, 0)
    r.do("write", os.pwrite, d, b"still", 3)
    r.do("read", os.pread, d, 10, 0)
    r.do("ftruncate", os.ftruncate, d, 2)
    r.do("fchmod", os.fchmod, d, 0o600)
    r.do("utime", os.utime, d, (5, 6))
    r.do("fsync", os.fsync, d)
    r.do("fallocate", fallocate, d, 0, 0, 8192)
    r.do("setxattr", os.setxattr, d, "user.late", b"x")
    r.do("fstat", lambda: shown(os.fstat(d)))
    r.do("reopen", lambda: os.close(os.open(f"/proc/self/fd/{d}", os.O_RDWR)))
    put("f", b"another")
    r.do("read", os.pread, d, 10, 0)
    r.content("f")
    close(d)


@scenario
def attributes(r):
    put("f", b"x")
    for mode in (0o600, 0o7777, 0o000, 0o4755, 0o2755, 0o2644, 0o1644):
        r.do(f"chmod {mode:o}", os.chmod, "f", mode)
        r.look("f")
    os.chmod("f", 0o644)
    for user, group in ((-1, EXTRA), (-1, GROUP), (USER, -1), (0, 0), (-1, -1), (54321, -1)):
        r.do(f"chown {user} {group}", os.chown, "f", user, group)
        r.look("f")
    put("s", b"x")
    r.do("chmod", os.chmod, "s", 0o6755)
    r.do("chown of set-id", os.chown, "s", -1, EXTRA)
    r.look("s")
    r.do("chmod", os.chmod, "s", 0o6755)
    r.look("s")
    d = os.open("s", os.O_RDWR)
    r.do("write to set-id", os.write, d, b"y")
    r.look("s")
    r.do("chmod", os.chmod, "s", 0o6755)
    r.do("ftruncate of set-id", os.ftruncate, d, 0)
    r.look("s")
    r.do("chmod", os.chmod, "s", 0o2745)
    r.do("write to set-gid without x", os.write, d, b"y")
    r.look("s")
    r.do("fchmod", os.fchmod, d, 0o640)
    r.do("fchown", os.fchown, d, -1, -1)
    close(d)
    r.look("s")
    put("t")
    r.do("utime", os.utime, "t", ns=(1234567890123456789, 987654321987654321))
    r.do("times", lambda: [os.stat("t").st_atime_ns, os.stat("t").st_mtime_ns])
    r.do("before 1970", os.utime, "t", ns=(-5_000_000_001, -1))
    r.do("times", lambda: [os.stat("t").st_atime_ns, os.stat("t").st_mtime_ns])
    r.do("now", os.utime, "t")
    r.note("is now", abs(os.stat("t").st_mtime - time.time()) < 10)
    r.do("absent", os.utime, "no")
    r.do("chmod absent", os.chmod, "no", 0o600)
    os.utime("t", (5, 5))
    put("t", b"changed")
    r.note("write moves mtime", os.stat("t").st_mtime > 1000)
    os.mkdir("d")
    os.utime("d", (5, 5))
    put("d/x")
    time.sleep(1.2)
    r.note("create moves directory's mtime", os.stat("d").st_mtime > 1000)
    r.do("access r", os.access, "f", os.R_OK)
    r.do("access w", os.access, "f", os.W_OK)
    r.do("access x", os.access, "f", os.X_OK)


@scenario
def extended_attributes(r):
    CREATE, REPLACE = 1, 2
    put("f")
    os.mkdir("d")
    os.symlink("f", "l")
    for path in ("f", "d"):
        r.do("list none", os.listxattr, path)
        r.do("get none", os.getxattr, path, "user.a")
        r.do("replace none", os.setxattr, path, "user.a", b"1", REPLACE)
        r.do("create", os.setxattr, path, "user.a", b"1", CREATE)
        r.do("create again", os.setxattr, path, "user.a", b"2", CREATE)
        r.do("get", os.getxattr, path, "user.a")
        r.do("replace", os.setxattr, path, "user.a", b"\x00\xff" * 500, REPLACE)
        r.do("get", os.getxattr, path, "user.a")
        r.do("empty", os.setxattr, path, "user.empty", b"")
        r.do("get empty", os.getxattr, path, "user.empty")
        r.do("list", lambda: sorted(os.listxattr(path)))
        r.do("twinfs", os.setxattr, path, "user.twinfs.state", b"synced")
        r.do("get twinfs", os.getxattr, path, "user.twinfs.state")
        r.do("remove", os.removexattr, path, "user.a")
        r.do("remove again", os.removexattr, path, "user.a")
        r.do("list", lambda: sorted(os.listxattr(path)))
        r.do("no namespace", os.setxattr, path, "plain", b"x")
        r.do("long name", os.setxattr, path, "user." + "n" * 300, b"x")
        r.do("trusted", os.setxattr, path, "trusted.t", b"x")
        r.do("get trusted", os.getxattr, path, "trusted.t")
        r.do("too small", small_get, path, "user.twinfs.state", 2)
    r.do("of a link", os.setxattr, "l", "user.a", b"x", follow_symlinks=False)
    r.do("trusted of a link", os.setxattr, "l", "trusted.a", b"x", follow_symlinks=False)
    r.do("list of a link", os.listxattr, "l", follow_symlinks=False)
    os.chmod("f", 0o444)
    r.do("read-only", os.setxattr, "f", "user.b", b"x")
    r.do("absent", os.setxattr, "no", "user.b", b"x")


def small_get(path, name, size):
    buffer = ctypes.create_string_buffer(size)
    return checked(libc.getxattr(os.fsencode(path), name.encode(), buffer, size))


@scenario
def special_files(r):
    r.do("fifo", os.mkfifo, "fifo", 0o640)
    r.look("fifo")
    if os.fork() == 0:
        with open("fifo", "wb") as pipe:
            pipe.write(b"through the pipe")
        os._exit(0)
    with open("fifo", "rb") as pipe:
        r.note("pipe", pipe.read())
    os.wait()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        r.do("bind", server.bind, "sock")
        server.listen()
        r.do("connect", client.connect, "sock")
    r.look("sock")
    r.opened("open socket", "sock", os.O_RDONLY)
    r.do("character device", os.mknod, "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    r.look("null")
    r.do("block device", os.mknod, "loop", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    r.look("loop")
    r.do("regular", os.mknod, "reg", 0o640 | stat.S_IFREG)
    r.look("reg")
    r.do("exists", os.mknod, "reg", 0o640 | stat.S_IFREG)
    for name in ("fifo", "sock", "null", "loop", "reg"):
        r.do("unlink", os.unlink, name)


@scenario
def locks(r):
    put("f", b"x" * 100)
    OFD_SETLK, OFD_GETLK, SETLK, GETLK = 37, 36, 6, 5

    def lock(descriptor, command, kind, start, count):
        request = struct.pack("hhqqi4x", kind, 0, start, count, 0)
        answer = fcntl.fcntl(descriptor, command, request)
        return list(struct.unpack("hhqqi4x", answer)[:4])

    for command, query in ((OFD_SETLK, OFD_GETLK), (SETLK, GETLK)):
        d = os.open("f", os.O_RDWR)
        r.do("exclusive", lock, d, command, fcntl.F_WRLCK, 100, 1)
        r.do("shared", lock, d, command, fcntl.F_RDLCK, 200, 4)
        r.do("in another process", other_process, lambda: [
            attempt(lock, e, command, fcntl.F_WRLCK, 100, 1)
            + attempt(lock, e, command, fcntl.F_RDLCK, 200, 4)
            + attempt(lock, e, command, fcntl.F_WRLCK, 200, 4)
            + attempt(lock, e, query, fcntl.F_WRLCK, 100, 1)
            for e in [os.open("f", os.O_RDWR)]])
        r.do("unlock", lock, d, command, fcntl.F_UNLCK, 0, 0)
        r.do("after", other_process, lambda: [
            attempt(lock, e, command, fcntl.F_WRLCK, 100, 1) for e in [os.open("f", os.O_RDWR)]])
        close(d)
    one, two = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
    r.do("flock", fcntl.flock, one, fcntl.LOCK_EX | fcntl.LOCK_NB)
    r.do("flock taken", fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    r.do("flock shared taken", fcntl.flock, two, fcntl.LOCK_SH | fcntl.LOCK_NB)
    close(one)
    r.do("flock free", fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    close(two)


def attempt(function, *arguments):
    try:
        return [function(*arguments)]
    except OSError as problem:
        return [name_of(problem.errno)]


def other_process(function):
    """What the function returns in a child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, json.dumps(function()).encode())
        os._exit(0)
    os.close(writer)
    data = b""
    while part := os.read(reader, 65536):
        data += part
    os.close(reader)
    os.waitpid(child, 0)
    return json.loads(data)


@scenario
def permissions(r):
    """In directories that root prepared (see `prepare`)."""
    shared = "../prepared"
    for path in sorted(os.listdir(shared)) if os.access(shared, os.R_OK) else []:
        r.look(f"{shared}/{path}")
        r.do(f"list {path}", lambda: sorted(os.listdir(f"{shared}/{path}")))
        r.do(f"read in {path}", lambda: open(f"{shared}/{path}/root-file", "rb").read())
        r.opened(f"write in {path}", f"{shared}/{path}/root-file", os.O_WRONLY)
        r.do(f"create in {path}", put, f"{shared}/{path}/mine", b"mine")
        r.look(f"{shared}/{path}/mine")
        r.do(f"mkdir in {path}", os.mkdir, f"{shared}/{path}/mydir")
        r.look(f"{shared}/{path}/mydir")
        r.do(f"symlink in {path}", os.symlink, "x", f"{shared}/{path}/mylink")
        r.look(f"{shared}/{path}/mylink")
        r.do(f"fifo in {path}", os.mkfifo, f"{shared}/{path}/myfifo")
        r.look(f"{shared}/{path}/myfifo")
        r.do(f"link in {path}", os.link, f"{shared}/{path}/root-file", f"{shared}/{path}/hard")
        r.do(f"chmod in {path}", os.chmod, f"{shared}/{path}/root-file", 0o604)
        r.do(f"chown in {path}", os.chown, f"{shared}/{path}/root-file", os.getuid(), -1)
        r.do(f"utime in {path}", os.utime, f"{shared}/{path}/root-file", (1, 1))
        r.do(f"utime now in {path}", os.utime, f"{shared}/{path}/open-file")
        r.do(f"setxattr in {path}", os.setxattr, f"{shared}/{path}/open-file", "user.x", b"1")
        r.do(f"rename in {path}", os.rename, f"{shared}/{path}/root-file", f"{shared}/{path}/moved")
        r.do(f"rename over in {path}", os.rename, f"{shared}/{path}/mine", f"{shared}/{path}/open-file")
        r.do(f"unlink in {path}", os.unlink, f"{shared}/{path}/other-file")
        r.do(f"rmdir in {path}", os.rmdir, f"{shared}/{path}/root-dir")
        r.do(f"truncate in {path}", os.truncate, f"{shared}/{path}/open-file", 0)
        r.look(f"{shared}/{path}/open-file")
        r.do(f"setgid file in {path}", put, f"{shared}/{path}/sg", b"", 0o2777)
        r.look(f"{shared}/{path}/sg")
        r.do("chmod setgid", os.chmod, f"{shared}/{path}/sg", 0o2755)
        r.look(f"{shared}/{path}/sg")


def prepare(root):
    """Directories of root in which another user may do different things."""
    base = os.path.join(root, "prepared")
    os.mkdir(base)
    os.chmod(base, 0o755)
    kinds = {"open": (0o777, 0), "sticky": (0o1777, 0), "setgid": (0o2777, EXTRA), "plain": (0o755, 0),
             "group": (0o770, EXTRA), "closed": (0o700, 0), "search": (0o711, 0),
             "strange": (0o2777, 777)}
    for name, (mode, group) in kinds.items():
        path = os.path.join(base, name)
        os.mkdir(path)
        put(os.path.join(path, "root-file"), b"root")
        put(os.path.join(path, "open-file"), b"open")
        os.chmod(os.path.join(path, "open-file"), 0o666)
        put(os.path.join(path, "other-file"), b"other")
        os.mkdir(os.path.join(path, "root-dir"))
        os.chown(path, 0, group)
        os.chmod(path, mode)


@scenario
def rest(r):
    found = os.statvfs(".")
    r.note("statfs", [found.f_bsize, found.f_frsize, found.f_blocks, found.f_files, found.f_namemax])
    put("f", b"0123456789" * 1000)
    put("g")
    a, b = os.open("f", os.O_RDONLY), os.open("g", os.O_RDWR)
    r.do("copy_file_range", os.copy_file_range, a, b, 5000, 100, 0)
    r.do("sendfile", os.sendfile, b, a, 0, 100)
    r.content("g")
    r.do("ioctl", lambda: fcntl.ioctl(a, 0x12345678, b"\0" * 8))
    poller = select.poll()
    poller.register(a, select.POLLIN | select.POLLOUT)
    r.note("poll", [event for _, event in poller.poll(0)])
    close(a, b)
    r.do("chdir", os.chdir, "..")
    r.do("parent", lambda: os.path.exists("prepared"))


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
