"""Partitions: the suite runs in a network namespace of its own and cuts with iptables between the
loopback addresses of the daemons."""

import json
import os
import subprocess
import sys
import time

from support import Client, Cluster, Skip, expect, need, run, run_program

MARK = "SEAWALL_IN_NAMESPACE"


def enter_namespace():
    """Replaces this process by itself in a fresh network namespace with loopback up."""
    if os.environ.get(MARK) or os.geteuid() != 0:
        return
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        return
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                          sys.executable, *sys.argv])


def require_namespace():
    need("iptables", "ip", "unshare")
    if not os.environ.get(MARK):
        raise Skip("no network namespace can be made here (needs root)")


class Cut:
    """Drops every packet from one of `sources` to one of `targets` while it stands."""

    def __init__(self, sources, targets):
        self.rules = [["INPUT", "-s", s, "-d", t, "-j", "DROP"] for s in sources for t in targets]

    def __enter__(self):
        for rule in self.rules:
            run_program(["iptables", "-A", *rule], check=True)
        return self

    def __exit__(self, *_):
        for rule in self.rules:
            run_program(["iptables", "-D", *rule], check=True)


def hosts(cluster):
    return {name: cluster.host(name) for name in cluster.status()}


class Pair:
    """Both directions."""

    def __init__(self, a, b):
        self.cuts = [Cut(a, b), Cut(b, a)]

    def __enter__(self):
        for cut in self.cuts:
            cut.__enter__()

    def __exit__(self, *_):
        for cut in self.cuts:
            cut.__exit__()


def prepared(cluster, *more):
    require_namespace()
    cluster.create("v", "64MiB", 3, "--io-timeout", "120s", *more)
    return cluster.wait_healthy("v")


def others_of(table, name):
    return [host for other, host in table.items() if other != name]


def fail_over_behind(make_cut, expect_new_epoch=True):
    """A client on a fourth node goes on while the primary is cut off, and after it is back."""
    require_namespace()
    with Cluster(nodes=4) as cluster:
        view = prepared(cluster)
        table = hosts(cluster)
        primary = view["primary"]
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        client.wait_progress(200, 30)
        with make_cut([table[primary]], others_of(table, primary)):
            if expect_new_epoch:
                cluster.wait_volume(
                    "v", lambda v: v["serving"] and v["epoch"] > view["epoch"]
                    and v["primary"] != primary, 30, "another primary serves")
            client.wait_progress(500, 40)
            client.ask("check")
            client.ask("start")
        client.wait_progress(200, 40)
        cluster.wait_healthy("v")
        client.ask("check")


def test_F15_full_partition_of_the_primary_moves_the_volume():
    fail_over_behind(Pair)


def test_F15_primary_that_hears_but_is_not_heard_is_replaced():
    fail_over_behind(Cut)


def test_F15_primary_that_is_heard_but_hears_nothing_is_replaced():
    fail_over_behind(lambda one, rest: Cut(rest, one))


def test_F15_P165_controller_cut_off_from_a_healthy_primary_changes_nothing_for_clients():
    require_namespace()
    with Cluster(nodes=4) as cluster:
        view = prepared(cluster)
        table = hosts(cluster)
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        client.wait_progress(200, 30)
        with Pair([table["controller"]], others_of(table, "controller")):
            client.wait_progress(4000, 30)
        client.wait_progress(200, 30)
        cluster.wait_healthy("v")
        client.ask("check")


def test_F15_replica_cut_off_returns_by_catch_up():
    require_namespace()
    with Cluster(nodes=4) as cluster:
        view = prepared(cluster, "--log-size", "256MiB")
        table = hosts(cluster)
        replica = next(r["node"] for r in view["replicas"] if r["node"] != view["primary"])
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        with Pair([table[replica]], others_of(table, replica)):
            client.wait_progress(5000, 60)
        kinds = set()

        def healthy(now):
            kinds.update(r["session_kind"] for r in now["replicas"])
            return now["health"] == "healthy"
        cluster.wait_volume("v", healthy, 60, "the replica is back in sync")
        expect(not kinds & {"full", "delta"}, f"came back by {kinds}")
        after = client.ask("check")
        expect(after["written"] > 0, "nothing was written")


def test_F18_P50_clients_of_a_cut_off_primary_complete_nothing_and_nothing_of_theirs_is_lost():
    """The front end sits with the primary on the losing side; then its attachment is forced off and a
    second client goes on elsewhere: it finds all that the first had acknowledged."""
    require_namespace()
    with Cluster(nodes=4) as cluster:
        view = prepared(cluster)
        table = hosts(cluster)
        primary = view["primary"]
        client = Client(cluster, cluster.attach("v", primary))
        client.ask("start")
        client.wait_progress(500, 30)
        with Pair([table[primary]], others_of(table, primary)):
            cluster.wait_volume("v", lambda v: v["serving"] and v["epoch"] > view["epoch"], 30,
                                "the majority has a primary")
            before = client.completed()
            begin = time.monotonic()
            while time.monotonic() < begin + 2.0:
                time.sleep(0.1)
            expect(client.completed() == before, "the cut-off side completes requests")
            state = cluster.base / "first.json"
            state.write_text(json.dumps(client.ask("dump")))
            cluster.cli("detach", "v", "--force")
            other = next(r["node"] for r in view["replicas"] if r["node"] != primary)
            cluster.cli("attach", "v", "--frontend", "nbd", "--socket", cluster.base / "second.nbd",
                        "--node", other)
            second = Client(cluster, f"nbd+unix:///v?socket={cluster.base / 'second.nbd'}",
                            load=state)
            second.ask("check")
            second.ask("start")
            second.wait_progress(500, 30)
        client.close()
        second.wait_progress(200, 30)
        cluster.wait_healthy("v")
        second.ask("check")


def test_F15_flapping_partition_of_a_replica_never_stops_the_client():
    require_namespace()
    with Cluster(nodes=4) as cluster:
        view = prepared(cluster)
        table = hosts(cluster)
        replica = next(r["node"] for r in view["replicas"] if r["node"] != view["primary"])
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        for _ in range(6):
            with Pair([table[replica]], others_of(table, replica)):
                client.wait_progress(600, 30)
            client.wait_progress(600, 30)
        cluster.wait_healthy("v")
        client.ask("check")


if __name__ == "__main__":
    enter_namespace()
    run(globals())
