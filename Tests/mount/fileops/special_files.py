"""Pipes, sockets and device nodes."""
import os
import socket
import stat


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
