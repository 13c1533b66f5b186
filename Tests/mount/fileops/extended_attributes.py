"""Extended attributes, also those of twinfs."""
import ctypes
import os

from common import checked, libc, put


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
