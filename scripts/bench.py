#!/usr/bin/env python3
"""Measures Seawall, and with --peers other block stores beside it, on this machine.

Every system keeps what it acknowledges on the same disk; runs alternate between the systems row by row,
so that a machine that slows down slows all of them. Reported are medians with the spread, latencies,
and the CPU time of all server processes for each I/O. Absolute numbers of a shared machine move: below
25 % is no finding; compare the systems of one run.
"""

import argparse
import json
import os
import signal
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import bench_peers  # noqa: E402  (beside this file)
import bench_report  # noqa: E402

# (name, access, block size, queue depth)
ROWS = [
    ("4k write QD1", "randwrite", "4k", 1),
    ("4k write QD16", "randwrite", "4k", 16),
    ("4k write QD32", "randwrite", "4k", 32),
    ("4k read QD1", "randread", "4k", 1),
    ("4k read QD32", "randread", "4k", 32),
    ("1M write QD8", "write", "1m", 8),
]
TICKS = os.sysconf("SC_CLK_TCK")


def run(words, timeout=300, **more):
    words = [str(word) for word in words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False,
                          stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise SystemExit(f"`{' '.join(words)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def device_flushes(path):
    """Flush requests that the disk below `path` has completed; None where it has no such counter."""
    device = os.stat(path).st_dev
    try:
        fields = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    except OSError:
        return None
    return int(fields[15]) if len(fields) > 15 else None


def measured(system, row, measure):
    """Calls measure() and puts CPU and flushes beside what it says."""
    cpu, flushes = cpu_seconds(system.pids()), device_flushes(system.where)
    begin = time.monotonic()
    result = measure()
    took = time.monotonic() - begin
    ios = result.pop("total_ios")
    result["cpu_us_per_io"] = (cpu_seconds(system.pids()) - cpu) * 1e6 / max(ios, 1)
    if flushes is not None and "write" in row[0]:
        result["flushes_per_write"] = (device_flushes(system.where) - flushes) / max(ios, 1)
    result["took_s"] = round(took, 2)
    return result


class Seawall:
    """Our cluster; its two volumes are two systems, served in process or, for `nbd`, through fio."""

    def __init__(self, base, binaries, size):
        self.where, self.bin, self.size = base, binaries, size
        self.dir = base / "cluster"
        self.env = dict(os.environ, XDG_STATE_HOME=str(base / "state"))
        run([self.bin / "seawall", "cluster", "up", "--dir", self.dir, "--nodes", "3"], env=self.env)
        for name, words in (("durable", ["--policy", "all", "--write-cache", "none"]), ("default", [])):
            self.cli("volume", "create", name, "--size", size, "--replicas", "3", *words)
            self.wait_healthy(name)
            print(f"  filling {name}", file=sys.stderr)
            self.cli("bench", name, "--rw", "write", "--bs", "1m", "--iodepth", "8", "--fill")

    def cli(self, *words, timeout=300):
        return run([self.bin / "seawall", *words, "--dir", self.dir], timeout=timeout, env=self.env)

    def wait_healthy(self, name):
        deadline = time.monotonic() + 30
        while True:
            view = json.loads(self.cli("volume", "show", name, "--output", "json"))
            if view["health"] == "healthy" and view["serving"]:
                return view
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} is not healthy: {view['health']} {view['reason']}")
            time.sleep(0.05)

    def pids(self):
        status = json.loads(self.cli("cluster", "status", "--output", "json"))
        return [daemon["pid"] for daemon in status["daemons"] if daemon["pid"]]

    def bench(self, name, row, seconds):
        _, access, size, depth = row
        said = json.loads(self.cli("bench", name, "--rw", access, "--bs", size, "--iodepth", depth,
                                   "--runtime", seconds, "--ramp", "1", "--output", "json"))
        result = {key: said[key] for key in ("iops", "mb_per_s")}
        result.update({key: said["latency_us"][key] for key in ("p50", "p99", "p99_9")})
        result["total_ios"] = said["ios"] + said["ramp_ios"]
        return result

    def nbd(self, row, seconds):
        sock = self.where / "bench.nbd"
        self.cli("attach", "durable", "--frontend", "nbd", "--socket", sock)
        try:
            return fio(row, seconds, self.size,
                       ["--ioengine=nbd", f"--uri=nbd+unix:///durable?socket={sock}"])
        finally:
            self.cli("detach", "durable")

    def close(self):
        if (self.dir / "cluster.json").exists():
            self.cli("cluster", "down", "--destroy")


class Part:
    """One way to use a server: a column of the table."""

    def __init__(self, name, server, measure):
        self.name, self.server, self.measure = name, server, measure


def fio(row, seconds, size, target):
    _, access, block, depth = row
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "fio.json"
        run(["fio", "--name=row", "--time_based", f"--runtime={seconds}", "--ramp_time=1",
             "--randrepeat=0", f"--rw={access}", f"--bs={block}", f"--iodepth={depth}",
             f"--size={size}", "--output-format=json", f"--output={log}", *target])
        said = json.loads(log.read_text())["jobs"][0]
    part = said["write" if "write" in access else "read"]
    percentile = part["clat_ns"]["percentile"]
    return {"iops": part["iops"], "mb_per_s": part["bw_bytes"] / 1e6,
            "p50": percentile["50.000000"] / 1e3, "p99": percentile["99.000000"] / 1e3,
            "p99_9": percentile["99.900000"] / 1e3,
            "total_ios": part["total_ios"] * (seconds + 1) / seconds}


def round_trip_us():
    """A small message to another thread and back over TCP on loopback, blocking: median."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo():
        link, _ = listener.accept()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := link.recv(64):
            link.sendall(data)
    threading.Thread(target=echo, daemon=True).start()
    samples = []
    with socket.create_connection(listener.getsockname()) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2000):
            begin = time.perf_counter()
            link.sendall(b"x" * 64)
            link.recv(64)
            samples.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(samples)


def primitives(base):
    """What this disk and this loopback allow, for the words about limits. Write and flush at their 5th
    percentile: beside other work the rest is the time that a woken process waits for a core."""
    file = base / "primitive.raw"
    common = ["fio", "--name=p", f"--filename={file}", "--size=256M", "--direct=1", "--time_based",
              "--runtime=2", "--output-format=json"]
    run(["fio", "--name=prep", f"--filename={file}", "--size=256M", "--direct=1", "--rw=write",
         "--bs=1M", "--ioengine=psync", "--end_fsync=1"])

    def ask(*words):
        return json.loads(run([*common, *words]))["jobs"][0]
    write = ask("--rw=randwrite", "--bs=4k", "--ioengine=psync")["write"]
    both = ask("--rw=randwrite", "--bs=4k", "--ioengine=psync", "--fdatasync=1")
    read = ask("--rw=randread", "--bs=4k", "--ioengine=io_uring", "--iodepth=32")["read"]
    read1 = ask("--rw=randread", "--bs=4k", "--ioengine=psync")["read"]
    large = ask("--rw=write", "--bs=1M", "--ioengine=io_uring", "--iodepth=8")["write"]
    file.unlink()
    return {"write_us": write["clat_ns"]["percentile"]["5.000000"] / 1e3,
            "flush_us": both["sync"]["lat_ns"]["percentile"]["5.000000"] / 1e3,
            "read_qd1_iops": read1["iops"], "read_qd32_iops": read["iops"],
            "large_write_mb_per_s": large["bw_bytes"] / 1e6, "round_trip_us": round_trip_us()}


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("--peers", action="store_true", help="qemu-nbd and Ceph beside us")
    parser.add_argument("--runs", type=int, default=3, help="runs of each row (3)")
    parser.add_argument("--seconds", type=int, default=6, help="of each run (6)")
    parser.add_argument("--size", default="1GiB", help="of every volume (1GiB)")
    parser.add_argument("--rows", default="", help="only rows whose name holds one of these, by commas")
    parser.add_argument("--only", default="", help="only systems whose name holds one of these")
    parser.add_argument("--out", default=str(ROOT / "build" / "bench"), help="where results go")
    options = parser.parse_args()
    if options.runs < 1 or options.seconds < 1:
        parser.error("--runs and --seconds are at least 1")
    return options


def chosen(names, wanted):
    parts = [part for part in wanted.split(",") if part]
    return [n for n in names if not parts or any(part in n for part in parts)]


def measure_all(options, parts, rows):
    results = []
    for number in range(options.runs):
        for row in rows:
            for part in parts:
                result = measured(part.server, row,
                                  lambda p=part, r=row: p.measure(r, options.seconds))
                result.update({"system": part.name, "row": row[0], "run": number})
                results.append(result)
                print(f"  run {number + 1} of {options.runs}  {row[0]:14} {part.name:18}"
                      f"{result['iops']:9.0f} IOPS  p99 {result['p99']:8.0f} us", file=sys.stderr)
    return results


def main():
    options = parse()
    binaries = Path(os.environ.get("SEAWALL_BIN_DIR", ROOT / "build" / "bin"))
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="run-", dir=out))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    fio_size = options.size.replace("iB", "")
    servers = []
    try:
        limits = primitives(base)
        ours = Seawall(base, binaries, options.size)
        servers.append(ours)
        parts = [Part("seawall durable", ours, lambda r, s: ours.bench("durable", r, s)),
                 Part("seawall default", ours, lambda r, s: ours.bench("default", r, s))]
        if shutil.which("fio"):
            parts.append(Part("seawall nbd", ours, ours.nbd))
        if options.peers:
            for make in (bench_peers.QemuNbd, bench_peers.Ceph):
                if not chosen([make.name], options.only):
                    continue
                peer = make(base, fio_size)
                servers.append(peer)
                peer.up()
                parts.append(Part(peer.name, peer,
                                  lambda r, s, p=peer: fio(r, s, fio_size, p.target())))
        parts = [p for p in parts if p.name in chosen([p.name for p in parts], options.only)]
        wanted = chosen([row[0] for row in ROWS], options.rows)
        rows = [row for row in ROWS if row[0] in wanted]
        results = measure_all(options, parts, rows)
    finally:
        for server in reversed(servers):
            server.close()
        shutil.rmtree(base, ignore_errors=True)
    record = {"limits": limits, "runs": options.runs, "seconds": options.seconds, "results": results}
    (out / "results.json").write_text(json.dumps(record, indent=1))
    summary = bench_report.summarize(results)
    (out / "results.svg").write_text(bench_report.plot(summary))
    print(bench_report.table(summary))
    print(bench_report.words(summary, limits))
    print(f"raw results: {out}/results.json, plot: {out}/results.svg")


if __name__ == "__main__":
    main()
