#!/usr/bin/env python3
"""Runs the fuzz targets side by side and prints a table: executions, speed, coverage, findings."""
import argparse
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "build/fuzz/tests"
CORPUS = ROOT / "tests/fuzz/corpus"
WORK = ROOT / "build/fuzz/work"
ASAN = "detect_leaks=0:quarantine_size_mb=8:malloc_context_size=4"
# Longest input of each, bytes: the structure and a little more.
LONGEST = {"super": 20480, "segment": 128, "batch": 20480, "page": 8192, "opening": 512,
           "peer_frame": 8256, "client_frame": 2112, "nbd": 2048}


def run(name, seconds):
    grown = WORK / name
    grown.mkdir(parents=True, exist_ok=True)
    log = WORK / f"{name}.log"
    command = [str(PROGRAMS / f"fuzz_{name}"), f"-max_total_time={seconds}", "-timeout=20",
               f"-max_len={LONGEST[name]}", "-print_final_stats=1", "-rss_limit_mb=2048",
               f"-artifact_prefix={WORK}/{name}-", str(grown), str(CORPUS / name)]
    with open(log, "w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT,
                              env=dict(os.environ, ASAN_OPTIONS=ASAN)).returncode
    return name, code, log.read_text(errors="replace"), " ".join(command[:1])


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def show(results, seconds):
    print(f"{'target':<14}{'executions':>12}{'a second':>10}{'features':>10}{'inputs':>8}  result")
    failed = False
    for name, code, text, program in results:
        done = number(r"stat::number_of_executed_units: (\d+)", text)
        reached, inputs = number(r"ft: (\d+)", text), number(r"corp: (\d+)", text)
        kept = re.findall(r"Test unit written to (\S+)", text)
        print(f"{name:<14}{done:>12,}{done // max(seconds, 1):>10,}{reached:>10,}{inputs:>8,}"
              f"  {'ok' if code == 0 else 'FAILED'}")
        if code == 0 and done > 0:
            continue
        failed = True
        print("\n".join("    " + line for line in text.splitlines()[-25:]))
        for unit in kept:
            print(f"    replay: {os.path.relpath(program, ROOT)} {os.path.relpath(unit, ROOT)}")
    return failed


def merge(name):
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    subprocess.run([str(PROGRAMS / f"fuzz_{name}"), "-merge=1", f"-max_len={LONGEST[name]}",
                    str(CORPUS / name), str(WORK / name)], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"{name}: {len(list((CORPUS / name).iterdir()))} inputs")


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="all, unless named: " + " ".join(LONGEST))
    parser.add_argument("--seconds", type=int, default=60, help="of each target (60)")
    parser.add_argument("--merge", action="store_true",
                        help="add what earlier runs found to tests/fuzz/corpus")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in LONGEST]
    if unknown:
        parser.error(f"no target {unknown[0]!r}; there are: {' '.join(LONGEST)}")
    names = options.targets or list(LONGEST)
    if options.merge:
        for name in names:
            merge(name)
        return 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda name: run(name, options.seconds), names))
    return 1 if show(results, options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
