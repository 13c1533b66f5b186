"""Names with any bytes, of any length."""
import os

from common import put


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
