"""seawall events over real daemons: the whole history, once, also over a restart of the controller."""

import json
import subprocess

from support import BIN, Cluster, expect, run, wait_for


def lines_of(cluster, *words):
    out = cluster.cli("events", *words, "--output", "json").out
    return [json.loads(line) for line in out.splitlines()]


def expect_gapless(events):
    last = {}
    for event in events:
        position = (event["epoch"], event["revision"])
        before = last.get(event["id"], (0, 0))
        expect(position[1] == before[1] + 1 and position[0] >= before[0], lambda: f"{before} {event}")
        last[event["id"]] = position


def test_E04_the_history_of_a_volume_is_told_from_its_first_change():
    with Cluster(nodes=3) as cluster:
        cluster.create("v", "64MiB", 3)
        cluster.wait_healthy("v")
        events = lines_of(cluster, "v")
        expect_gapless(events)
        expect(events[0]["type"] == "created" and "name=v" in events[0]["fields"], lambda: str(events))
        expect(any(event["type"] == "assigned" for event in events), lambda: str(events))
        newest = cluster.volume("v")
        expect(events[-1]["revision"] == newest["revision"], lambda: f"{events[-1]} {newest}")
        refused = cluster.cli("events", "nobody", check=False)
        expect(refused.code == 3 and "nobody" in refused.err, lambda: str(refused))


def test_E01_E03_who_follows_misses_nothing_while_the_controller_dies_and_returns():
    with Cluster(nodes=3) as cluster:
        cluster.create("v", "64MiB", 3)
        cluster.wait_healthy("v")
        path = cluster.dir / "followed"
        with open(path, "w") as out:
            follower = subprocess.Popen([BIN / "seawall", "events", "--follow", "--output", "json",
                                         "--dir", cluster.dir], stdout=out)
        try:
            def told():
                return [json.loads(line) for line in path.read_text().splitlines()]
            wait_for(lambda: any(event["type"] == "assigned" for event in told()), 20, "the history")
            cluster.kill("controller")
            cluster.start("controller")
            cluster.create("w", "64MiB", 2)
            cluster.kill(cluster.volume("v")["primary"])
            cluster.wait_serving("v")
            def complete():
                newest = {view: cluster.volume(view)["revision"] for view in ("v", "w")}
                heard = {event["volume"]: event["revision"] for event in told()}
                return heard == newest
            wait_for(complete, 30, "every change to be told")
            expect_gapless(told())
        finally:
            follower.kill()
            follower.wait()


if __name__ == "__main__":
    run(globals())
