"""Whatever users and strangers hand in: a typed error with a clear sentence, nothing half-made, and the
process lives."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support import (BIN, CONFLICT, FAILED, NOT_FOUND, REFUSALS, REFUSED, SEED, TIMED_OUT,
                     UNREACHABLE, USAGE, Client, Cluster, Skip, expect, run, run_program, wait_for)


def refused(result, codes, *parts):
    """One sentence on standard error with these parts, one of these exit codes, nothing printed."""
    codes = codes if isinstance(codes, tuple) else (codes,)
    expect(result.code in codes, lambda: f"exit code {result.code} is none of {codes}: {result}")
    for part in parts:
        expect(part.lower() in result.err.lower(), lambda: f"no {part!r} in: {result}")
    expect(result.out == "", lambda: f"standard output is not empty: {result}")


def names(cluster):
    return [volume["name"] for volume in cluster.ask("volume", "list")["volumes"]]


@contextlib.contextmanager
def untouched(cluster):
    """Every daemon is the same process as before, and the volumes are the same."""
    pids = {name: daemon["pid"] for name, daemon in cluster.status().items()}
    volumes = names(cluster)
    yield
    after = {name: daemon["pid"] for name, daemon in cluster.status().items()}
    expect(after == pids, f"daemons changed: {pids} became {after}")
    expect(names(cluster) == volumes, f"volumes changed: {volumes} became {names(cluster)}")


def test_bad_sizes_policies_and_counts_are_refused_by_name():
    with Cluster(nodes=3) as cluster, untouched(cluster):
        def create(*words):
            return cluster.cli("volume", "create", *words, check=False)
        refused(create("v", "--size", "0"), USAGE, "--size", "4KiB")
        refused(create("v", "--size", "4097"), USAGE, "4097", "8KiB")
        refused(create("v", "--size", "65TiB"), USAGE, "65TiB", "64TiB")
        refused(create("v", "--size", "lots"), USAGE, "lots", "10GiB")
        refused(create("v", "--size", "-4KiB"), USAGE, "-4KiB")
        refused(create("v", "--size", "1GiB", "--policy", "most"), USAGE, "most", "quorum")
        refused(create("v", "--size", "1GiB", "--write-cache", "no"), USAGE, "writeback, none")
        refused(create("v", "--size", "1GiB", "--replicas", "0"), USAGE, "1 to 7")
        refused(create("v", "--size", "1GiB", "--replicas", "8"), USAGE, "1 to 7")
        refused(create("v", "--size", "1GiB", "--replicas", "4"), REFUSALS, "4", "3")
        refused(create("v", "--size", "1GiB", "--policy", "in-sync", "--min-in-sync", "4"), REFUSALS,
                "4")
        refused(create("v", "--size", "1GiB", "--log-size", "1KiB"), REFUSALS, "log")
        refused(create("v", "--size", "1GiB", "--log-size", "2GiB"), REFUSALS, "log")


def test_bad_names_are_refused():
    with Cluster(nodes=1) as cluster, untouched(cluster):
        for name in ("", "../up", "a/b", "x" * 64, "space d", "caf\u00e9", ".", "..", "-x;rm"):
            words = ["volume", "create", "--size", "64MiB", "--replicas", "1", "--", name]
            result = run_program([BIN / "seawall", "--dir", cluster.dir, *words], env=cluster.env)
            refused(result, REFUSALS)


def test_what_is_not_there_is_not_found():
    with Cluster(nodes=1) as cluster, untouched(cluster):
        for words in (["volume", "show", "none"], ["volume", "delete", "none"], ["detach", "none"],
                      ["attach", "none", "--socket", cluster.base / "s"],
                      ["cluster", "start", "node-7"], ["cluster", "stop", "node-7"]):
            refused(cluster.cli(*words, check=False), NOT_FOUND, str(words[-1 if words[0] != "attach"
                                                                          else 1]))
        other = cluster.base / "nothing"
        result = run_program([BIN / "seawall", "volume", "list", "--dir", other], env=cluster.env)
        refused(result, NOT_FOUND, str(other))


def test_a_name_taken_and_a_node_unknown_are_refused():
    with Cluster(nodes=3) as cluster:
        cluster.create("v")
        with untouched(cluster):
            refused(cluster.cli("volume", "create", "v", "--size", "1GiB", check=False), CONFLICT, "v")
            refused(cluster.cli("attach", "v", "--socket", cluster.base / "s", "--node", "node-9",
                                check=False), NOT_FOUND, "node-9")


def test_attachments_are_exclusive_and_guard_their_volume():
    with Cluster(nodes=3) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        refused(cluster.cli("detach", "v", check=False), REFUSALS, "not attached")
        uri = cluster.attach("v", "node-1")
        client = Client(cluster, uri)
        client.ask("start")
        with untouched(cluster):
            refused(cluster.cli("attach", "v", "--socket", cluster.base / "b", "--node", "node-2",
                                check=False), (REFUSED, CONFLICT), "attached", "node-1")
            refused(cluster.cli("volume", "delete", "v", check=False), (REFUSED, CONFLICT),
                    "attached")
            client.wait_progress(100, 30)
        client.ask("check")
        client.close()
        cluster.cli("detach", "v")
        refused(cluster.cli("detach", "v", check=False), REFUSALS, "not attached")
        cluster.cli("volume", "delete", "v")
        expect(names(cluster) == [], "the volume is still listed")
        refused(cluster.cli("volume", "show", "v", check=False), NOT_FOUND, "v")
        left = [str(path) for path in (cluster.dir / "pools").glob("*/replicas/*")]
        expect(not left, f"files of the deleted volume are left: {left}")


def test_a_socket_path_that_cannot_be_served_is_refused():
    with Cluster(nodes=1) as cluster:
        cluster.create("v", "64MiB", 1)
        cluster.wait_healthy("v")
        with untouched(cluster):
            for path in (cluster.base / "no" / "such" / "dir.sock", cluster.base / ("x" * 120),
                         cluster.base):
                result = cluster.cli("attach", "v", "--socket", path, check=False)
                expect(result.code in (FAILED, *REFUSALS), lambda: str(result))
                expect(str(path) in result.err, lambda: f"the path is not named: {result}")
        cluster.attach("v")  # nothing of the refusals is left in its way


def node_words(cluster, **changes):
    network = cluster.status()["controller"]["address"].rsplit(".", 1)[0]
    words = {"name": "extra", "pool": cluster.base / "extra-pool", "data": f"{network}.250:7701",
             "controller": cluster.status()["controller"]["address"],
             "socket": cluster.base / "extra.sock", **changes}
    return [BIN / "seawall-node", "--insecure",
            *(part for name, value in words.items() for part in (f"--{name}", value))]


def ends_badly(words, *parts, timeout=20):
    result = run_program(words, timeout=timeout)
    expect(result.code not in (0, 134, 139, -6, -11), lambda: f"not a clean refusal: {result}")
    text = (result.out + result.err).lower()
    for part in parts:
        expect(str(part).lower() in text, lambda: f"no {part!r} in: {result}")


def test_a_pool_in_use_is_refused_to_a_second_daemon():
    with Cluster(nodes=1) as cluster, untouched(cluster):
        pool = cluster.status()["node-1"]["pool"]
        ends_badly(node_words(cluster, pool=pool), pool)


def test_a_pool_of_another_cluster_is_refused():
    with Cluster(nodes=1) as first:
        first.create("v", "64MiB", 1)
        first.wait_healthy("v")
        first.cli("cluster", "stop", "node-1")
        with Cluster(nodes=1) as second, untouched(second):
            pool = first.dir / "pools" / "node-1"
            before = sorted(str(path) for path in pool.rglob("*"))
            ends_badly(node_words(second, pool=pool, name="node-2"), "pool")
            third = Cluster(nodes=1, up=False)
            with third:  # under the name that the pool knows
                result = third.cli("cluster", "up", "--nodes", "1", "--pool-dir", pool.parent,
                                   "--timeout", "3s", check=False)
                refused(result, TIMED_OUT, "replicas of another cluster")
            expect(before == sorted(str(path) for path in pool.rglob("*")),
                   "the foreign pool was touched")
        first.start("node-1")
        first.wait_healthy("v")


def test_a_damaged_pool_json_is_refused_and_its_repair_is_enough():
    with Cluster(nodes=1) as cluster:
        cluster.create("v", "64MiB", 1)
        cluster.wait_healthy("v")
        path = Path(cluster.status()["node-1"]["pool"]) / "pool.json"
        good = path.read_bytes()
        cluster.cli("cluster", "stop", "node-1")
        for bad in (b"", b"{", b"garbage", b"[]", b"{}", good[:len(good) // 2], b"\0" * 4096,
                    good.replace(b"1", b"999", 1)):
            path.write_bytes(bad)
            result = cluster.start_refused("node-1")
            expect("pool.json" in result.err, lambda: f"{bad[:20]!r}: {result}")
        path.write_bytes(good)
        cluster.start("node-1")
        cluster.wait_healthy("v")


def test_a_port_in_use_is_refused():
    with Cluster(nodes=1, up=False) as cluster:
        network = f"127.{SEED % 200 + 20}.{SEED // 200 % 200 + 20}"
        with socket.socket() as taken:
            taken.bind((f"{network}.11", 7701))
            taken.listen()
            result = cluster.cli("cluster", "up", "--nodes", "1", "--base-address", f"{network}.0",
                                 check=False)
            refused(result, CONFLICT, f"{network}.11:7701", "in use")
            refused(cluster.cli("cluster", "status", check=False), NOT_FOUND)
        cluster.cli("cluster", "up", "--nodes", "1", "--base-address", f"{network}.0")
        address = cluster.status()["node-1"]["address"]
        with untouched(cluster):
            ends_badly(node_words(cluster, data=address), address)


def test_an_address_that_is_not_loopback_needs_security():
    with Cluster(nodes=1) as cluster, untouched(cluster):
        ends_badly(node_words(cluster, data="0.0.0.0:7701"), "0.0.0.0")
        ends_badly([BIN / "seawall-controller", "--dir", cluster.base / "x", "--listen",
                    "0.0.0.0:7700", "--insecure"], "0.0.0.0")


def test_bad_flags_end_the_daemons_with_usage():
    with tempfile.TemporaryDirectory() as scratch:
        for program in ("seawall-node", "seawall-controller"):
            for words in (["--nonsense"], [], ["--insecure"]):
                result = run_program([BIN / program, *words], cwd=scratch, timeout=20)
                expect(result.code == USAGE, lambda: str(result))
        expect(os.listdir(scratch) == [], "something was made")


def can_mount():
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise Skip("mounting needs root")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("no mount namespace can be made here")


def test_a_file_system_without_o_direct_is_refused():
    can_mount()
    with Cluster(nodes=1) as cluster, untouched(cluster):
        pool = cluster.base / "ramfs"
        pool.mkdir()
        inner = ["sh", "-c", 'mount -t ramfs none "$0" && exec "$@"', pool,
                 *node_words(cluster, pool=pool)]
        ends_badly(["unshare", "-m", *inner], "O_DIRECT")


@contextlib.contextmanager
def small_file_system(path, size):
    can_mount()
    path.mkdir()
    if run_program(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path]).code != 0:
        raise Skip("mounting is not allowed here")
    try:
        yield path
    finally:
        run_program(["umount", "-l", path])


def test_a_full_pool_refuses_the_volume_and_keeps_serving_the_others():
    with Cluster(nodes=1, up=False) as cluster, \
            small_file_system(cluster.base / "small", "320m") as pools:
        cluster.up("--pool-dir", pools)
        try:
            cluster.create("fits", "128MiB", 1, "--log-size", "64MiB")
            cluster.wait_healthy("fits")
            client = Client(cluster, cluster.attach("fits"))
            client.ask("start")
            with untouched(cluster):
                result = cluster.cli("volume", "create", "large", "--size", "16GiB", "--replicas", "1",
                                     "--log-size", "1GiB", check=False)
                refused(result, (FAILED, *REFUSALS), "space")
                client.wait_progress(200, 30)
            left = list((pools / "node-1" / "replicas").iterdir())
            expect(len(left) == 1, f"the refused volume left something: {left}")
            client.ask("check")
        finally:
            cluster.cli("cluster", "down", "--destroy", check=False)


def garbage(chance):
    yield b""
    yield b"\0"
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + chance.randbytes(200)
    yield b"SAWL" + chance.randbytes(60)
    yield b"SAWL\1\0" + b"\xff" * 4096
    yield b"\0\0\0\1IHAVEOPT" + b"\xff" * 64  # NBD option with a length near 4 GiB
    yield b"\0\0\0\3IHAVEOPT" + b"\0\0\0\7" + b"\0\0\0\6" + b"\0\0\0\0\0\0"
    yield b"\0\0\0\3" + b"\x25\x60\x95\x13" + b"\xff" * 24
    for _ in range(60):
        yield chance.randbytes(chance.randrange(1, 3000))


def throw_at(family, address, chance):
    for data in garbage(chance):
        with socket.socket(family) as link:
            link.settimeout(5)
            try:
                link.connect(address)
                link.sendall(data)
                if chance.random() < 0.5:
                    link.shutdown(socket.SHUT_WR)
                    link.settimeout(0.05)
                    link.recv(4096)
            except OSError:
                pass  # refused, reset or silent: all are fine for a stranger


def test_F26_garbage_on_every_socket_changes_nothing():
    chance = random.Random(SEED)
    with Cluster(nodes=3) as cluster:
        cluster.create("v")
        cluster.wait_healthy("v")
        client = Client(cluster, cluster.attach("v"))
        client.ask("start")
        status = cluster.status()
        with untouched(cluster):
            for daemon in status.values():
                host, port = daemon["address"].rsplit(":", 1)
                throw_at(socket.AF_INET, (host, int(port)), chance)
                if daemon["socket"]:
                    throw_at(socket.AF_UNIX, daemon["socket"], chance)
            throw_at(socket.AF_UNIX, str(cluster.base / "v.nbd"), chance)
            idle = []
            for daemon in status.values():  # half-open connections that never say anything
                host, port = daemon["address"].rsplit(":", 1)
                for _ in range(50):
                    idle.append(socket.create_connection((host, int(port)), timeout=5))
            client.wait_progress(500, 30)
            for link in idle:
                link.close()
            client.wait_progress(500, 30)
        view = cluster.wait_healthy("v")
        expect(view["epoch"] == 1 or view["serving"], "the volume does not serve")
        client.ask("check")


def test_the_controller_away_is_unreachable_within_its_time():
    with Cluster(nodes=1) as cluster:
        cluster.kill("controller")
        wait_for(lambda: cluster.status()["controller"]["pid"] is None, 10, "the controller is gone")
        refused(cluster.cli("volume", "list", "--timeout", "2s", check=False), UNREACHABLE,
                "cannot be reached")
        cluster.start("controller")
        cluster.cli("volume", "list")


def test_stale_pid_files_and_a_second_start_do_no_harm():
    with Cluster(nodes=1) as cluster:
        pid = cluster.pid("node-1")
        cluster.start("node-1")
        expect(cluster.pid("node-1") == pid, "a running daemon was started again")
        cluster.kill("node-1")
        wait_for(lambda: cluster.pid("node-1") is None, 10, "the status says stopped")
        # A pid file whose pid is somebody else's now: this process.
        files = list(cluster.base.rglob("node-1.pid"))
        run_directory = files[0].parent if files else None
        if run_directory is not None:
            words = files[0].read_text().split()
            files[0].write_text(f"{os.getpid()} {words[1]} {words[2]}\n")
        expect(cluster.pid("node-1") is None, "a foreign process was taken for ours")
        cluster.start("node-1")
        expect(cluster.pid("node-1") not in (None, pid, os.getpid()), "it was not started")


if __name__ == "__main__":
    run(globals())
