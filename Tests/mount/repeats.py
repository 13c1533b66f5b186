"""Operations that may not be done twice, in a loop, while somebody kills the worker.

repeats.py work DIRECTORY SECONDS: every call must succeed, or fail as it must, and leave what it should; prints
how many calls were made. Each process has a directory of its own, so that what it finds is its own doing.
repeats.py control MOUNT SECONDS IMAGE TARGET: the same with commands; with those of jobs where there is a TARGET.
"""

import ctypes
import errno
import os
import stat
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
NOREPLACE, EXCHANGE = 1, 2
calls = 0


def check(condition, words):
    if not condition:
        raise SystemExit(f"WRONG: {words}")


def rename2(old, new, flags):
    if libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new)


def inode(path):
    return os.lstat(path).st_ino


def refused(number, call, *arguments):
    global calls
    calls += 1
    try:
        call(*arguments)
    except OSError as error:
        check(error.errno == number, f"{call} {arguments}: {error}")
        return
    raise SystemExit(f"WRONG: {call} {arguments} succeeded")


def check_links(handle, count, words):
    """A link count is an attribute, which the kernel may keep for a moment."""
    for _ in range(30):
        seen = os.fstat(handle).st_nlink
        if seen == count:
            return
        time.sleep(0.1)
    raise SystemExit(f"WRONG: {words}: {seen} links for 3 s")


def done(call, *arguments, **more):
    global calls
    calls += 1
    return call(*arguments, **more)


