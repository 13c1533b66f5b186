"""Disks that remember in which order they were written: recorder.py SOCKET JOURNAL NAME=SIZE…

An NBD server with an export for each name, in memory. Every write and every flush of all of them is appended to
JOURNAL before it is answered, so that the length of the journal is an instant, the same for all disks.
Used by power-cuts.sh through nbdfuse and loop devices; `Replay` makes the disks that a power cut at such an
instant may leave behind.
"""
import os
import random
import socket
import struct
import sys
import threading

RECORD = struct.Struct(">BBQI")  # kind, disk, offset, length; the bytes of a write follow
WRITE, ZERO, FLUSH = range(3)
SECTOR = 4096

# ---- the server ----------------------------------------------------------------------------------

MAGIC, OPTION, REPLY = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
REQUEST, SIMPLE_REPLY = 0x25609513, 0x67446698
GO, INFO, EXPORT_NAME, ABORT = 7, 6, 1, 2
# has flags, flush, FUA, trim, zeroes
FLAGS = 1 | 4 | 8 | 32 | 64
FUA, NO_HOLE = 1, 2


class Recorder:
    def __init__(self, path, sizes):
        self.journal = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.names = list(sizes)
        self.disks = [bytearray(size) for size in sizes.values()]
        # One journal, one order: also of what different disks are asked at once.
        self.lock = threading.Lock()

    def note(self, kind, disk, offset=0, length=0, data=b""):
        record = RECORD.pack(kind, disk, offset, length) + data
        if os.write(self.journal, record) != len(record):
            os._exit(1)

    def do(self, disk, command, flags, offset, length, data):
        """The bytes of the answer."""
        store = self.disks[disk]
        if command == 0:
            return bytes(store[offset : offset + length])
        with self.lock:
            if command == 1:
                store[offset : offset + length] = data
                self.note(WRITE, disk, offset, length, data)
            elif command in (4, 6):
                store[offset : offset + length] = bytes(length)
                self.note(ZERO, disk, offset, length)
            # FUA promises this write alone; flushing is the same promise for more, so a cut loses less.
            if command == 3 or flags & FUA:
                self.note(FLUSH, disk)
        return b""


def take(connection, count):
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def choose(connection, recorder):
    """The options; returns the number of the export."""
    connection.sendall(struct.pack(">QQH", MAGIC, OPTION, 3))
    no_zeroes = struct.unpack(">I", take(connection, 4))[0] & 2
    while True:
        _, option, length = struct.unpack(">QII", take(connection, 16))
        data = take(connection, length)

        def answer(kind, payload=b""):
            connection.sendall(struct.pack(">QIII", REPLY, option, kind, len(payload)) + payload)

        if option == ABORT:
            raise EOFError
        if option == EXPORT_NAME:
            disk = recorder.names.index(data.decode())
            size = len(recorder.disks[disk])
            connection.sendall(struct.pack(">QH", size, FLAGS) + (b"" if no_zeroes else bytes(124)))
            return disk
        if option in (GO, INFO):
            name = data[4 : 4 + struct.unpack(">I", data[:4])[0]].decode()
            disk = recorder.names.index(name)
            answer(3, struct.pack(">HQH", 0, len(recorder.disks[disk]), FLAGS))
            answer(1)
            if option == GO:
                return disk
            continue
        answer(0x80000001)


def serve(connection, recorder):
    try:
        disk = choose(connection, recorder)
        while True:
            _, flags, command, cookie, offset, length = struct.unpack(
                ">IHHQQI", take(connection, 28)
            )
            if command == 2:
                return
            data = take(connection, length) if command == 1 else b""
            answer = recorder.do(disk, command, flags, offset, length, data)
            connection.sendall(struct.pack(">IIQ", SIMPLE_REPLY, 0, cookie) + answer)
    except EOFError:
        pass
    finally:
        connection.close()


def main():
    path, journal = sys.argv[1:3]
    sizes = {name: int(size) for name, size in (word.split("=") for word in sys.argv[3:])}
    recorder = Recorder(journal, sizes)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, recorder), daemon=True).start()


# ---- power cuts ----------------------------------------------------------------------------------


class Replay:
    """What the disks hold after a cut, for ascending instants of one journal.

    A disk has everything that was written before its last flush began (requests of all disks are one after the
    other, so that is what stands before its record). Of what came later each 4 KiB piece arrived or did
    not, whatever the others did: a disk may write its cache in any order. Only pieces of one place stay in order.
    """

    def __init__(self, journal, sizes):
        self.file = open(journal, "rb")
        self.names = list(sizes)
        self.durable = [bytearray(size) for size in sizes.values()]
        self.cached = [[] for _ in sizes]
        self.position = 0

    def advance(self, end):
        """Goes on to the last record that ends at or before `end`."""
        while self.position + RECORD.size <= end:
            self.file.seek(self.position)
            kind, disk, offset, length = RECORD.unpack(self.file.read(RECORD.size))
            size = RECORD.size + (length if kind == WRITE else 0)
            if self.position + size > end:
                return
            if kind == FLUSH:
                for begin, data in self.cached[disk]:
                    self.durable[disk][begin : begin + len(data)] = data
                self.cached[disk] = []
            else:
                data = self.file.read(length) if kind == WRITE else bytes(length)
                self.cached[disk].append((offset, data))
            self.position += size

    def cut(self, seed, folder):
        """Writes an image of each disk to `folder`; returns how many pieces were lost."""
        chance = random.Random(seed)
        lost = 0
        for name, durable, cached in zip(self.names, self.durable, self.cached):
            disk = bytearray(durable)
            # Nothing lost, everything lost, or anything between.
            share = chance.choice([0, 0.1, 0.5, 0.9, 1])
            gone = set()
            for offset, data in cached:
                for begin in range(0, len(data), SECTOR):
                    place = (offset + begin) // SECTOR
                    if place in gone or chance.random() < share:
                        gone.add(place)
                        lost += 1
                        continue
                    piece = data[begin : begin + SECTOR]
                    disk[offset + begin : offset + begin + len(piece)] = piece
            write_sparse(os.path.join(folder, name), disk)
        return lost


def write_sparse(path, data):
    with open(path, "wb") as file:
        empty = bytes(1 << 16)
        for offset in range(0, len(data), 1 << 16):
            piece = data[offset : offset + (1 << 16)]
            if piece != empty[: len(piece)]:
                file.seek(offset)
                file.write(piece)
        file.truncate(len(data))


if __name__ == "__main__":
    main()
