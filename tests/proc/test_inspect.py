"""seawall wal dump and verify on replicas of real daemons, whole and damaged."""

from support import CONFLICT, FAILED, NOT_FOUND, BIN, Client, Cluster, expect, run, run_program


def inspect(verb, directory, *words):
    return run_program([BIN / "seawall", "wal", verb, directory, "--output", "json", *words])


def written_replica(cluster, clean):
    """A replica with some hundred records whose daemon has stopped; its directory."""
    cluster.create("v", "64MiB", 1)
    cluster.wait_healthy("v")
    client = Client(cluster, cluster.attach("v", cluster.free_node("v")), rate=0)
    client.ask("start")
    client.wait_progress(1000, 30)
    client.ask("stop")
    view = cluster.volume("v")
    node = view["primary"]
    directory = next((cluster.dir / "pools" / node / "replicas").iterdir())
    busy = inspect("verify", directory)
    expect(busy.code == CONFLICT and "daemon" in busy.err, lambda: f"on a live log: {busy}")
    if clean:
        cluster.cli("cluster", "stop", node)
    else:
        cluster.kill(node)
    return directory, view["replicas"][0]["written"]


def test_a_clean_log_is_sound_and_dumps_every_record_in_order():
    with Cluster(nodes=2) as cluster:
        directory, written = written_replica(cluster, clean=True)
        result = inspect("verify", directory)
        expect(result.code == 0, lambda: str(result))
        said = result.json()
        expect(said["sound"] and said["super"]["clean"] and said["end"] >= written, lambda: str(said))
        dumped = inspect("dump", directory).json()
        lsns = [record["lsn"] for record in dumped["records"]]
        expect(lsns == list(range(lsns[0], said["end"] + 1)), f"lsns {lsns[:3]} to {lsns[-3:]}")
        kinds = {record["kind"] for record in dumped["records"]}
        expect("write" in kinds, f"kinds {kinds}")
        some = inspect("dump", directory, "--from", lsns[5], "--upto", lsns[8]).json()["records"]
        expect([record["lsn"] for record in some] == lsns[5:9], lambda: str(some))
        text = run_program([BIN / "seawall", "wal", "verify", directory], check=True).out
        expect(text.startswith("sound"), text)


def test_a_log_after_kill_9_is_sound_and_not_clean():
    with Cluster(nodes=2) as cluster:
        directory, _ = written_replica(cluster, clean=False)
        result = inspect("verify", directory)
        expect(result.code == 0 and not result.json()["super"]["clean"], lambda: str(result))


def test_one_changed_byte_of_a_flushed_record_is_damage():
    with Cluster(nodes=2) as cluster:
        directory, _ = written_replica(cluster, clean=True)
        records = inspect("dump", directory).json()["records"]
        victim = next(r for r in records[len(records) // 2:] if r["payload_offset"] is not None)
        path = directory / "log" / str(victim["slot"])
        with open(path, "r+b") as file:
            file.seek(victim["payload_offset"] + 100)
            byte = file.read(1)
            file.seek(victim["payload_offset"] + 100)
            file.write(bytes([byte[0] ^ 1]))
        result = inspect("verify", directory)
        expect(result.code == FAILED and not result.json()["sound"], lambda: str(result))
        expect(result.json()["findings"], "no finding names the place")


def test_one_rotten_super_slot_is_told_and_both_are_refused():
    with Cluster(nodes=2) as cluster:
        directory, _ = written_replica(cluster, clean=True)
        path = directory / "super"
        good = path.read_bytes()
        path.write_bytes(good[:100] + b"\xff" + good[101:])
        result = inspect("verify", directory)
        expect(result.code == FAILED and "bad" in result.json()["super"]["slots"], lambda: str(result))
        path.write_bytes(b"\0" * len(good))
        result = inspect("verify", directory)
        expect(result.code == FAILED and "super" in result.err, lambda: str(result))


def test_what_is_no_replica_is_not_found():
    result = run_program([BIN / "seawall", "wal", "dump", "/proc"])
    expect(result.code == NOT_FOUND and "super" in result.err, lambda: str(result))


if __name__ == "__main__":
    run(globals())
