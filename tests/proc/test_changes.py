"""Changes of the configuration under load: replicas replaced, added and removed, policies, write caches."""

import json
import subprocess

from support import DONE, NOT_FOUND, REFUSALS, Client, Cluster, expect, need, run, wait_for


def nodes_of(view):
    return {replica["node"] for replica in view["replicas"]}


def directories(cluster, node):
    replicas = cluster.dir / "pools" / node / "replicas"
    return sorted(entry.name for entry in replicas.iterdir()) if replicas.exists() else []


def change(cluster, *words, seconds=120):
    return cluster.ask(*words, "--wait", timeout=seconds)


def wait_clean(cluster, name, nodes):
    """Every directory that is left belongs to a replica of the volume."""
    def clean():
        view = cluster.volume(name)
        held = {node for node in nodes if directories(cluster, node)}
        return view["change"] is None and held == nodes_of(view)
    wait_for(clean, 30, lambda: f"what was removed is gone: {json.dumps(cluster.volume(name))}")


def followers(view):
    return [r["node"] for r in view["replicas"] if r["node"] != view["primary"]]


def all_nodes(cluster):
    return sorted(name for name in cluster.status() if name.startswith("node-"))


def test_P36_P175_the_replica_of_a_dead_node_is_replaced_under_fio_verify():
    need("fio")
    with Cluster(nodes=5) as cluster:
        cluster.create("v", "256MiB", 3)
        view = cluster.wait_healthy("v")
        front = next(n for n in all_nodes(cluster) if n not in nodes_of(view))
        uri = cluster.attach("v", front)
        log = cluster.base / "fio.json"
        fio = subprocess.Popen(
            ["fio", "--name=job", "--ioengine=nbd", f"--uri={uri}", "--output-format=json",
             f"--output={log}", "--verify_state_save=0", "--rw=randwrite", "--bs=4k",
             "--size=64M", "--io_size=96M", "--iodepth=8", "--fsync=64", "--rate_iops=2000",
             "--verify=crc32c", "--verify_fatal=1", "--do_verify=1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            cluster.wait_volume("v", lambda v: v["replicas"][0]["written"] > 2000, 30, "fio writes")
            dead = followers(view)[0]
            cluster.kill(dead)
            after = change(cluster, "replica", "replace", "v", "--node", dead)
            expect(dead not in nodes_of(after) and len(after["configuration"]["members"]) == 3,
                   lambda: str(after))
            expect(fio.poll() is None, "fio had ended before the replacement")
            fio.wait(timeout=120)
        finally:
            if fio.poll() is None:
                fio.kill()
                fio.wait()
        job = json.loads(log.read_text())["jobs"][0]
        expect(fio.returncode == 0 and job["error"] == 0 and job["read"]["total_ios"] > 0,
               f"fio: {fio.returncode}, error {job['error']}")
        cluster.wait_healthy("v")
        expect(directories(cluster, dead), "its files are there while its node is down")
        cluster.start(dead)
        wait_clean(cluster, "v", all_nodes(cluster))


def test_P39_three_two_three_replicas_under_load():
    with Cluster(nodes=5) as cluster:
        cluster.create("v", "64MiB", 3)
        view = cluster.wait_healthy("v")
        front = next(n for n in all_nodes(cluster) if n not in nodes_of(view))
        client = Client(cluster, cluster.attach("v", front))
        client.ask("start")
        for count in (2, 3, 1, 3):
            client.wait_progress(500, 30)
            view = change(cluster, "volume", "change", "v", "--replicas", count)
            expect(len(view["configuration"]["members"]) == count, lambda: str(view))
            client.wait_progress(500, 30)
            wait_clean(cluster, "v", all_nodes(cluster))
            cluster.wait_healthy("v")
        # The newcomers carry the volume alone.
        view = cluster.volume("v")
        cluster.kill(view["primary"])
        client.wait_progress(500, 60)
        client.ask("check")


def test_P158_policies_and_write_caches_change_under_load():
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB", 3)
        cluster.wait_healthy("v")
        front = cluster.free_node("v")
        client = Client(cluster, cluster.attach("v", front))
        client.ask("start")
        for policy, cache, least in (("in-sync", "none", 2), ("all", "none", 3),
                                     ("best-effort", "writeback", 1), ("quorum", "none", 1),
                                     ("quorum", "writeback", 1)):
            client.wait_progress(200, 30)
            view = change(cluster, "volume", "change", "v", "--policy", policy, "--write-cache", cache)
            config = view["configuration"]
            expect(config["write_cache"] == cache and config["min_in_sync"] == least,
                   lambda: str(config))
            client.wait_progress(200, 30)
            killed = cluster.volume("v")["primary"]
            cluster.kill(killed)
            if policy != "all":  # which waits for every copy
                client.wait_progress(200, 60)
            cluster.start(killed)
            client.wait_progress(200, 60)
            cluster.wait_healthy("v")
        client.ask("check")


def test_the_primary_hands_over_before_its_replica_goes():
    with Cluster(nodes=5) as cluster:
        cluster.create("v", "64MiB", 3)
        view = cluster.wait_healthy("v")
        front = next(n for n in all_nodes(cluster) if n not in nodes_of(view))
        client = Client(cluster, cluster.attach("v", front))
        client.ask("start")
        for _ in range(2):
            client.wait_progress(300, 30)
            leaving = cluster.volume("v")["primary"]
            view = change(cluster, "replica", "replace", "v", "--node", leaving)
            expect(leaving not in nodes_of(view), lambda: str(view))
            client.wait_progress(300, 30)
            wait_clean(cluster, "v", all_nodes(cluster))
        client.ask("check")


def test_a_drained_node_keeps_no_replica():
    with Cluster(nodes=4) as cluster:
        for name, replicas in (("a", 3), ("b", 2), ("c", 1)):
            cluster.create(name, "64MiB", replicas)
            cluster.wait_healthy(name)
        node = cluster.volume("a")["primary"]
        result = cluster.cli("node", "drain", node)
        expect("changing to 3 replicas" in result.out, lambda: str(result))
        for name in ("a", "b", "c"):
            cluster.wait_volume(name, lambda v: v["change"] is None and node not in nodes_of(v), 60,
                                f"{name} has left {node}")
        wait_for(lambda: not directories(cluster, node), 30, "the directories on it go")
        again = cluster.cli("node", "drain", node)
        expect("holds no replica" in again.out, lambda: str(again))
        unknown = cluster.cli("node", "drain", "node-9", check=False)
        expect(unknown.code == NOT_FOUND, lambda: str(unknown))


def test_P177_a_replica_whose_directory_is_gone_never_returns_under_its_id():
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB", 3)
        view = cluster.wait_healthy("v")
        victim = followers(view)[0]
        lost = next(r["id"] for r in view["replicas"] if r["node"] == victim)
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        client.wait_progress(500, 30)
        cluster.kill(victim)
        replicas = cluster.dir / "pools" / victim / "replicas"
        for entry in list(replicas.iterdir()):
            subprocess.run(["rm", "-rf", str(entry)], check=True)
        cluster.start(victim)
        client.wait_progress(500, 30)
        expect(not directories(cluster, victim), "the lost replica was made anew under its id")
        # Nobody asked: after half a minute a new one, elsewhere, takes its place.
        after = cluster.wait_volume(
            "v", lambda v: v["change"] is None and lost not in v["configuration"]["members"], 120,
            "the lost replica is replaced")
        expect(victim not in nodes_of(after), lambda: str(after))
        cluster.wait_healthy("v")
        client.ask("check")


def test_P14_changes_that_cannot_be_are_refused_by_name():
    with Cluster(nodes=3) as cluster:
        cluster.create("v", "64MiB", 3)
        cluster.wait_healthy("v")
        before = cluster.volume("v")["revision"]
        for words, field in ((("volume", "change", "v", "--replicas", "4"), "replicas"),
                             (("volume", "change", "v", "--min-in-sync", "2"), "min_in_sync"),
                             (("volume", "change", "v"), "change"),
                             (("replica", "replace", "v", "--node", "node-9"), "node"),
                             (("replica", "replace", "v", "--node", "node-1", "--to", "node-2"), "to")):
            result = cluster.cli(*words, "--output", "json", check=False)
            expect(result.code in REFUSALS and field in result.err, lambda: str(result))
        result = cluster.cli("volume", "change", "w", "--replicas", "2", check=False)
        expect(result.code == NOT_FOUND, lambda: str(result))
        same = cluster.cli("volume", "change", "v", "--policy", "quorum", "--wait", check=False)
        expect(same.code == DONE, lambda: str(same))
        expect(cluster.volume("v")["revision"] == before, "a refused or empty change was committed")
        # No node is free: the wish is refused, nothing half-made stays.
        result = cluster.cli("replica", "replace", "v", "--node", "node-3", check=False)
        expect(result.code in REFUSALS, lambda: str(result))
        expect(all(len(directories(cluster, n)) == 1 for n in all_nodes(cluster)), "left-overs")


if __name__ == "__main__":
    run(globals())
