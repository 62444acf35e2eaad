"""kill -9 of daemons under a client that verifies: nothing acknowledged is lost or changed, the client
sees no error, and who comes back comes back by catch-up.

SEAWALL_CYCLES (100) and SEAWALL_DISK_CYCLES (4) say how many kills there are on a RAM file system and
on disk. Moments are drawn from the printed seed.
"""

import json
import os
import random
import subprocess
import tempfile
import time

from support import SEED, Client, Cluster, expect, need, run

RAM_CYCLES = int(os.environ.get("SEAWALL_CYCLES", "100"))
DISK_CYCLES = int(os.environ.get("SEAWALL_DISK_CYCLES", "4"))


def victim_of(view, want_primary, chance):
    """(node, is primary) of a replica to kill."""
    nodes = [replica["node"] for replica in view["replicas"]]
    if want_primary:
        return view["primary"]
    return chance.choice(sorted(node for node in nodes if node != view["primary"]))


class Recoveries:
    """Polls until the volume is healthy and keeps every kind of recovery session that it saw."""

    def __init__(self):
        self.kinds = set()

    def healthy(self, view):
        self.kinds |= {replica["session_kind"] for replica in view["replicas"]}
        return view["health"] == "healthy" and view["serving"]


def chaos(cluster, cycles, chance, full_check_every):
    cluster.create("chaos", "64MiB", 3, "--log-size", "256MiB")
    cluster.wait_healthy("chaos")
    client = Client(cluster, cluster.attach("chaos", cluster.free_node("chaos")))
    client.ask("start")
    slowest = 0.0
    for cycle in range(cycles):
        view = cluster.volume("chaos")
        primary = cycle % 2 == 0
        node = victim_of(view, primary, chance)
        who = f"cycle {cycle}: kill -9 of {node} ({'primary' if primary else 'replica'})"
        client.wait_progress(chance.randrange(1, 200), 30)
        cluster.kill(node)
        begin = time.monotonic()
        client.wait_progress(20, 20)  # goes on without it
        slowest = max(slowest, time.monotonic() - begin)
        cluster.start(node)
        seen = Recoveries()
        cluster.wait_volume("chaos", seen.healthy, 60, f"{who}: healthy again")
        expect(not seen.kinds & {"full", "delta"}, f"{who}: came back by {sorted(seen.kinds)}")
        if primary:
            after = cluster.volume("chaos")
            expect(after["epoch"] > view["epoch"], f"{who}: no new epoch")
        if (cycle + 1) % full_check_every == 0:
            client.ask("check")
            client.ask("start")
    checked = client.ask("check")
    expect(checked["written"] > 0, "the client wrote nothing")
    print(f"  {cycles} kills, {client.ask('count')}, longest wait after a kill {slowest:.2f} s")


def test_F01_kill_9_of_primary_and_replica_in_turn_loses_nothing():
    chance = random.Random(SEED)
    with Cluster(nodes=4) as cluster:
        chaos(cluster, RAM_CYCLES, chance, full_check_every=5)


def test_F01_kill_9_with_pools_on_disk_loses_nothing():
    chance = random.Random(SEED + 1)
    with Cluster(nodes=4, on_disk=True) as cluster:
        chaos(cluster, DISK_CYCLES, chance, full_check_every=2)


def test_F02_replica_killed_again_while_it_recovers():
    chance = random.Random(SEED + 2)
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB", 3, "--log-size", "256MiB")
        view = cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")), rate=0)
        client.ask("start")
        node = victim_of(view, False, chance)
        for _ in range(5):
            cluster.kill(node)
            client.wait_progress(500, 30)
            cluster.start(node, "--no-wait")
            client.wait_progress(chance.randrange(1, 300), 30)
        cluster.kill(node)
        cluster.start(node)
        client.ask("stop")
        cluster.wait_healthy("v")
        client.ask("check")


def fio_job(uri, log, *more):
    return ["fio", "--name=verify", "--ioengine=nbd", f"--uri={uri}", "--size=32M",
            "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0",
            "--output-format=json", f"--output={log}", *more]


def test_F01_fio_crc32c_verify_across_kills():
    """The same with a client that is not ours: fio writes and verifies while daemons die."""
    need("fio")
    chance = random.Random(SEED + 3)
    with Cluster(nodes=4) as cluster, tempfile.TemporaryDirectory() as scratch:
        cluster.create("fio", "64MiB", 3, "--log-size", "256MiB")
        cluster.wait_healthy("fio")
        uri = cluster.attach("fio", cluster.free_node("fio"))
        log = os.path.join(scratch, "fio.json")
        fio = subprocess.Popen(
            fio_job(uri, log, "--rw=randwrite", "--bs=4k", "--iodepth=16", "--time_based",
                    "--runtime=25", "--verify_backlog=512", "--rate_iops=1500"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            kills = 0
            while fio.poll() is None and kills < 6:
                view = cluster.wait_healthy("fio")
                if fio.poll() is not None:
                    break
                node = victim_of(view, kills % 2 == 0, chance)
                cluster.kill(node)
                kills += 1
                cluster.wait_volume(
                    "fio", lambda v, e=view["epoch"], p=kills % 2 == 1:
                    v["serving"] and (not p or v["epoch"] > e), 30, "served after the kill")
                cluster.start(node)
            output, _ = fio.communicate(timeout=90)
        finally:
            if fio.poll() is None:
                fio.kill()
                fio.communicate()
        expect(fio.returncode == 0, lambda: f"fio ended with {fio.returncode}: {output}")
        with open(log, encoding="utf-8") as file:
            job = json.load(file)["jobs"][0]
        expect(job["error"] == 0 and job["write"]["total_ios"] > 0, f"fio: {job['error']}")
        expect(kills >= 4, f"only {kills} kills fitted into fio's run")


def test_P45_primary_process_restarts_at_once_on_the_same_node():
    """Faster than suspicion: still a new epoch, still nothing lost."""
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB", 3)
        cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        for _ in range(3):
            client.wait_progress(100, 30)
            view = cluster.wait_healthy("v")
            cluster.kill(view["primary"])
            cluster.start(view["primary"], "--no-wait")
            cluster.wait_volume("v", lambda v, e=view["epoch"]: v["serving"] and v["epoch"] > e, 30,
                                "a newer epoch serves")
            client.wait_progress(100, 30)
        client.ask("check")


if __name__ == "__main__":
    run(globals())
