"""Who may do what in directories of somebody else."""
import os

from common import EXTRA, put


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
