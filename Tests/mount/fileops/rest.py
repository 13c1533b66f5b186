"""Statistics, copies by the kernel, ioctl, poll, the parent directory."""
import fcntl
import os
import select

from common import close, put


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
