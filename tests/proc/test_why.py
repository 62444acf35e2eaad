"""`seawall why` in each state of a volume: daemons are killed, disks filled, stores exchanged, and what it
says is read. Codes are asserted, sentences only for the names that they must hold."""

import os
import shutil
import signal
from pathlib import Path

from support import DONE, Cluster, expect, run, wait_for
from test_bad_input import small_file_system

DEGRADED, UNAVAILABLE = 10, 11


class Why:
    def __init__(self, result):
        self.code = result.code
        self.result = result
        self.json = result.json()
        self.state = self.json["state"]
        self.codes = [fact["code"] for fact in self.json["chain"]]
        self.actions = [action["code"] for action in self.json["actions"]]
        self.commands = [action["command"] for action in self.json["actions"] if action["command"]]

    def fact(self, code):
        return next((fact for fact in self.json["chain"] if fact["code"] == code), None)

    def message(self, code):
        return " / ".join(fact["message"] for fact in self.json["chain"] if fact["code"] == code)


def why(cluster, name="v"):
    return Why(cluster.cli("why", name, "--output", "json", check=False))


def wait_why(cluster, condition, what, seconds=30):
    last = {}

    def probe():
        answer = cluster.cli("why", "v", "--output", "json", check=False)
        last["said"] = str(answer)
        if answer.code not in (DONE, DEGRADED, UNAVAILABLE):
            return None
        said = Why(answer)
        return said if condition(said) else None
    return wait_for(probe, seconds, lambda: f"{what}; last: {last}")


def replicas_of(cluster, name="v"):
    """The primary's node, and the others, by name."""
    view = cluster.volume(name)
    others = sorted(r["node"] for r in view["replicas"] if r["node"] != view["primary"])
    return view["primary"], others


def test_P155_a_volume_that_is_not_there_and_one_with_nothing_wrong():
    with Cluster(nodes=3) as cluster:
        expect(cluster.cli("why", "v", check=False).code == 3, "a stranger is explained")
        cluster.create("v")
        cluster.wait_healthy("v")
        said = why(cluster)
        expect((said.code, said.state, said.actions) == (DONE, "healthy", []), str(said.result))
        expect(said.codes == ["volume_healthy", "primary_serving"], str(said.codes))
        text = cluster.cli("why", "v").out
        expect(text.startswith("HEALTHY  v  quorum 2 of 3, 3 count") and "nothing is wrong" in text
               and "nothing is to be done" in text, text)


def test_P154_each_loss_is_named_with_its_time_and_its_cure_until_all_are_back():
    with Cluster(nodes=3) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        primary, (second, third) = replicas_of(cluster)
        cluster.kill(third)
        said = wait_why(cluster, lambda s: s.state == "degraded" and
                        "silent" in s.message("copy_unreachable"), "one is lost")
        expect(said.code == DEGRADED, str(said.result))
        lost = said.fact("copy_unreachable")
        expect(third in lost["message"] and "silent" in lost["message"], str(said.result))
        expect(lost["since_ms"] >= 1000, f"since when: {lost}")
        expect(f"seawall replica replace v --node {third}" in said.commands, str(said.result))
        expect("one more loss stops it" in said.json["headline"], str(said.result))
        later = wait_why(cluster, lambda s: s.fact("copy_unreachable")["since_ms"] >
                         lost["since_ms"], "time passes")
        expect(later.state == "degraded", str(later.result))

        cluster.kill(second)
        said = wait_why(cluster, lambda s: s.state == "unavailable" and
                        s.message("copy_unreachable").count("silent") == 2, "two are lost")
        expect(said.code == UNAVAILABLE, str(said.result))
        silent = said.message("copy_unreachable")
        expect(second in silent and third in silent, str(said.result))
        expect("I/O waits" in said.json["headline"], str(said.result))

        cluster.kill(primary)
        said = wait_why(cluster, lambda s: "too few replicas could replace it" in
                        s.message("volume_unavailable"), "the primary is lost")
        expect("primary_unreachable" in said.codes, str(said.result))

        for name in (primary, second, third):
            cluster.start(name, "--no-wait")
        said = wait_why(cluster, lambda s: s.state == "healthy", "all are back", 60)
        expect(said.actions == [], str(said.result))


