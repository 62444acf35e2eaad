"""One disk of three fails below real daemons: flushes that fail and then succeed, sectors that cannot be
read, a disk that hangs. The client sees right answers and no error; the volume becomes whole again.

usage: test_bad_disks.py [WORD ...]; see tests/proc/support.py
"""

import json
import re
import signal
from contextlib import contextmanager

from disk_rig import NODES, Export, Mounted, need_machine, pools, prepare, run
from support import Client, Cluster, expect, run_program, wait_for
import support

VOLUME_MIB, IMAGE_MIB = 16, 192
# Which flushes of a disk fail, counted from its start; one disk at a time has its turn.
FLUSHES = {"node-1": (30, 31, 150), "node-2": (90, 210), "node-3": (120, 270)}


@contextmanager
def disks(cluster, rules=None):
    """The three disks served to the daemons, each with its rules; yields the exports."""
    exports, mounts = [], []
    try:
        for i, (name, pool) in enumerate(zip(NODES, pools(cluster))):
            where = cluster.base / f"disk-{name}"
            where.mkdir(exist_ok=True)
            bad = {"driver": "blkdebug", "node-name": "bad", "image": "image",
                   **(rules or {}).get(name, {})}
            exports.append(Export(where, cluster.base / f"image-{i}", [
                json.dumps(bad), "driver=raw,node-name=top,file=bad"], "top"))
            mounts.append(Mounted(exports[-1].path, pool))
        yield exports
    finally:
        for name in set(NODES) & set(cluster.alive()):
            cluster.kill(name)
        for mount in mounts:
            mount.close()
        for export in exports:
            export.close()


def images(cluster):
    return [cluster.base / f"image-{i}" for i in range(3)]


def failing_flushes(numbers):
    last = max(numbers)
    return {"set-state": [{"event": "flush_to_disk", "state": n, "new_state": n + 1}
                          for n in range(1, last + 1)],
            "inject-error": [{"event": "flush_to_disk", "state": n, "iotype": "flush",
                              "once": True, "errno": 5} for n in numbers]}


def store_failures(cluster):
    """(node, how often) of each replica whose store has failed and opened again."""
    return {(replica["node"], failure["nth"]) for replica in cluster.volume("v")["replicas"]
            for failure in replica["failures"] if failure["kind"] == "store_failed"}


def test_F11_a_flush_that_fails_once_on_each_disk_in_turn_costs_no_write_and_no_error():
    need_machine()
    with Cluster(up=False) as cluster:
        # No journal: the error is to reach the daemon, not to end the file system.
        prepare(cluster, images(cluster), IMAGE_MIB, VOLUME_MIB, journal=False)
        with disks(cluster, {n: failing_flushes(f) for n, f in FLUSHES.items()}):
            cluster.up()
            cluster.wait_healthy("v")
            client = Client(cluster, cluster.attach("v"), flush_every=8, rate=600)
            client.ask("start")
            seen = set()
            goal = client.completed() + 9000
            wait_for(lambda: seen.update(store_failures(cluster)) or client.completed() >= goal,
                     180, "9,000 requests complete")
            cluster.wait_healthy("v")
            client.ask("check")
            print(f"  failures shown: {sorted(seen)}")
            expect({node for node, _ in seen} == set(NODES), f"a disk's error was not shown: {seen}")


def sectors_of(path, step_blocks):
    """Physical sectors of every so many blocks of a file, by its extents."""
    found = []
    for line in run("filefrag", "-v", "-b4096", path).out.splitlines():
        extent = re.match(r"\s*\d+:\s+(\d+)\.\.\s*(\d+):\s+(\d+)\.\.", line)
        if extent:
            logical, last, physical = map(int, extent.groups())
            found += [(physical + i) * 8 for i in range(0, last - logical + 1, step_blocks)]
    return found


def test_F06_F07_sectors_of_base_and_log_that_cannot_be_read_are_served_from_a_peer():
    need_machine()
    with Cluster(up=False) as cluster:
        prepare(cluster, images(cluster), IMAGE_MIB, VOLUME_MIB)
        load = cluster.base / "load.json"
        with disks(cluster):
            cluster.up()
            cluster.wait_healthy("v")
            client = Client(cluster, cluster.attach("v"), flush_every=32, rate=0)
            client.ask("start")
            client.wait_progress(12000, 120)  # a quarter of the log: folded
            client.ask("check")
            load.write_text(json.dumps(client.ask("dump")))
            client.close()
            cluster.cli("cluster", "down", timeout=120)
            replica = next((pools(cluster)[0] / "replicas").glob("[0-9]*"))
            base = sectors_of(replica / "base", 16)[:128]
            folded = cluster.ask("wal", "verify", replica)["super"]["extents_mapped"]
            expect(folded > 32, f"only {folded} extents were folded: the log would answer")
        rules = {"inject-error": [{"event": "none", "iotype": "read", "sector": s, "errno": 5}
                                  for s in base]}
        with disks(cluster, {"node-1": rules}):
            refused = run_program(["dd", f"if={replica / 'base'}", "of=/dev/null", "bs=4096",
                                   "count=1", "iflag=direct"])
            expect(refused.code != 0, "the sectors can be read: the test proves nothing")
            cluster.up()
            cluster.wait_healthy("v")
            if cluster.volume("v")["primary"] != "node-1":
                cluster.cli("volume", "move", "v", "--to", "node-1")
                cluster.wait_volume("v", lambda v: v["primary"] == "node-1" and v["serving"], 30,
                                    "node-1 leads")
            client = Client(cluster, cluster.attach("v"), load=load)
            client.ask("check")
            client.ask("start")
            client.wait_progress(2000, 60)
            client.ask("check")
            cluster.wait_healthy("v")


def test_F13_the_disk_of_the_primary_hangs_and_comes_back():
    need_machine()
    with Cluster(up=False) as cluster:
        prepare(cluster, images(cluster), IMAGE_MIB, VOLUME_MIB)
        with disks(cluster) as exports:
            cluster.up()
            view = cluster.wait_healthy("v")
            victim = NODES.index(view["primary"])
            other = NODES[(victim + 1) % 3]
            client = Client(cluster, cluster.attach("v", other), flush_every=8, rate=600)
            client.ask("start")
            client.wait_progress(300, 30)
            exports[victim].process.send_signal(signal.SIGSTOP)
            try:
                cluster.wait_volume("v", lambda v: v["serving"] and v["epoch"] > view["epoch"], 60,
                                    "another replica leads")
                client.wait_progress(300, 30)
            finally:
                exports[victim].process.send_signal(signal.SIGCONT)
            cluster.wait_healthy("v", 90)
            client.ask("check")


if __name__ == "__main__":
    support.run(globals())
