"""Power is lost below three real daemons: hundreds of states that blklogwrites recorded, each mounted,
opened and asked whether every quorum elects a primary that has all that was flushed.

usage: test_power_loss.py CHECK_STATE [WORD ...]; see tests/proc/support.py
"""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from disk_rig import NODES, Mounted, need_machine, pools, prepare, run
from logged_disk import Log, LoggedDisk, Rebuilt
from support import NBD_PYTHON, SEED, Cluster, expect
import support

CHECK_STATE = sys.argv.pop(1) if len(sys.argv) > 1 else ""
BLOCK = 4096
VOLUME_MIB, IMAGE_MIB = 16, 192
INSTANTS = int(os.environ.get("SEAWALL_INSTANTS", "180"))
SKEWED = 3   # states an instant

# Its own process, for libnbd: writes stamps, and after each flush says so and waits for a line.
LOAD = '''
import random, struct, sys, nbd
uri, instants, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
draw, handle, stamp = random.Random(seed), nbd.NBD(), 0
handle.connect_uri(uri)
blocks = handle.get_size() // 4096
for instant in range(instants):
    said = []
    for _ in range(draw.randrange(1, 8)):
        stamp += 1
        count = draw.choice((1, 1, 2, 4, 16, 64, 256))
        at = draw.randrange(blocks // 4 if draw.random() < 0.5 else blocks - count)
        at = min(at, blocks - count)
        if draw.random() < 0.05:
            handle.trim(count * 4096, at * 4096)
            said.append((at, count, 0))
        else:
            handle.pwrite(struct.pack("<Q", stamp) * (512 * count), at * 4096)
            said.append((at, count, stamp))
    handle.flush()
    print(" ".join(f"{a},{c},{s}" for a, c, s in said), flush=True)
    if not sys.stdin.readline():
        break
handle.shutdown()
'''


class Recording:
    """What a run left: the images before it, the logs of three disks, what was written when."""

    def __init__(self, base):
        self.base = Path(base)
        self.instants = []  # (where each log ended, number of writes so far), after each flush
        self.writes = []    # (first block, blocks, stamp), in order

    def image(self, i):
        return self.base / f"image-{i}"

    def log(self, i):
        return self.base / f"disk-{i}" / "log"


def record(cluster, recording):
    """The load, over disks that keep a record; ends with the daemons killed."""
    disks, mounts = [], []
    try:
        for i, pool in enumerate(pools(cluster)):
            run("cp", "--sparse=always", recording.image(i), recording.base / f"live-{i}")
            disks.append(LoggedDisk(recording.base / f"disk-{i}", recording.base / f"live-{i}"))
            mounts.append(Mounted(disks[-1].export.path, pool))
        cluster.up()
        cluster.wait_healthy("v")
        load = subprocess.Popen(
            [NBD_PYTHON, "-c", LOAD, cluster.attach("v"), str(INSTANTS), str(SEED)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(INSTANTS):
            line = support.read_line(load, 120)
            expect(line, "the load ended early")
            recording.writes += [tuple(map(int, word.split(","))) for word in line.split()]
            # Read after the flush has answered: all that it promised is on record.
            positions = [disk.position() for disk in disks]
            recording.instants.append((positions, len(recording.writes)))
            load.stdin.write("\n")
            load.stdin.flush()
        load.stdin.close()
        expect(load.wait(60) == 0, "the load failed")
    finally:
        for name in set(NODES) & set(cluster.alive()):
            cluster.kill(name)
        for mount in mounts:
            mount.close()
        for disk in disks:
            disk.close()


def model(recording, flushed):
    """Lines for check_state: per block what may be there after so many flushed writes, and any that
    came later."""
    allowed = {}
    for number, (first, count, stamp) in enumerate(recording.writes):
        for block in range(first, first + count):
            if number < flushed or block not in allowed:
                allowed[block] = [stamp] if number < flushed else [0, stamp]
            else:
                allowed[block].append(stamp)
    return "".join(f"{b} {' '.join(map(str, s))}\n" for b, s in sorted(allowed.items()))


def check_states(recording, where, draw, lie=False, instants=None):
    """Rebuilds, mounts and checks states; returns (how many, the answers of those that are wrong)."""
    logs = [Log(recording.log(i)) for i in range(3)]
    rebuilt = []
    for i in range(3):
        (where / str(i)).mkdir(parents=True)
        rebuilt.append(Rebuilt(logs[i], recording.image(i), where / str(i)))
    count, wrong = 0, []
    for number in instants or range(len(recording.instants)):
        positions, flushed = recording.instants[number]
        following, _ = recording.instants[min(number + 1, len(recording.instants) - 1)]
        for kind in range(SKEWED):
            # The first: all at once. Then each disk dies at a moment of its own until the next flush.
            places = [p if kind == 0 else draw.randint(p, max(p, q))
                      for p, q in zip(positions, following)]
            cuts = [log.before(place) for log, place in zip(logs, places)]
            answer = check_one(rebuilt, cuts, draw, where, lie,
                               model(recording, flushed))
            count += 1
            if answer:
                wrong.append(f"instant {number} state {kind} cuts {cuts}: {answer}")
                if len(wrong) >= 5:
                    return count, wrong
    return count, wrong


def check_one(rebuilt, cuts, draw, where, lie, text):
    """None when the state is right, else what check_state said."""
    (where / "model").write_text(text)
    mounts = []
    try:
        for i, disk in enumerate(rebuilt):
            state = where / str(i) / "state"
            disk.state(cuts[i], draw, state, lie)
            try:
                mounts.append(Mounted(state, where / str(i) / "mount"))
            except AssertionError as error:
                return f"disk {i} cannot be mounted: {error}"
        replicas = [next((mount.where / "replicas").glob("[0-9a-f]*")) for mount in mounts]
        result = subprocess.run([CHECK_STATE, where / "model", *replicas], capture_output=True,
                                text=True, timeout=60)
        return None if result.returncode == 0 else result.stdout + result.stderr[-2000:]
    finally:
        for mount in mounts:
            mount.close()


def recording_of(cluster):
    recording = Recording(cluster.base)
    prepare(cluster, [recording.image(i) for i in range(3)], IMAGE_MIB, VOLUME_MIB)
    record(cluster, recording)
    return recording


def test_F03_F24_no_flushed_write_is_lost_in_hundreds_of_losses_of_power():
    need_machine()
    expect(CHECK_STATE, "the first argument names the program check_state")
    with Cluster(up=False) as cluster:
        recording = recording_of(cluster)
        halves = [range(0, INSTANTS, 2), range(1, INSTANTS, 2)]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(
                lambda half: check_states(recording, cluster.base / f"states-{half.start}",
                                          random.Random(SEED + half.start), instants=half),
                halves))
        count = sum(result[0] for result in results)
        wrong = [answer for result in results for answer in result[1]]
        entries = sum(len(Log(recording.log(i)).entries) for i in range(3))
        print(f"  {count} states of {entries} writes and flushes of three disks, "
              f"{len(recording.writes)} requests")
        expect(not wrong, lambda: "\n".join(wrong))
        expect(count == INSTANTS * SKEWED, f"only {count} states")
        lying(cluster, recording)


def lying(cluster, recording):
    """The negative control: disks that answer a flush and keep nothing must be found out."""
    some = range(INSTANTS // 4, INSTANTS, max(1, INSTANTS // 12))
    _, wrong = check_states(recording, cluster.base / "lying", random.Random(SEED), lie=True,
                            instants=some)
    expect(wrong, "disks that lie about every flush were not found out: the test proves nothing")


if __name__ == "__main__":
    support.run(globals())
