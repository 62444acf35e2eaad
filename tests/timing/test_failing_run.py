"""T21: a run that fails says when, in which order and why, and gives the line that does it again."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

SIM = Path(os.environ.get("SEAWALL_BIN_DIR", "build/bin")) / "seawall-sim"
TAIL = 15
EVENT = re.compile(r"^\s+#\d+\s+(\d+\.\d{6}) (n\d+|--) (\S+)( .*)?$")


def expect(condition, words):
    if not condition:
        raise AssertionError(words)


def sim(*words):
    """Its lines; it must have failed with one of the exit codes of a failed seed."""
    result = subprocess.run([SIM, *words, "--tail", str(TAIL)], capture_output=True, text=True,
                            timeout=280, check=False)
    expect(result.returncode in (31, 32, 34), f"exit {result.returncode}: {result.stdout[-2000:]}")
    return result.stdout.splitlines()


def section(lines):
    """(verdict, cause, events, replay line) of the one failed seed."""
    begin = next(i for i, line in enumerate(lines) if re.match(r"seed \d+ FAILED: \w+", line))
    rest = lines[begin:]
    value = {key: next((line.split(f"{key}: ", 1)[1] for line in rest
                        if line.startswith(f"  {key}: ")), "")
             for key in ("what", "options", "replay")}
    for key, text in value.items():
        expect(text, f"it does not say {key}")
    after = rest[next(i for i, line in enumerate(rest) if line == "  last events:") + 1:]
    events = []
    for line in after:
        match = EVENT.match(line)
        if not match:
            break
        events.append(match)
    return rest[0], value["what"], events, value["replay"]


def test_T21_a_failing_run_prints_its_last_events_and_the_line_that_replays_it():
    # The oldest generation fails within a few seeds: that is what it is there for.
    verdict, cause, events, replay = section(
        sim("--generation", "v1", "--seed", "1", "--seeds", "20", "--stop-at-first"))
    expect(0 < len(events) <= TAIL, f"{len(events)} events")
    times = [float(event[1]) for event in events]
    expect(times == sorted(times), f"not in their order: {times}")
    expect(events[-1][3] == "verdict", f"it does not end with the verdict: {events[-1][0]}")
    expect(any(event[2] != "--" and event[4] for event in events), "no event names node and cause")
    words = shlex.split(replay)
    expect(words[:2] == ["./dev", "sim"], f"nobody can type this: {replay}")
    expect(f"seed {words[words.index('--seed') + 1]} " in verdict, f"another seed: {replay}")
    again = section(sim(*(word for word in words[2:] if word != "--trace")))
    expect(again[:2] == (verdict, cause), f"the replay ended otherwise: {again[:2]}")
    expect([event[0] for event in again[2]] == [event[0] for event in events],
           "the replay had other last events")


if __name__ == "__main__":
    if not SIM.exists():
        print(f"Skipped: {SIM} is not built")
        sys.exit(77)
    test_T21_a_failing_run_prints_its_last_events_and_the_line_that_replays_it()
    print("PASS")
