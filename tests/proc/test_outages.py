"""What is bigger than one daemon: the controller away, every node at once, a pause."""

import json
import os
import signal
import subprocess
import time

from support import BIN, Client, Cluster, expect, read_line, run, wait_for


def test_F19_io_goes_on_while_the_controller_is_dead():
    with Cluster(nodes=3) as cluster:
        cluster.create("v", "64MiB")
        cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v"))
        client.ask("start")
        client.wait_progress(200, 30)
        before = cluster.volume("v")
        cluster.kill("controller")
        client.wait_progress(3000, 30)
        cluster.start("controller")
        client.wait_progress(500, 30)
        after = cluster.wait_healthy("v")
        expect(after["epoch"] == before["epoch"],
               f"epoch {before['epoch']} became {after['epoch']} though nothing failed but the controller")
        client.ask("check")


def test_F19_P185_controller_killed_during_a_failover_ends_it_after_its_restart():
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB")
        cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        # At several moments of the failover: detection takes about 1.5 s, the rest is short.
        for delay in (0.0, 1.2, 1.5, 1.6, 1.8):
            client.wait_progress(100, 30)
            view = cluster.wait_healthy("v")
            pid = cluster.pid("controller")
            cluster.kill(view["primary"])
            begin = time.monotonic()
            while time.monotonic() < begin + delay:
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            cluster.start("controller")
            cluster.wait_volume("v", lambda v, e=view["epoch"]: v["serving"] and v["epoch"] > e, 30,
                                "the failover ended")
            client.wait_progress(100, 30)
            cluster.start(view["primary"])
        cluster.wait_healthy("v")
        client.ask("check")


def all_nodes(cluster):
    return [name for name in cluster.status() if name.startswith("node-")]


def all_killed(on_disk, write_cache):
    with Cluster(nodes=4, on_disk=on_disk) as cluster:
        cluster.create("v", "64MiB", 3, "--write-cache", write_cache)
        cluster.wait_healthy("v")
        front = cluster.free_node("v")
        client = Client(cluster, cluster.attach("v", front))
        client.ask("start")
        victims = [name for name in all_nodes(cluster) if name != front]
        for _ in range(3):
            client.wait_progress(300, 30)
            pids = [cluster.status()[name]["pid"] for name in victims]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            for name in victims:
                cluster.start(name, "--no-wait")
            client.wait_progress(100, 60)
            cluster.wait_healthy("v")
        client.ask("check")


def test_F24_all_replicas_killed_at_once_come_back_with_every_acknowledged_write():
    all_killed(on_disk=False, write_cache="writeback")


def test_F24_all_replicas_killed_at_once_with_pools_on_disk_and_no_cache():
    all_killed(on_disk=True, write_cache="none")


def test_F22_everything_killed_and_started_in_another_order():
    """The front end's node and the controller too: a new client finds all that was acknowledged."""
    with Cluster(nodes=3) as cluster:
        cluster.create("v", "64MiB")
        cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v"))
        client.ask("start")
        client.wait_progress(500, 30)
        client.ask("stop")
        state = cluster.base / "state.json"
        state.write_text(json.dumps(client.ask("dump")))
        names = list(cluster.status())
        pids = [cluster.status()[name]["pid"] for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        client.close()
        for name in reversed(names):
            cluster.start(name, "--no-wait")
        cluster.wait_serving("v", 60)
        again = Client(cluster, cluster.attach("v"), load=state)
        checked = again.ask("check")
        expect(checked["written"] > 100, f"too little was written: {checked}")
        cluster.wait_healthy("v")


def wait_standstill(client, still, seconds):
    """Until nothing has completed for `still` seconds."""
    seen = {"count": client.completed(), "since": time.monotonic()}

    def stands():
        count = client.completed()
        if count != seen["count"]:
            seen.update(count=count, since=time.monotonic())
        return time.monotonic() >= seen["since"] + still
    wait_for(stands, seconds, "nothing completes with one copy of three")


def test_F23_two_of_three_down_hold_io_and_the_return_of_one_frees_it():
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB", 3, "--io-timeout", "120s")
        cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        client.wait_progress(300, 30)
        view = cluster.volume("v")
        down = [replica["node"] for replica in view["replicas"] if replica["node"] != view["primary"]]
        for name in down:
            cluster.kill(name)
        # At most what was under way completes; then it stands still, with requests that wait.
        cluster.wait_volume("v", lambda v: v["health"] == "unavailable", 30, "unavailable")
        wait_standstill(client, 2.0, 30)
        cluster.start(down[0], "--no-wait")
        client.wait_progress(200, 60)
        cluster.start(down[1])
        cluster.wait_healthy("v")
        client.ask("check")


def test_F16_a_paused_primary_completes_nothing_after_its_successor():
    with Cluster(nodes=4) as cluster:
        cluster.create("v", "64MiB")
        view = cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v", cluster.free_node("v")))
        client.ask("start")
        client.wait_progress(200, 30)
        pid = cluster.kill(view["primary"], signal.SIGSTOP)
        try:
            cluster.wait_volume("v", lambda v: v["serving"] and v["epoch"] > view["epoch"], 30,
                                "another primary serves")
            client.wait_progress(200, 30)
        finally:
            os.kill(pid, signal.SIGCONT)
        client.wait_progress(200, 30)
        cluster.wait_healthy("v")
        client.ask("check")


def test_exit_codes_and_watch_tell_healthy_degraded_and_unavailable():
    with Cluster(nodes=3) as cluster:
        cluster.create("v", "64MiB")
        cluster.wait_healthy("v")

        def codes():
            return (cluster.cli("volume", "show", "v", "--check", check=False).code,
                    cluster.cli("cluster", "status", "--check", check=False).code)
        expect(codes() == (0, 0), lambda: f"healthy: {codes()}")
        watch = subprocess.Popen([BIN / "seawall", "watch", "--dir", cluster.dir], env=cluster.env,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            expect("v healthy epoch 1" in read_line(watch, 10), "watch does not begin with the volume")
            replica = next(r["node"] for r in cluster.volume("v")["replicas"] if r["role"] != "primary")
            cluster.kill(replica)
            wait_for(lambda: "v degraded" in read_line(watch, 10), 20, "watch tells of the loss")
            wait_for(lambda: codes() == (10, 10), 20, lambda: f"degraded: {codes()}")
            shown = cluster.cli("watch", "--once").out
            expect("degraded" in shown and replica in shown, shown)
            primary = cluster.volume("v")["primary"]
            cluster.kill(primary)
            wait_for(lambda: codes() == (11, 10), 20, lambda: f"unavailable: {codes()}")
        finally:
            watch.terminate()
            watch.communicate()
        cluster.start(primary, "--no-wait")
        cluster.start(replica)
        cluster.wait_healthy("v")
        expect(codes() == (0, 0), lambda: f"healthy again: {codes()}")


if __name__ == "__main__":
    run(globals())
