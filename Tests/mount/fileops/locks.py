"""Locks of ranges and of whole files."""
import fcntl
import json
import os
import struct

from common import close, name_of, put


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
