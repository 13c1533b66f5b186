"""Making and opening files: modes, umasks, flags, what is refused."""
import os
import stat

from common import close, put


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
