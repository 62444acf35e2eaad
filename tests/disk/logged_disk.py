"""A disk whose every write and flush is on record by blklogwrites, and the states that a power loss may
leave of it."""

import bisect
import os
import struct
from pathlib import Path

from disk_rig import Export, run

SECTOR = 512
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, length of other data
FLUSH, FUA, DISCARD = 1, 2, 4


class LoggedDisk:
    def __init__(self, directory, image):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.log = self.directory / "log"
        with open(self.log, "wb") as file:
            file.truncate(8 << 30)  # sparse: an entry that is not there reads as zeroes
        self.export = Export(self.directory, image, [
            f"driver=file,node-name=log,filename={self.log}",
            f"driver=blklogwrites,node-name=logged,file=image,log=log,log-sector-size={SECTOR}"],
            "logged")
        self.reader = os.open(self.log, os.O_RDONLY)
        self.seen = 0

    def position(self):
        """Where the log's data ends now. Entries of what is under way may be holes before it."""
        while True:
            try:
                begin = os.lseek(self.reader, self.seen, os.SEEK_DATA)
            except OSError:  # no data behind it
                return self.seen
            self.seen = os.lseek(self.reader, begin, os.SEEK_HOLE)

    def close(self):
        os.close(self.reader)
        self.export.close()


class Log:
    """The entries of a finished log file."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY)
        self.entries = []  # (offset of the data, sector, sectors, flags)
        at = SECTOR        # behind the log's super block
        while True:
            sector, sectors, flags, _ = ENTRY.unpack(os.pread(self.file, ENTRY.size, at))
            if sectors == 0 and flags == 0:
                break
            self.entries.append((at + SECTOR, sector, sectors, flags))
            at += SECTOR + (0 if flags & DISCARD else sectors * SECTOR)
        self.offsets = [entry[0] for entry in self.entries]

    def before(self, position):
        """How many entries begin before this place."""
        return bisect.bisect_left(self.offsets, position + SECTOR)

    def apply(self, image, entry, keep=None):
        """Writes one entry to the image; `keep(i)` says which of its sectors arrive."""
        data_at, sector, sectors, flags = entry
        if sectors == 0:
            return
        if flags & DISCARD:
            os.pwrite(image, bytes(sectors * SECTOR), sector * SECTOR)
            return
        data = os.pread(self.file, sectors * SECTOR, data_at)
        if keep is None:
            os.pwrite(image, data, sector * SECTOR)
            return
        for i in range(sectors):
            if keep(i):
                piece = data[i * SECTOR:(i + 1) * SECTOR]
                os.pwrite(image, piece, (sector + i) * SECTOR)


class Rebuilt:
    """One disk at rising positions of its log: what is flushed is in `image`, the rest is drawn."""

    def __init__(self, log, base, directory):
        self.log = log
        self.image = Path(directory) / "flushed"
        run("cp", "--sparse=always", base, self.image)
        self.descriptor = os.open(self.image, os.O_RDWR)
        self.flushed = 0  # entries below it are in the image

    def state(self, cut, draw, into, lie=False):
        """The disk after a power loss at `cut`: of what was not flushed every write, and some of their
        sectors, arrive or not, as `draw` says. A lying disk has not even flushed the last 200."""
        last = max((i for i in range(self.flushed, cut) if self.log.entries[i][3] & FLUSH),
                   default=self.flushed - 1) + 1
        if lie:
            last = max(self.flushed, min(last, cut - 200))
        for entry in self.log.entries[self.flushed:last]:
            self.log.apply(self.descriptor, entry)
        self.flushed = max(self.flushed, last)
        run("cp", "--sparse=always", self.image, into)
        image = os.open(into, os.O_RDWR)
        mode = draw.randrange(4)  # all, none, whole writes, single sectors
        for entry in self.log.entries[self.flushed:cut]:
            if mode == 0 or (mode == 2 and draw.random() < 0.5):
                self.log.apply(image, entry)
            elif mode == 3:
                self.log.apply(image, entry, lambda _: draw.random() < 0.5)
        os.close(image)
