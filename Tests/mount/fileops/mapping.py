"""Mapped files, and programs that are run."""
import mmap
import os
import shutil

from common import close, name_of, put


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