def files(top):
    one, two, three = f"{top}/one", f"{top}/two", f"{top}/three"
    handle = done(os.open, one, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o400)
    check(done(os.pwrite, handle, b"abc", 0) == 3, "short write")
    refused(errno.EEXIST, os.open, one, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    done(os.link, one, two)
    check_links(handle, 2, "two names")
    refused(errno.EEXIST, os.link, one, two)
    done(os.unlink, one)
    refused(errno.ENOENT, os.unlink, one)
    check_links(handle, 1, "one name")
    known = os.fstat(handle).st_ino
    done(os.rename, two, three)
    check(inode(three) == known and not os.path.lexists(two), "renamed")
    done(os.close, done(os.open, one, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    refused(errno.EEXIST, rename2, one, three, NOREPLACE)
    other = inode(one)
    done(rename2, one, three, EXCHANGE)
    check((inode(one), inode(three)) == (known, other), "exchanged")
    done(rename2, one, two, NOREPLACE)
    check(inode(two) == known and not os.path.lexists(one), "renamed where nothing was")
    done(os.rename, two, three)
    check(inode(three) == known and not os.path.lexists(two), "renamed over another")
    done(os.unlink, three)
    refused(errno.ENOENT, os.lstat, three)
    check_links(handle, 0, "no name")
    check(done(os.pread, handle, 10, 0) == b"abc", "a deleted file that is open")
    done(os.close, handle)


def others(top):
    folder, link, pipe = f"{top}/folder", f"{top}/link", f"{top}/pipe"
    done(os.mkdir, folder)
    refused(errno.EEXIST, os.mkdir, folder)
    done(os.symlink, "to nowhere", link)
    check(done(os.readlink, link) == "to nowhere", "link")
    done(os.mkfifo, pipe)
    check(stat.S_ISFIFO(os.lstat(pipe).st_mode), "pipe")
    done(os.rename, folder, f"{top}/renamed")
    refused(errno.ENOENT, os.rmdir, folder)
    check(sorted(done(os.listdir, top)) == ["link", "pipe", "renamed"], "listing")
    done(os.rmdir, f"{top}/renamed")
    done(os.unlink, link)
    done(os.unlink, pipe)
    check(done(os.listdir, top) == [], f"left: {os.listdir(top)}")


def attributes(top):
    path = f"{top}/attributes"
    done(os.close, done(os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    done(os.setxattr, path, "user.one", b"1", os.XATTR_CREATE)
    refused(errno.EEXIST, os.setxattr, path, "user.one", b"2", os.XATTR_CREATE)
    done(os.setxattr, path, "user.one", b"3", os.XATTR_REPLACE)
    check(done(os.getxattr, path, "user.one") == b"3", "value")
    done(os.removexattr, path, "user.one")
    refused(errno.ENODATA, os.removexattr, path, "user.one")
    done(os.truncate, path, 10000)
    check(os.stat(path).st_size == 10000, "size")
    done(os.unlink, path)


def work(top, seconds):
    os.makedirs(top)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        files(top)
        others(top)
        attributes(top)
    print(calls)


def command(mount, line):
    global calls
    calls += 1
    handle = os.open(f"{mount}/.mirror/control", os.O_RDWR)
    try:
        number = 0
        try:
            os.write(handle, line.encode())
        except OSError as error:
            number = error.errno
        answer = os.read(handle, 4096).decode()
    finally:
        os.close(handle)
    check((number == 0) == answer.startswith("ok"), f"{line}: errno {number}, {answer!r}")
    return number, answer


def obeyed(mount, line):
    number, answer = command(mount, line)
    check(number == 0, f"{line}: {answer}")


def jobs(mount, image, target):
    """A job's life; a second one to the same target would be told by `status.json` or by a refusal."""
    obeyed(mount, f"mirror {image} target={target} existing=replace")
    with open(f"{mount}/.mirror/status.json", "rb") as file:
        check(file.read().count(b'"serving"') == 1, "one job")
    for line in (f"pause {image}", f"resume {image}", f"set {image} speed=1M"):
        obeyed(mount, line)
    obeyed(mount, f"cancel {image} force=on")
    end = time.monotonic() + 60
    while command(mount, f"dismiss {image}")[0] != 0:
        check(time.monotonic() < end, "cancelled, and never ends")
        time.sleep(0.05)


def control(mount, seconds, image, target):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        obeyed(mount, f"checkpoint {image} one")
        number, answer = command(mount, f"checkpoint {image} one")
        check(number != 0, f"made twice: {answer}")
        obeyed(mount, f"checkpoint {image} one delete=on")
        if target:
            jobs(mount, image, target)
        number, answer = command(mount, "pause nothing")
        check(number != 0, f"paused nothing: {answer}")
    print(calls)


def pattern(number):
    return (f"{number:08}" * 512).encode()


def hold(top, seconds):
    """Handles that stay open all the time: of a file that is renamed, of one that is gone, of a read-only one, of a
    directory, and one that appends."""
    os.makedirs(f"{top}/many")
    names = {f"file {number}" for number in range(700)}
    for name in names:
        os.close(os.open(f"{top}/many/{name}", os.O_CREAT | os.O_WRONLY))
    with open(f"{top}/golden", "wb") as file:
        file.write(pattern(7) * 64)
    os.chmod(f"{top}/golden", 0o444)
    renamed = os.open(f"{top}/renamed", os.O_CREAT | os.O_RDWR)
    gone = os.open(f"{top}/gone", os.O_CREAT | os.O_RDWR)
    os.unlink(f"{top}/gone")
    golden = os.open(f"{top}/golden", os.O_RDONLY)
    append = os.open(f"{top}/append", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    known = os.fstat(renamed).st_ino
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        count += 1
        place = count % 97 * 4096
        for file in (renamed, gone):
            check(done(os.pwrite, file, pattern(count), place) == 4096, "short write")
            check(done(os.pread, file, 4096, place) == pattern(count), "what was written")
        done(os.fsync, renamed)
        name = f"{top}/renamed" if count % 2 == 0 else f"{top}/moved"
        done(os.rename, f"{top}/moved" if count % 2 == 0 else f"{top}/renamed", name)
        check(os.fstat(renamed).st_ino == inode(name) == known, "the renamed file")
        check(done(os.pread, golden, 4096, count % 64 * 4096) == pattern(7), "the read-only file")
        check(done(os.write, append, b"line\n") == 5, "short append")
        check(os.fstat(append).st_size == 5 * count, "appended twice or not at all")
        if count % 20 == 0:
            found = []
            for entry in os.scandir(f"{top}/many"):
                found.append(entry.name)
                if len(found) % 100 == 0:
                    time.sleep(0.05)
            check(sorted(found) == sorted(names), f"the listing has {len(found)}")
    with open(f"{top}/append", "rb") as file:
        check(file.read() == b"line\n" * count, "what was appended")
    for file in (renamed, gone, golden, append):
        os.close(file)
    print(calls)


if sys.argv[1] == "hold":
    hold(sys.argv[2], float(sys.argv[3]))
elif sys.argv[1] == "work":
    work(sys.argv[2], float(sys.argv[3]))
else:
    control(sys.argv[2], float(sys.argv[3]), sys.argv[4], sys.argv[5])
