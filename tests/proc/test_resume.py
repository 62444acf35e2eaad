"""A daemon that dies with its NBD exports: its successor serves them again by itself, on the same
sockets, with the position that was seen."""

import json
import shutil
from pathlib import Path

from support import BIN, NBD_PYTHON, Client, Cluster, expect, run, run_program, wait_for


def remembered(cluster, node):
    """The files of the attachments that a daemon of this node remembers."""
    record = json.loads((cluster.dir / "cluster.json").read_text(encoding="utf-8"))
    return sorted(Path(record["run_directory"]).glob(f"{node}.sock.attachments/*.attachment"))


def generation(cluster, name):
    return [(each["node"], each["generation"]) for each in cluster.volume(name)["attachments"]]


def requests_in_log(cluster, node):
    """(attachment, request) of each record of the replica's log; its daemon has stopped."""
    directory = next((cluster.dir / "pools" / node / "replicas").iterdir())
    words = [BIN / "seawall", "wal", "dump", directory, "--output", "json"]
    records = run_program(words, check=True).json()["records"]
    return [(r["attachment"], r["request"]) for r in records if r["attachment"]]


def kill_and_resume(cluster, client, node, rounds):
    for number in range(1, rounds + 1):
        client.wait_progress(300, 60)
        cluster.kill(node)
        cluster.start(node)
        client.wait_progress(300, 60)
        seen = client.ask("count")["reconnects"]
        expect(seen >= number, f"the client reconnected {seen} times, its daemon died {number} times")


def test_F22_P162_a_killed_daemon_serves_its_export_again_and_nothing_acknowledged_is_lost():
    with Cluster(nodes=4) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        front = cluster.free_node("v")
        client = Client(cluster, cluster.attach("v", front))
        before = generation(cluster, "v")
        client.ask("reconnect")
        client.ask("start")
        kill_and_resume(cluster, client, front, 3)
        client.ask("check")
        expect(generation(cluster, "v") == before, "the attachment is the same generation")
        expect(len(remembered(cluster, front)) == 1, f"files: {remembered(cluster, front)}")
        # Attached once more by hand: it is served already, and stays so.
        cluster.attach("v", front)
        expect(generation(cluster, "v") == before, "attaching what is served changes nothing")
        client.ask("check")
        # No request number was used for two records, over all lives of the daemon.
        victim = cluster.volume("v")["replicas"][0]["node"]
        cluster.cli("cluster", "stop", victim)
        numbers = requests_in_log(cluster, victim)
        expect(len(numbers) > 500, f"{len(numbers)} records are left in the log")
        expect(len(numbers) == len(set(numbers)), "a request took effect twice")


def test_F22_the_daemon_of_the_primary_and_of_the_front_end_is_killed_at_once():
    with Cluster(nodes=3) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        front = cluster.volume("v")["primary"]
        client = Client(cluster, cluster.attach("v", front))
        client.ask("reconnect")
        client.ask("start")
        kill_and_resume(cluster, client, front, 2)
        client.ask("check")
        cluster.wait_healthy("v")


def test_a_detached_volume_is_not_served_again():
    with Cluster(nodes=2) as cluster:
        cluster.create("v", "64MiB", 1)
        cluster.wait_healthy("v")
        cluster.attach("v", "node-1")
        expect(len(remembered(cluster, "node-1")) == 1, "an attachment is remembered")
        cluster.cli("detach", "v")
        expect(not remembered(cluster, "node-1"), f"left: {remembered(cluster, 'node-1')}")
        cluster.kill("node-1")
        cluster.start("node-1")
        cluster.wait_serving("v")
        expect(generation(cluster, "v") == [], "nothing is attached")
        Client(cluster, cluster.attach("v", "node-1")).ask("check")


def test_F22_a_daemon_that_is_stopped_for_an_update_serves_again_when_it_is_back():
    with Cluster(nodes=4) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        front = cluster.free_node("v")
        client = Client(cluster, cluster.attach("v", front))
        client.ask("reconnect")
        client.ask("start")
        client.wait_progress(200, 60)
        client.ask("stop")
        cluster.cli("cluster", "stop", front)
        cluster.start(front)
        client.ask("start")
        client.wait_progress(200, 60)
        client.ask("check")


def test_P164_the_position_outlives_the_daemon_and_a_log_that_lacks_it_is_an_error():
    """The disks of all replicas go back to an earlier moment while no daemon lives: what a power loss
    does to what was never flushed."""
    with Cluster(nodes=4) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        front = cluster.free_node("v")
        uri = cluster.attach("v", front)
        client = Client(cluster, uri)
        client.ask("reconnect")
        client.ask("start")
        client.wait_progress(100, 60)
        client.ask("stop")
        replicas = [replica["node"] for replica in cluster.volume("v")["replicas"]]
        for node in replicas:
            cluster.kill(node)
        kept = cluster.base / "kept"
        for node in replicas:
            shutil.copytree(cluster.dir / "pools" / node, kept / node)
        for node in replicas:
            cluster.start(node)
        client.ask("start")
        client.wait_progress(100, 60)
        client.ask("stop")
        client.close()
        for node in [*replicas, front]:
            cluster.kill(node)
        for node in replicas:
            shutil.rmtree(cluster.dir / "pools" / node)
            shutil.copytree(kept / node, cluster.dir / "pools" / node)
        for node in [*replicas, front]:
            cluster.start(node)
        cluster.wait_serving("v", 60)
        words = "import nbd,sys; h = nbd.NBD(); h.connect_uri(sys.argv[1]); h.pread(4096, 0)"
        read = run_program([NBD_PYTHON, "-c", words, uri], timeout=60)
        expect(read.code != 0 and "Input/output error" in read.err, lambda: f"not EIO: {read}")
        # It stays so, also for the next daemon; a new generation begins anew.
        cluster.kill(front)
        cluster.start(front)
        read = run_program([NBD_PYTHON, "-c", words, uri], timeout=60)
        expect(read.code != 0 and "Input/output error" in read.err, lambda: f"not EIO: {read}")
        cluster.cli("detach", "v")
        wait_for(lambda: not remembered(cluster, front), 10, "the file is gone")
        run_program([NBD_PYTHON, "-c", words, cluster.attach("v", front)], timeout=60, check=True)


if __name__ == "__main__":
    run(globals())
