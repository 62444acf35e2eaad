"""A run of the simulator is a function of its seed, whatever the process finds around it.

usage: perturb.py run SIM [REPEATS]      each case, REPEATS (100) times, each time disturbed otherwise
       perturb.py canary SIM             a planted dependence on addresses must be found and named
       perturb.py compare SEED ONE OTHER names the first event in which two programs differ

Disturbed are: the layout of addresses, the allocator (arenas, what fresh memory holds, when it maps),
the environment and its size, time zone and locale, the number of CPUs, the directory, and who reads
the output (nobody, a file, a slow reader), and the wall clock, which jumps by an hour at every look.
Optimization, compilers and sanitizers: compilers.sh.
"""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

REPEATS = 100
# Small runs that differ in kind: one volume and several, every policy, faults of disks, none at all.
CASES = {
    "faults of a swarm": ["--seed", "3", "--chaos-ms", "2000"],
    "several volumes": ["--seed", "12", "--chaos-ms", "2000"],
    "disks that fail": ["--seed", "21", "--chaos-ms", "2000", "--with", "flush-error,write-error,slow-disk"],
    "controllers": ["--seed", "8", "--chaos-ms", "2000", "--with", "controller-rival,lost-replies"],
    "no fault": ["--seed", "5", "--no-faults", "--chaos-ms", "2000"],
}


HERE = pathlib.Path(__file__).resolve().parent
JUMPING_CLOCK = pathlib.Path(tempfile.mkdtemp()) / "jumping_clock.so"


def disturbance(number):
    """A way to start the program: words before it, environment, directory, how its output is read."""
    draw = random.Random(number)
    environment = {"PATH": os.environ["PATH"]}
    words = []
    if draw.random() < 0.5:
        words += ["setarch", "-R"]  # no randomization of addresses
    if draw.random() < 0.5:
        words += ["taskset", "-c", "0"]
    if draw.random() < 0.5:
        environment["MALLOC_PERTURB_"] = str(draw.randrange(1, 256))
    if draw.random() < 0.3:
        environment["GLIBC_TUNABLES"] = draw.choice([
            "glibc.malloc.tcache_count=0", "glibc.malloc.mmap_threshold=65536",
            "glibc.malloc.top_pad=1048576"])
    environment["TZ"] = draw.choice(["UTC", "Pacific/Kiritimati", "America/St_Johns", ":bad"])
    environment["LC_ALL"] = draw.choice(["C", "C.UTF-8", "tr_TR.UTF-8", "nowhere"])
    if draw.random() < 0.4:
        environment["LD_PRELOAD"] = str(JUMPING_CLOCK)
    for i in range(draw.randrange(20)):
        environment[f"FILLER_{i}"] = "x" * draw.randrange(2000)
    directory = draw.choice(["/", "/dev/shm", tempfile.gettempdir()])
    return words, environment, directory, draw.choice(["pipe", "file", "slow", "closed"])


def read_slowly(process):
    chunks = []
    while chunk := process.stdout.read(64):
        chunks.append(chunk)
        time.sleep(0.002)
    return b"".join(chunks)


def hash_of(sim, arguments, number, scratch):
    words, environment, directory, output = disturbance(number)
    # What the trace was is also left in a file: the reader of the output may be gone.
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    command = words + [sim, *arguments, "--seeds", "1", "--report", str(report)]
    how = {"env": environment, "cwd": directory, "stderr": subprocess.DEVNULL}
    if output == "closed":
        status = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], check=False,
                                **how).returncode
    elif output == "file":
        with open(scratch / "out", "wb") as out:
            status = subprocess.run(command, stdout=out, check=False, **how).returncode
    else:
        with subprocess.Popen(command, stdout=subprocess.PIPE, **how) as process:
            read_slowly(process) if output == "slow" else process.stdout.read()
        status = process.returncode
    if status != 0:
        return f"exit status {status}"
    return re.search(r'"hash": "(\d+)"', report.read_text())[1]


def first_difference(one, other):
    """Of two commands (words, environment): the first line of their traces that differs."""
    texts = [subprocess.run(words, env=environment, capture_output=True, text=True,
                            check=False).stdout.splitlines() for words, environment in (one, other)]
    for number, (a, b) in enumerate(zip(*texts)):
        if a != b:
            return f"line {number + 1}: [{a}] and [{b}]"
    if len(texts[0]) != len(texts[1]):
        return f"one ends after {min(map(len, texts))} lines"
    return ""


def traced(sim, arguments, number):
    words, environment, _, _ = disturbance(number)
    return words + [sim, *arguments, "--seeds", "1", "--trace"], environment


def C01_disturbed_runs_of_a_seed_have_one_hash(sim, repeats):
    bad = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, arguments in CASES.items():
            hashes = {}
            for number in range(repeats):
                hashes.setdefault(hash_of(sim, arguments, number, pathlib.Path(directory)),
                                  []).append(number)
            print(f"{name}: {repeats} runs, {len(hashes)} hash(es)", flush=True)
            if len(hashes) == 1 and next(iter(hashes)).isdigit():
                continue
            bad += 1
            (first, one), (second, other) = (list(hashes.items()) * 2)[:2]
            print(f"  {first} under {disturbance(one[0])}\n  {second} under {disturbance(other[0])}")
            print("  first difference:", first_difference(traced(sim, arguments, one[0]),
                                                          traced(sim, arguments, other[0]))
                  or "none when traced")
    return 1 if bad else 0


def C03_a_dependence_on_addresses_is_found_and_named(sim):
    arguments = ["--seed", "1", "--chaos-ms", "4000", "--canary"]
    with tempfile.TemporaryDirectory() as directory:
        hashes = {hash_of(sim, arguments, number, pathlib.Path(directory)) for number in range(10)}
    said = first_difference(traced(sim, arguments, 0), traced(sim, arguments, 1))
    print(f"{len(hashes)} hashes, first difference: {said}")
    return 0 if len(hashes) > 1 and "canary" in said else 1


def compare(seed, one, other):
    commands = [([program, "--seed", seed, "--seeds", "1", "--trace"], dict(os.environ))
                for program in (one, other)]
    print(f"seed {seed}: {first_difference(*commands) or 'no difference when traced'}")
    return 1


def main():
    subprocess.run(["cc", "-shared", "-fPIC", "-o", JUMPING_CLOCK, HERE / "jumping_clock.c"], check=True)
    try:
        return decide()
    finally:
        shutil.rmtree(JUMPING_CLOCK.parent)


def decide():
    if len(sys.argv) >= 3 and sys.argv[1] == "run":
        return C01_disturbed_runs_of_a_seed_have_one_hash(
            sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else REPEATS)
    if len(sys.argv) == 3 and sys.argv[1] == "canary":
        return C03_a_dependence_on_addresses_is_found_and_named(sys.argv[2])
    if len(sys.argv) == 5 and sys.argv[1] == "compare":
        return compare(*sys.argv[2:])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
