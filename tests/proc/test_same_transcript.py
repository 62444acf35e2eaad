"""C02: one script of client requests, in the simulator and with real daemons: equal transcripts.

Compared are what the client was answered, every record of every replica's log (position, term, kind,
blocks, and the CRC of each block's payload), and the changes that the controller committed. The
replicas of the simulator are written out as files, so that `seawall wal dump` reads both.
"""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from support import BIN, NBD_PYTHON, Cluster, expect, run, run_program

SCRIPT = Path(__file__).resolve().parent.parent / "sim" / "transcript.txt"
BLOCK = 4096
MASK = (1 << 64) - 1


def requests():
    return [line for line in SCRIPT.read_text().splitlines() if line and not line.startswith("#")]


def mix(number, word):
    """mix64 of engine/base/chain.h."""
    number ^= word * 0x9e3779b97f4a7c15 & MASK
    number ^= number >> 32
    number = number * 0xd6e8feb86659fd93 & MASK
    number ^= number >> 29
    number = number * 0xa0761d6478bd642f & MASK
    return number ^ number >> 32


def content(stamp, block):
    """The bytes that sim/content.cc writes."""
    start = mix(stamp, block) | 1
    words = [stamp, block] + [(start + i * 0x9e3779b97f4a7c15) * 6364136223846793005 & MASK
                              for i in range(2, BLOCK // 8)]
    return struct.pack(f"<{BLOCK // 8}Q", *words)


def records_of(directory):
    """`W|` lines of one replica's files."""
    dumped = run_program([BIN / "seawall", "wal", "dump", directory, "--output", "json"],
                         check=True).json()
    return ["W|{lsn}|{term}|{kind}|{flags}|{attachment}|{request}|{lba}|{blocks}|{chain}|{crcs}".format(
        **{**record, "crcs": ",".join(record.get("crcs") or [])}) for record in dumped["records"]]


def simulated(directory):
    """`C|` and `E|` lines, and the log of every replica."""
    done = subprocess.run([BIN / "seawall-sim", "script", SCRIPT, directory], capture_output=True,
                          text=True, timeout=120, check=False)
    expect(done.returncode == 0, lambda: f"the simulator: {done.stdout}{done.stderr}")
    lines = done.stdout.splitlines()
    logs = [records_of(replica) for replica in sorted(Path(directory).iterdir())]
    return ([line for line in lines if line.startswith("C|")],
            [line for line in lines if line.startswith("E|")], logs)


def play(uri):
    """The script against a real export; every read is compared with what must be there."""
    import nbd  # only the interpreter of played() has it
    handle = nbd.NBD()
    handle.connect_uri(uri)
    blocks, said = {}, []
    for stamp, line in enumerate(requests(), 1):
        verb, *words = line.split()
        lba, count = (int(words[0]), int(words[1])) if words else (0, 0)
        flags = nbd.CMD_FLAG_FUA if "fua" in words else 0
        touched, at, size = range(lba, lba + count), lba * BLOCK, count * BLOCK
        if verb == "write":
            handle.pwrite(b"".join(content(stamp, block) for block in touched), at, flags)
            blocks |= {block: stamp for block in touched}
        elif verb == "zero":
            handle.zero(size, at, flags)
            blocks |= {block: 0 for block in touched}
        elif verb == "discard":
            handle.trim(size, at, flags)
            blocks |= {block: 0 for block in touched}
        elif verb == "flush":
            handle.flush()
        else:
            got = handle.pread(size, at)
            want = b"".join(content(blocks[block], block) if blocks.get(block) else bytes(BLOCK)
                            for block in touched)
            expect(got == want, f"request {stamp}, {line}: other bytes")
        said.append(f"C|{line}|ok")
    handle.shutdown()
    return said


def played(uri):
    """What play() says, by the interpreter that has libnbd."""
    return run_program([NBD_PYTHON, __file__, "--play", uri], timeout=120,
                       check=True).out.splitlines()


def real():
    with Cluster(nodes=4) as cluster:
        cluster.create("v1")
        cluster.wait_healthy("v1")
        said = played(cluster.attach("v1", cluster.free_node("v1")))
        cluster.wait_volume("v1", lambda view: len({r["written"] for r in view["replicas"]}) == 1 and
                            all(r["durable"] == r["written"] for r in view["replicas"]), 30,
                            "every replica has everything")
        events = [f"E|{event['epoch']}|{event['revision']}|{event['type']}"
                  for event in map(json.loads, cluster.cli("events", "v1", "--output", "json")
                                   .out.splitlines())]
        nodes = [replica["node"] for replica in cluster.volume("v1")["replicas"]]
        for node in nodes:
            cluster.kill(node)
        logs = [records_of(next((cluster.dir / "pools" / node / "replicas").iterdir()))
                for node in nodes]
        return said, events, logs


def first_difference(name, one, other):
    for number, (a, b) in enumerate(zip(one, other), 1):
        if a != b:
            return f"{name}, line {number}: simulated [{a}], real [{b}]"
    if len(one) != len(other):
        return f"{name}: {len(one)} lines simulated, {len(other)} real"
    return None


def test_C02_a_fault_free_script_leaves_equal_transcripts():
    with tempfile.TemporaryDirectory() as directory:
        clients, events, logs = simulated(directory)
    real_clients, real_events, real_logs = real()
    expect(len(logs) == len(real_logs) == 3 and len(logs[0]) > 20,
           lambda: f"logs of {[len(log) for log in logs + real_logs]} records")
    pairs = [("client", clients, real_clients), ("events", events, real_events)]
    pairs += [(f"log {number}", logs[0], log) for number, log in enumerate(logs[1:] + real_logs, 2)]
    for name, one, other in pairs:
        expect(one == other, lambda: first_difference(name, one, other))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        print("\n".join(play(sys.argv[2])))
    else:
        run(globals())
