"""A service manager in small: speaks sd_notify(3), holds descriptors, ends keeper and worker together, starts anew.

    manager.py SOURCE MOUNTPOINT [options of twinfs]

Judges by itself; the first thing that is wrong ends it with exit code 1.
"""
import array
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import time

source, mountpoint, options = sys.argv[1], sys.argv[2], sys.argv[3:]
LIMIT = 120
address = f"\0twinfs-test-{os.getpid()}"
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(address)
listener.settimeout(0.1)
store = []  # (name, descriptor), as systemd's: names may repeat
heard = []


def listen(seconds, until=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        try:
            data, ancillary, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(4))
        except TimeoutError:
            continue
        fields = dict(line.split("=", 1) for line in data.decode().split("\n") if line)
        files = array.array("i", b"".join(part[2] for part in ancillary)).tolist()
        name = fields.get("FDNAME")
        if "FDSTOREREMOVE" in fields:
            for entry in [entry for entry in store if entry[0] == name]:
                store.remove(entry)
                os.close(entry[1])
        elif "FDSTORE" in fields:
            assert name and ":" not in name and len(files) == 1, fields
            store.append((name, files[0]))
        else:
            heard.append(fields)


def wait_for(text, condition):
    listen(LIMIT, condition)
    assert condition(), f"never: {text}; heard {heard[-5:]}"


def said(key):
    return [fields[key] for fields in heard if key in fields]


def start():
    """Starts the service as systemd does, with what is in the store from descriptor 3 on."""
    heard.clear()
    held = list(store)
    child = os.fork()
    if child:
        return child
    environment = dict(os.environ, NOTIFY_SOCKET="@" + address[1:], WATCHDOG_USEC="1000000")
    if held:
        copies = [os.dup2(entry[1], 1000 + index) for index, entry in enumerate(held)]
        os.closerange(3, 1000)
        for index, copy in enumerate(copies):
            os.dup2(copy, 3 + index, inheritable=True)
        environment |= {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(held)),
            "LISTEN_FDNAMES": ":".join(entry[0] for entry in held),
        }
    os.execvpe("twinfs", ["twinfs", "mount", "-f", *options, "--", source, mountpoint], environment)


def status():
    with open(mountpoint + "/.mirror/status.json") as file:
        return json.load(file)


def end_together(*processes):
    # Stopped first, so that neither notices the other's end.
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    for process in processes:
        os.kill(process, signal.SIGKILL)
    os.waitpid(processes[0], 0)
    while any(os.path.exists(f"/proc/{process}/fd/0") for process in processes):
        time.sleep(0.01)


main = start()
wait_for("READY", lambda: "1" in said("READY"))
assert said("MAINPID")[-1] == str(main) == str(status()["keeper-pid"]), status()
# A process of its own: this one starts programs, and must hold nothing in a mount that nobody serves.
for name in ("kept", "before", "deleted"):
    with open(f"{source}/{name}.img", "wb") as image:
        image.truncate(1 << 20)
guest = subprocess.Popen(
    [sys.executable, os.path.join(os.path.dirname(__file__), "holder.py"), mountpoint],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert guest.stdout.readline() == "open\n"
wait_for("STATUS", lambda: any(mountpoint in text for text in said("STATUS")))
wait_for("WATCHDOG twice", lambda: len(said("WATCHDOG")) >= 2)

for generation in (2, 3):
    listen(0.5)
    names = {entry[0] for entry in store}
    assert {"fuse", "source", "session", "keeper"} <= names, names
    end_together(main, status()["worker-pid"])
    # The guest's requests wait in the kernel: nobody serves.
    main = start()
    wait_for("READY again", lambda: "1" in said("READY"))
    assert status()["generation"] == generation, status()
    assert status()["keeper-pid"] == main, status()
    print("went on as generation", generation, flush=True)

# A worker that hangs: the manager gets no sign of life for it, but one that was on its way.
worker = status()["worker-pid"]
os.kill(worker, signal.SIGSTOP)
listen(1)
heard.clear()
listen(3)
assert len(said("WATCHDOG")) <= 1, heard
os.kill(worker, signal.SIGCONT)
heard.clear()
wait_for("WATCHDOG after a hang", lambda: len(said("WATCHDOG")) >= 2)

os.kill(main, signal.SIGTERM)
wait_for("STOPPING", lambda: "1" in said("STOPPING"))
listen(1)
assert os.path.exists(mountpoint + "/.mirror") and os.waitpid(main, os.WNOHANG) == (0, 0), "took the guest's disk"
guest.stdin.close()
print("guest:", guest.stdout.read().strip(), flush=True)
assert guest.wait(LIMIT) == 0
ends = [(0, 0)]


def has_ended():
    if ends[-1][0] == 0:
        ends.append(os.waitpid(main, os.WNOHANG))
    return ends[-1][0] == main


wait_for("the end", has_ended)
assert ends[-1][1] == 0, ends[-1]
listen(1, lambda: not store)
assert not store, store
assert not os.path.ismount(mountpoint)

# What is left from a mount that is gone is not used.
assert not glob.glob(mountpoint + "/*")
print("ended", flush=True)
