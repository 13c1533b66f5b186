"""What all operations use: the record of results, and calls that Python has not."""
import ctypes
import errno
import hashlib
import os
import stat

USER, GROUP, EXTRA = 12345, 12346, 12347
libc = ctypes.CDLL(None, use_errno=True)


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
