"""Wrong protocols on purpose: every MUTANT(Mnn) of the sources must make a suite fail.

usage: scripts/mutants.py run [--sample N] [--full] [--write] [--seeds N] [--json FILE] [M02 ...]
       scripts/mutants.py check | targets

run    wakes one mutant after the other in the build of the preset `mutants` and prints a table:
       mutant, what it breaks, what killed it, how. The killer that tests/mutants.txt names is tried
       first (a named test, or so many seeds of the simulator), then, or with --full, every suite.
       --write puts the killers that were found into the list.
       --sample N takes N of those with a named killer, other ones for every commit. Exit status 0 iff all were killed.
check  exit status 0 iff every mutant of tests/mutants.txt is in the sources, and there are 60 at
       least. Those of the sources that the list does not describe yet are named, and run as well.
targets  what must be built for `run`, one name a line: the suites below, whoever builds them.

Without a mutant everything named here must pass first, or a kill would mean nothing. Time is CPU
time of the suite, so that a busy machine kills nobody.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "mutants"
LIST = ROOT / "tests" / "mutants.txt"
# From the quickest on; the walks and the simulator last.
SUITES = ["runtime_wire_header_test", "engine_leaves_test", "twin_test", "timing_test",
          "script_test", "stream_test", "controller_failover_test", "io_test",
          "runtime_recovery_gate_test", "runtime_cluster_test", "log_test", "sim_cluster_test",
          "chaos_test", "sim"]
CPU_LIMIT_S = 240
SOURCES = ["engine", "wal", "node", "controller"]


def read_list():
    mutants = {}
    for line in LIST.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        number, group, wrong, killer = [field.strip() for field in line.split("|")]
        if number in mutants:
            raise SystemExit(f"{LIST.name} lists {number} twice")
        mutants[number] = {"group": group, "wrong": wrong, "killer": killer}
    return mutants


def in_sources():
    found = {}
    for directory in SOURCES:
        for path in sorted((ROOT / directory).rglob("*")):
            if path.suffix not in (".h", ".cc") or path.name == "mutant.h":
                continue
            for number in re.findall(r"\bMUTANT\((M\d+)\)", path.read_text()):
                found.setdefault(number, set()).add(str(path.relative_to(ROOT)))
    return found


def check():
    listed, held = read_list(), in_sources()
    for number in sorted(held.keys() - listed.keys()):
        print(f"{number} of {', '.join(sorted(held[number]))} is not described in {LIST.name}")
    wrong = [f"{number} is listed, but no source holds it"
              for number in sorted(listed.keys() - held.keys())]
    for line in wrong:
        print(line)
    unnamed = [number for number in sorted(listed) if not listed[number]["killer"]]
    print(f"{len(listed)} mutants, {sum(m['group'] == 'disk' for m in listed.values())} about disks; "
          f"without a named killer, so that every suite is tried: {' '.join(unnamed) or 'none'}")
    return 1 if wrong or len(listed) < 60 else 0


def program(name):
    return BUILD / ("bin/seawall-sim" if name == "sim" else f"tests/{name}")


def run_suite(suite, argument, mutant):
    """(passed, what the first failure said)."""
    if suite == "sim":
        command = [program(suite), "--seed", "1", "--seeds", str(argument), "--stop-at-first",
                   "--tail", "0"]
        limit = None  # a seed has its own
    else:
        command = [program(suite), "--gtest_fail_fast", f"--gtest_filter={argument}"]
        limit = CPU_LIMIT_S
    environment = dict(os.environ, SEAWALL_MUTANT=mutant, CHAOS_SEEDS="300")

    def limit_cpu():
        os.nice(5)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))

    done = subprocess.run([str(word) for word in command], cwd=ROOT, env=environment, text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          preexec_fn=limit_cpu, check=False)
    if done.returncode == 0:
        if suite != "sim" and "[  PASSED  ] 0 tests" in done.stdout:
            raise SystemExit(f"{suite} has no test {argument}")
        return True, ""
    return False, reason(suite, done)


def reason(suite, done):
    if suite == "sim":
        seed = re.search(r"^seed (\d+) FAILED: (\w+)", done.stdout, re.M)
        what = re.search(r"^  what: (.*)$", done.stdout, re.M)
        if seed:
            return f"seed {seed[1]}: {what[1] if what else seed[2]}"
        return f"exit status {done.returncode}"
    failed = re.search(r"^\[  FAILED  \] (\S+?)[,. ]*(?: \(|$)", done.stdout, re.M)
    if failed:
        return failed[1]
    began = re.findall(r"^\[ RUN      \] (\S+)", done.stdout, re.M)  # and died in it
    if began:
        return began[-1]
    return f"exit status {done.returncode}: " + (done.stdout.strip().splitlines() or [""])[-1]


def killer_of(number, named, seeds, full):
    """What kills it: the named killer, else the first of all suites; with full all that do."""
    if named and not full:
        suite, argument = named.split(None, 1)
        passed, why = run_suite(suite, argument, number)
        if not passed:
            return [(f"{suite} {argument}" if suite != "sim" else "sim", why)]
    killers = []
    for suite in SUITES:
        if suite == "sim" and killers:
            break
        argument = seeds if suite == "sim" else "*"
        passed, why = run_suite(suite, argument, number)
        if not passed:
            killers.append((suite, why))
            if not full:
                break
    return killers


def baseline(numbers, mutants, full):
    wanted = {"sim": "20"}
    for number in numbers:
        suite, _, argument = mutants[number]["killer"].partition(" ")
        if suite and suite != "sim":
            wanted[suite] = wanted[suite] + ":" + argument if suite in wanted else argument
    if full or not all(mutants[number]["killer"] for number in numbers):
        wanted |= {suite: "*" for suite in SUITES if suite != "sim"}
    for suite, argument in wanted.items():
        passed, why = run_suite(suite, argument, "M0")
        if not passed:
            raise SystemExit(f"{suite} fails without a mutant: {why}")


def take_sample(numbers, count):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                            check=False).stdout.strip() or "0"
    start = int(commit[:8], 16)
    # A stride that has no factor in common with the length visits each of them once.
    stride = next(s for s in (7, 11, 13, 17) if len(numbers) % s)
    return sorted({numbers[(start + i * stride) % len(numbers)] for i in range(count)})


def run(arguments):
    mutants = {number: {"group": "?", "wrong": "not described yet", "killer": ""}
               for number in in_sources()} | read_list()
    numbers = arguments.mutants or sorted(mutants)
    unknown = [number for number in numbers if number not in mutants]
    if unknown:
        raise SystemExit(f"no such mutants: {' '.join(unknown)}")
    if arguments.sample:
        numbers = take_sample([n for n in numbers if mutants[n]["killer"]], arguments.sample)
    baseline(numbers, mutants, arguments.full)
    table, survived = {}, []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = {number: pool.submit(killer_of, number, mutants[number]["killer"],
                                       arguments.seeds, arguments.full) for number in numbers}
        for number in numbers:
            killers = waiting[number].result()
            table[number] = killers
            if not killers:
                survived.append(number)
            said = "; ".join(f"{by}: {why}" for by, why in killers) or "SURVIVED everything"
            print(f"{number} | {mutants[number]['group']} | {mutants[number]['wrong']} | "
                  f"{said[:arguments.width]}", flush=True)
    if arguments.write:
        write_killers(table)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2) + "\n")
    print(f"{len(numbers)} mutants of {len(mutants)}, {len(survived)} survived"
          + "".join(" " + number for number in survived))
    return 1 if survived else 0


def write_killers(table):
    lines = []
    for line in LIST.read_text().splitlines():
        killers = table.get(line.split(" ", 1)[0])
        if killers:
            suite, why = killers[0]
            named = f"sim {why.split(':')[0].split()[-1]}" if suite == "sim" else f"{suite} {why}"
            line = " | ".join([*[field.strip() for field in line.split("|")[:3]], named])
        lines.append(line)
    LIST.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["run", "check", "targets"])
    parser.add_argument("mutants", nargs="*")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if arguments.what == "targets":
        print("\n".join(program(suite).name for suite in SUITES))
        return 0
    return check() if arguments.what == "check" else run(arguments)


if __name__ == "__main__":
    sys.exit(main())
