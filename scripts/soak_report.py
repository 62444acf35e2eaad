"""Sums the rounds of a soak into report.json and says it in words; exit status 0 iff all is good.

usage: scripts/soak_report.py DIRECTORY
"""
import json
import pathlib
import re
import sys

YEAR = 365.25 * 86400
SUMS = ["seeds", "failed", "crash", "safety", "liveness", "determinism", "events",
        "simulated_seconds", "wall_ms", "cpu_ms", "operations_checked"]


def add_up(directory):
    total = {name: 0 for name in SUMS}
    probes, resources = {}, {}
    rounds = sorted(directory.glob("round-*.json"))
    for path in rounds:
        report = json.loads(path.read_text())
        for name in SUMS:
            total[name] += report[name]
        for name, seeds in report["probes"].items():
            probes[name] = probes.get(name, 0) + seeds
        for name, greatest in report["resources"].items():
            resources[name] = max(resources.get(name, 0), greatest)
    total["resources"] = resources
    total["rounds"] = len(rounds)
    total["simulated_years"] = round(total["simulated_seconds"] / YEAR, 4)
    total["events_a_cpu_second"] = total["events"] * 1000 // max(total["cpu_ms"], 1)
    total["probes"] = probes
    total["probes_missed"] = sorted(name for name, seeds in probes.items() if seeds == 0)
    return total


def failures(directory):
    found = []
    for path in sorted(directory.glob("round-*.log")):
        text = path.read_text(errors="replace")
        found += re.findall(r"^  replay: (.*)$", text, re.M)
    return found


def mutants(directory):
    path = directory / "mutants.log"
    if not path.exists():
        return None
    lines = path.read_text(errors="replace").splitlines()
    table = [line for line in lines if re.match(r"M\d+ \| ", line)]
    survived = [line for line in table if "SURVIVED" in line]
    return {"killed": len(table) - len(survived), "survived": survived, "table": table,
            "last_line": lines[-1] if lines else ""}


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = pathlib.Path(sys.argv[1])
    report = add_up(directory)
    report["replays"] = failures(directory)
    report["mutants"] = mutants(directory)
    (directory / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"soak: {report['seeds']} seeds, {report['failed']} failed, "
          f"{report['simulated_years']} simulated years, {report['events']} events, "
          f"{report['events_a_cpu_second']} events/s a core, "
          f"{report['operations_checked']} operations checked")
    for line in report["replays"]:
        print(f"  failed: {line}")
    for name in report["probes_missed"]:
        print(f"  never reached: {name}")
    print("greatest: " + ", ".join(f"{name} {value}" for name, value in report["resources"].items()))
    survived = report["mutants"]["survived"] if report["mutants"] else []
    for line in survived:
        print(f"  {line}")
    good = report["seeds"] > 0 and report["failed"] == 0 and not report["replays"]
    return 0 if good and not report["probes_missed"] and not survived else 1


if __name__ == "__main__":
    sys.exit(main())