def test_votes_that_lack_are_named_with_their_reasons():
    with Cluster(nodes=4) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        front = cluster.free_node("v")
        cluster.attach("v", front)
        primary, (second, third) = replicas_of(cluster)
        cluster.kill(primary)
        cluster.kill(second)
        # A forced detach needs a new epoch, whoever may answer.
        cluster.cli("detach", "v", "--force", "--timeout", "2s", check=False)
        said = wait_why(cluster, lambda s: "votes_missing" in s.codes, "votes are missing")
        expect(said.state == "unavailable", str(said.result))
        expect(said.fact("votes_missing")["facts"] == {"reported": 1, "needed": 2} or
               said.fact("votes_missing")["facts"]["reported"] == 0, str(said.result))
        said = wait_why(cluster, lambda s: "vote_counts" in s.codes, "one has reported")
        expect(third in said.message("vote_counts"), str(said.result))
        missing = said.message("vote_missing")
        expect(primary in missing and second in missing and "silent" in missing, str(said.result))
        expect(any(c.startswith(f"seawall volume force v --members {third}") for c in said.commands),
               str(said.result))
        cluster.start(second, "--no-wait")
        wait_why(cluster, lambda s: s.state == "degraded", "a majority is back", 60)
        cluster.start(primary, "--no-wait")
        wait_why(cluster, lambda s: s.state == "healthy", "all are back", 60)


def test_P153_a_controller_that_has_heard_nothing_yet_says_so():
    with Cluster(nodes=3) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        pids = [cluster.pid(name) for name in replicas_of(cluster)[1]]
        pids.append(cluster.pid(replicas_of(cluster)[0]))
        cluster.kill("controller")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            cluster.start("controller", "--no-wait")
            said = wait_why(cluster, lambda s: s.state == "unavailable", "no node speaks")
            expect(said.code == UNAVAILABLE, str(said.result))
            expect(any(code.startswith("primary_") and code != "primary_serving"
                       for code in said.codes), str(said.result))
            expect(len([code for code in said.codes if code.startswith("copy_")]) >= 2,
                   str(said.result))
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait_why(cluster, lambda s: s.state == "healthy", "they speak again", 60)


def replica_directory(cluster, node, name):
    """Where that node keeps its replica of the volume."""
    replica = next(r["id"] for r in cluster.volume(name)["replicas"] if r["node"] == node)
    return cluster.dir / "pools" / node / "replicas" / str(replica)


def test_P127_what_was_given_up_is_shown_and_comes_back_by_the_operators_word():
    with Cluster(nodes=3) as cluster:
        for name in ("v", "w"):
            cluster.create(name)
            cluster.wait_healthy(name)
        _, (_, victim) = replicas_of(cluster)
        mine, foreign = (replica_directory(cluster, victim, name) for name in ("v", "w"))
        cluster.kill(victim)
        kept = cluster.base / "kept"
        shutil.copytree(mine, kept)
        shutil.copytree(foreign, mine, dirs_exist_ok=True,  # another volume's bytes under its name
                        ignore=shutil.ignore_patterns("*.json"))
        cluster.start(victim, "--no-wait")
        said = wait_why(cluster, lambda s: "copy_terminal" in s.codes, "it is given up", 60)
        expect(said.state == "degraded", str(said.result))
        expect(victim in said.message("copy_terminal"), str(said.result))
        expect("failure_store_failed" in said.codes, str(said.result))
        retry = f"seawall replica retry v --node {victim}"
        expect(retry in said.commands, str(said.result))
        shown = cluster.volume("v")
        history = next(r["failures"] for r in shown["replicas"] if r["node"] == victim)
        expect(history and history[-1]["action"] == "terminal", str(shown))
        wait_for(lambda: "replica_failing" in cluster.cli("events", "v").out, 20, "an event")

        shutil.copytree(kept, mine, dirs_exist_ok=True)
        cluster.cli("replica", "retry", "v", "--node", victim, "--wait", timeout=120)
        said = wait_why(cluster, lambda s: s.state == "healthy", "it is back", 60)
        expect(said.actions == [], str(said.result))
        wait_for(lambda: "replica_mended" in cluster.cli("events", "v").out, 20, "its end")
        expect("retrying" in cluster.cli("events", "v").out, "the word is not in the history")


def test_a_full_disk_is_said_before_anything_fails():
    with Cluster(nodes=1, up=False) as cluster, \
            small_file_system(cluster.base / "small", "320m") as pools:
        cluster.up("--pool-dir", pools)
        try:
            cluster.create("v", "64MiB", 1, "--log-size", "64MiB")
            cluster.wait_healthy("v")
            expect("pool_full" not in why(cluster).codes, str(why(cluster).result))
            filler = Path(pools) / "filler"
            free = os.statvfs(pools)
            with open(filler, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - (2 << 20))
            said = wait_why(cluster, lambda s: "pool_full" in s.codes, "the full disk is told")
            expect("free_space" in said.actions and "node-1" in said.message("pool_full"),
                   str(said.result))
            filler.unlink()
            wait_why(cluster, lambda s: "pool_full" not in s.codes, "there is room again")
        finally:
            cluster.cli("cluster", "down", "--destroy", check=False, timeout=120)


if __name__ == "__main__":
    run(globals())
