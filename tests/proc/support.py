"""What the process suites share: a cluster of real daemons in a temporary directory, and the runner.

A suite is a program with functions test_ID_sentence(); run(globals()) runs them all, or those whose
name holds one of the words on the command line, prints one line each (PASS, FAIL or SKIP with the
reason) and exits 0 only if none failed. Waiting is always for a condition, with a deadline. Every
process that a test started is ended by the pid that was recorded for it.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("SEAWALL_BIN_DIR", ROOT / "build" / "bin"))
SEED = int(os.environ.get("SEAWALL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
# The Debian interpreter: the one that python3-libnbd belongs to.
NBD_PYTHON = "/usr/bin/python3"
MIB = 1 << 20
GIB = 1 << 30

DONE, FAILED, USAGE, NOT_FOUND, REFUSED, CONFLICT, UNREACHABLE, TIMED_OUT = range(8)
REFUSALS = (USAGE, NOT_FOUND, REFUSED, CONFLICT)


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


class Timeout(AssertionError):
    pass


def wait_for(condition, seconds, what):
    """Polls until condition() is true and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def gone(pid):
    """No such process, or only what its parent has not collected yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def expect(condition, what):
    if not condition:
        raise AssertionError(what() if callable(what) else what)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f"{program} is not installed")


class Result:
    def __init__(self, words, completed):
        self.words = words
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"`{' '.join(map(str, self.words))}` ended with {self.code}\n{self.out}{self.err}"


def run_program(words, timeout=60, check=False, **more):
    words = [str(word) for word in words]
    result = Result(words, subprocess.run(words, capture_output=True, text=True, timeout=timeout,
                                          stdin=subprocess.DEVNULL, **more))
    if check:
        expect(result.code == 0, lambda: str(result))
    return result


class Cluster:
    """A local cluster. Use it in a `with` block: its daemons are gone and its files removed at the end,
    except that a failing test keeps the logs when SEAWALL_KEEP is set."""

    def __init__(self, nodes=3, on_disk=False, up=True):
        parent = None if on_disk or not os.path.isdir("/dev/shm") else "/dev/shm"
        self.base = Path(tempfile.mkdtemp(prefix="swt-", dir=parent))
        self.dir = self.base / "c"
        self.nodes = nodes
        self.env = dict(os.environ, XDG_STATE_HOME=str(self.base / "state"))
        self.env.pop("SEAWALL_DIR", None)
        self.clients = []
        if up:
            try:
                self.up()
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind is not Skip:
            self.show_logs()
        self.close()

    # --- commands ---
    def cli(self, *words, check=True, timeout=60):
        return run_program([BIN / "seawall", *words, "--dir", self.dir], timeout=timeout,
                           check=check, env=self.env)

    def ask(self, *words, **more):
        return self.cli(*words, "--output", "json", **more).json()

    def up(self, *more):
        return self.cli("cluster", "up", "--nodes", self.nodes, *more)

    def create(self, name, size="64MiB", replicas=3, *more):
        self.cli("volume", "create", name, "--size", size, "--replicas", replicas, *more)

    def volume(self, name):
        return self.ask("volume", "show", name)

    def attach(self, name, node=None):
        """Serves the volume by NBD; returns the URI."""
        socket = self.base / f"{name}.nbd"
        words = ["attach", name, "--frontend", "nbd", "--socket", socket]
        self.cli(*words, *(["--node", node] if node else []))
        return f"nbd+unix:///{name}?socket={socket}"

    # --- processes ---
    def status(self):
        return {daemon["name"]: daemon for daemon in self.ask("cluster", "status")["daemons"]}

    def pid(self, name):
        return self.status()[name]["pid"]

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid(name)
        expect(pid is not None, f"{name} does not run")
        os.kill(pid, number)
        if number == signal.SIGKILL:  # it holds its port and locks until the kernel is done with it
            wait_for(lambda: gone(pid), 30, f"the end of {name}, pid {pid}")
        return pid

    def start(self, name, *more):
        return self.cli("cluster", "start", name, *more)

    def start_refused(self, name):
        """A start that must fail; its result."""
        result = self.cli("cluster", "start", name, check=False)
        expect(result.code not in (DONE, USAGE), lambda: f"it was started: {result}")
        return result

    def alive(self):
        """Names of the daemons that run."""
        return [name for name, daemon in self.status().items() if daemon["pid"] is not None]

    def host(self, name):
        return self.status()[name]["address"].rsplit(":", 1)[0]

    # --- waiting ---
    def wait_volume(self, name, condition, seconds, what):
        last = {}

        def probe():
            result = self.cli("volume", "show", name, "--output", "json", check=False)
            if result.code != DONE:
                last["view"] = str(result)
                return None
            last["view"] = view = result.json()
            return view if condition(view) else None
        return wait_for(probe, seconds, lambda: f"{what}; last seen: {json.dumps(last)}")

    def wait_healthy(self, name, seconds=60):
        return self.wait_volume(name, lambda v: v["health"] == "healthy" and v["serving"], seconds,
                                f"{name} is healthy")

    def wait_serving(self, name, seconds=30):
        return self.wait_volume(name, lambda v: v["serving"], seconds, f"{name} is served")

    def free_node(self, name):
        """A node that holds no replica of the volume: a front end there survives all kills."""
        used = {replica["node"] for replica in self.volume(name)["replicas"]}
        free = sorted(n for n in self.status() if n.startswith("node-") and n not in used)
        expect(free, f"every node holds a replica of {name}")
        return free[0]

    # --- end ---
    def show_logs(self):
        for log in sorted((self.dir / "logs").glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-15:]
            print(f"  --- {log.name}", *lines, sep="\n  ", file=sys.stderr)
        keep = os.environ.get("SEAWALL_KEEP")
        if keep:
            shutil.copytree(self.dir / "logs", Path(keep) / self.base.name, dirs_exist_ok=True)

    def close(self):
        for client in self.clients:
            client.close()
        if (self.dir / "cluster.json").exists():
            self.cli("cluster", "down", "--destroy", check=False, timeout=120)
        shutil.rmtree(self.base, ignore_errors=True)


class Client:
    """tests/proc/nbd_client.py as a process of its own: writes and reads stamped blocks through NBD and
    knows for each block what may be in it."""

    def __init__(self, cluster, uri, *, blocks=1024, depth=8, flush_every=64, rate=2000, load=None):
        words = [uri, blocks, depth, SEED, flush_every, rate, *([load] if load else [])]
        self.process = subprocess.Popen(
            [NBD_PYTHON, str(Path(__file__).with_name("nbd_client.py")), *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        cluster.clients.append(self)

    def ask(self, word, seconds=120):
        """start, stop, check, count, dump or quit; a dictionary answers."""
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = read_line(self.process, seconds)
        if not line:
            self.process.kill()
            raise AssertionError(f"the client ended: {self.process.communicate()[1]}")
        answer = json.loads(line)
        expect("error" not in answer, lambda: f"client: {answer}")
        return answer

    def completed(self):
        return self.ask("count")["completed"]

    def wait_progress(self, count, seconds):
        """Until so many more requests have completed."""
        goal = self.completed() + count
        wait_for(lambda: self.completed() >= goal, seconds, f"{count} more requests complete")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def read_line(process, seconds):
    """A line of its output, or "" at its end; Timeout when none comes."""
    import select
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    if not ready:
        raise Timeout(f"the client gave no answer within {seconds} s")
    return process.stdout.readline()


def run(names):
    wanted = sys.argv[1:]
    tests = [(name, test) for name, test in names.items() if name.startswith("test_")
             and (not wanted or any(word in name for word in wanted))]
    missing = [p for p in ("seawall", "seawall-controller", "seawall-node")
               if not (BIN / p).exists()]
    if missing:
        print(f"Skipped: {BIN} lacks {', '.join(missing)}")
        sys.exit(77)
    print(f"seed {SEED} (SEAWALL_SEED repeats it)")
    failed = skipped = 0
    for name, test in tests:
        begin = time.monotonic()
        try:
            test()
            verdict = "PASS"
        except Skip as reason:
            verdict, skipped = f"SKIP ({reason})", skipped + 1
        except Exception as error:  # any failure of one test leaves the others their turn
            verdict, failed = "FAIL", failed + 1
            kind = "" if isinstance(error, AssertionError) else traceback.format_exc()
            print(f"  {error}\n{kind}", file=sys.stderr)
        print(f"{verdict} {name[5:]} {time.monotonic() - begin:.1f} s", flush=True)
    print(f"{len(tests) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    if tests and skipped == len(tests):
        sys.exit(77)
    sys.exit(1 if failed or not tests else 0)
