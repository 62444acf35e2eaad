"""A client that knows what it wrote: random reads and writes of stamped 4 KiB blocks through libnbd.

usage: nbd_client.py URI BLOCKS DEPTH SEED FLUSH_EVERY RATE [LOAD.json], then one word a line on
standard input (RATE: requests a second at most, 0 for as many as go; LOAD.json: what `dump` said of an
earlier client, whose open writes may or may not be there):
  start   begin the random load        stop    let it run dry
  count   how much has completed       check   run dry, flush, read every block back
  dump    what may be in each block, without waiting for what is open
  reconnect  from now on a lost connection is made anew, and what is open is asked again, in order
  quit    end
Each is answered by one line of JSON on standard output; {"error": ...} when something was wrong.

The oracle holds for each block the stamp that was completed last and, while a write is in flight, the
one that may replace it. A read must return one of these, whole, and what was seen once stays. At most
one request is open on a block, so there is never a third choice. An error of the server is an error of the test.
"""

import json
import random
import select
import struct
import sys
import time
import zlib

import nbd

BLOCK = 4096
STAMP = struct.Struct("<QQQI4x")  # block, sequence, seed, CRC of the three


def content(block, sequence, seed):
    if sequence == 0:
        return bytes(BLOCK)
    head = struct.pack("<QQQ", block, sequence, seed)
    return STAMP.pack(block, sequence, seed, zlib.crc32(head)) * (BLOCK // STAMP.size)


def describe(data):
    block, sequence, seed, _ = STAMP.unpack_from(data)
    kinds = {data[i:i + STAMP.size] for i in range(0, BLOCK, STAMP.size)}
    return f"block {block} sequence {sequence} seed {seed}, {len(kinds)} different stamps"


class Client:
    def __init__(self, uri, blocks, depth, seed, flush_every, rate, load):
        self.blocks, self.depth, self.seed, self.flush_every = blocks, depth, seed, flush_every
        self.rate = rate
        self.random = random.Random(seed)
        self.uri = uri
        self.handle = nbd.NBD()
        self.handle.connect_uri(uri)
        self.reconnecting = False
        self.reconnects = 0
        self.settled = [0] * blocks  # sequence completed last; 0: never written
        self.maybe = {}              # block: sequence of an earlier client's open write
        self.busy = {}               # cookie -> (kind, block, sequence, buffer, begin)
        self.taken = set()
        self.sequence = self.completed = self.since_flush = 0
        if load:
            with open(load, encoding="utf-8") as file:
                before = json.load(file)
            self.settled, self.sequence = before["settled"], before["sequence"]
            self.maybe = {int(block): sequence for block, sequence in before["open"].items()}
        self.longest_gap = 0.0
        self.last_done = time.monotonic()
        self.running = False
        self.next_at = 0.0

    def submit(self):
        if self.since_flush >= self.flush_every:
            self.since_flush = 0
            self.put("flush", None, 0, None, self.handle.aio_flush())
            return
        block = self.random.randrange(self.blocks)
        if block in self.taken:
            return
        if self.random.random() < 0.3:
            self.read(block)
            return
        self.sequence += 1
        self.since_flush += 1
        data = nbd.Buffer.from_bytearray(bytearray(content(block, self.sequence, self.seed)))
        fua = nbd.CMD_FLAG_FUA if self.random.random() < 0.05 else 0
        self.write(block, self.sequence, data, fua)

    def write(self, block, sequence, data, fua=0):
        cookie = self.handle.aio_pwrite(data, block * BLOCK, flags=fua)
        self.put("write", block, sequence, data, cookie)

    def read(self, block):
        data = nbd.Buffer(BLOCK)
        self.put("read", block, 0, data, self.handle.aio_pread(data, block * BLOCK))

    def put(self, kind, block, sequence, data, cookie):
        if block is not None:
            self.taken.add(block)
        self.busy[cookie] = (kind, block, sequence, data, time.monotonic())

    def lost(self):
        return self.reconnecting and (self.handle.aio_is_dead() or self.handle.aio_is_closed())

    def reconnect(self):
        """A new connection to the same socket; what had no answer is asked again, oldest first."""
        deadline = time.monotonic() + 60
        while True:
            self.handle = nbd.NBD()
            try:
                self.handle.connect_uri(self.uri)
                break
            except nbd.Error as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"cannot reconnect: {error.string}") from error
                time.sleep(0.05)  # the pause between two attempts
        self.reconnects += 1
        again, self.busy = list(self.busy.values()), {}
        for kind, block, sequence, data, _ in again:
            if kind == "write":
                self.write(block, sequence, data)
            elif kind == "read":
                self.read(block)
            else:
                self.put("flush", None, 0, None, self.handle.aio_flush())

    def reap(self, milliseconds):
        try:
            self.handle.poll(milliseconds)
        except nbd.Error:
            if not self.lost():
                raise
        for cookie in list(self.busy):
            kind, block, sequence, data, begin = self.busy[cookie]
            try:
                if not self.handle.aio_command_completed(cookie):
                    continue
            except nbd.Error as error:
                if self.lost():
                    continue
                raise AssertionError(f"{kind} of block {block} failed: {error.string}") from error
            del self.busy[cookie]
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - max(self.last_done, begin))
            self.last_done = now
            self.completed += 1
            self.taken.discard(block)
            if kind == "write":
                self.settled[block] = sequence
                self.maybe.pop(block, None)
            elif kind == "read":
                self.verify(block, bytes(data.to_bytearray()))
        if self.lost():
            self.reconnect()

    def verify(self, block, data):
        other = self.maybe.pop(block, None)
        if other is not None and data == content(block, other, self.seed):
            self.settled[block] = other
        elif data != content(block, self.settled[block], self.seed):
            raise AssertionError(
                f"block {block} must hold sequence {self.settled[block]} and holds {describe(data)}")

    def drain(self):
        while self.busy:
            self.reap(100)

    def check(self):
        self.running = False
        self.drain()
        self.handle.flush()
        for block in range(self.blocks):
            while len(self.busy) >= self.depth:
                self.reap(100)
            self.read(block)
        self.drain()
        return {"checked": self.blocks, "written": sum(1 for s in self.settled if s)}

    def obey(self, word):
        if word == "start":
            self.running = True
            self.last_done = time.monotonic()
            return {"started": True}
        if word == "stop":
            self.running = False
            self.drain()
            return {"completed": self.completed}
        if word == "check":
            return self.check()
        if word == "reconnect":
            self.reconnecting = True
            return {"reconnecting": True}
        if word == "count":
            return {"completed": self.completed, "longest_gap_s": round(self.longest_gap, 3),
                    "reconnects": self.reconnects}
        if word == "dump":
            still_open = {block: sequence for kind, block, sequence, _, _ in self.busy.values()
                          if kind == "write"}
            return {"settled": self.settled, "sequence": self.sequence, "open": still_open,
                    "completed": self.completed}
        raise AssertionError(f"no such word: {word}")

    def turn(self):
        if not self.running:
            if self.busy:
                self.reap(50)
            return
        now = time.monotonic()
        while len(self.busy) < self.depth and len(self.taken) < self.blocks:
            if self.rate:
                if now < self.next_at:
                    break
                self.next_at = max(self.next_at, now - 0.1) + 1 / self.rate
            try:
                self.submit()
            except nbd.Error:
                if not self.lost():
                    raise
                self.reconnect()
        self.reap(5 if self.rate else 50)


def main():
    uri, *numbers = sys.argv[1:7]
    load = sys.argv[7] if len(sys.argv) > 7 else None
    client = None
    problem = None
    try:
        client = Client(uri, *map(int, numbers), load)
    except nbd.Error as error:
        problem = f"cannot connect: {error.string}"
    commands = select.poll()
    commands.register(0, select.POLLIN | select.POLLHUP)
    pending = b""
    while True:
        idle = problem is not None or not (client.running or client.busy)
        if commands.poll(None if idle else 0):
            piece = sys.stdin.buffer.raw.read(4096)
            if not piece:
                return
            pending += piece
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            if line == b"quit":
                return
            answer = {"error": problem}
            if problem is None:
                try:
                    answer = client.obey(line.decode())
                except (AssertionError, nbd.Error) as error:
                    problem = str(error)
                    answer = {"error": problem}
            print(json.dumps(answer), flush=True)
        if problem is None:
            try:
                client.turn()
            except (AssertionError, nbd.Error) as error:
                problem = str(error)


if __name__ == "__main__":
    main()
