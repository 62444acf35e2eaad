#!/usr/bin/env python3
"""Keeps tests/ACCEPTANCE.md true.

A test that proves a row of the acceptance catalogue carries the row's id at the start of its name:
  TEST(WalOpening, W06_torn_tail_keeps_the_acknowledged_prefix), tests/script/P01_quorum.txt,
  def test_F01_kill_primary(...). A name may carry several ids: P58_P59_reports_before_the_fence.

  acceptance.py check    fails when the list and the tests disagree (run by ./dev test)
  acceptance.py write    writes the test and state columns anew; notes stay as they are

States: proved (a test with the id exists), later (no test yet; the note says what is missing).
A note on a proved row says what of the row the tests do not reach yet.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "ACCEPTANCE.md"
FAMILIES = {"P": 186, "T": 21, "G": 20, "R": 25, "D": 15, "W": 48, "E": 17, "C": 6, "F": 32}
ID = r"[PTGRDWECF]\d{2,3}"
IDS = re.compile(rf"^((?:{ID}_)+)")
HEAD = """# Acceptance

Each row of the acceptance catalogue, the tests that carry its id, and its state. `scripts/acceptance.py
check` (part of `./dev test`) fails when this list and the tests disagree; `write` brings it up to date.
`proved`: the named tests assert the row (a note says which part they do not reach yet); `later`: no test yet.

| id | tests | state | note |
|---|---|---|---|
"""


def catalogue():
    for family, count in FAMILIES.items():
        for number in range(1, count + 1):
            yield f"{family}{number:02d}"


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                         cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in sorted(out.splitlines())]


def ids_of(name):
    match = IDS.match(name + "_")
    return match.group(1).strip("_").split("_") if match else []


def tests():
    """Yields (id, test name) of every test in the tree."""
    for path in tracked("tests"):
        if not path.exists():
            continue
        if path.suffix == ".cc":
            for suite, name in re.findall(r"^\s*(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP)\(\s*(\w+),\s*(\w+)",
                                          path.read_text(), re.M):
                for row in ids_of(name):
                    yield row, f"{suite}.{name}"
        elif path.suffix == ".txt" and path.name != "CMakeLists.txt":
            for row in ids_of(path.stem):
                yield row, f"{path.parent.name}/{path.stem}"
        elif path.suffix in (".py", ".sh"):
            for name in re.findall(rf"\b(?:test_)?((?:{ID}_)+[a-z]\w*)", path.read_text()):
                for row in ids_of(name):
                    yield row, f"{path.stem}/{name}"


def found():
    rows = {}
    for row, name in tests():
        rows.setdefault(row, set()).add(name)
    return {row: sorted(names) for row, names in rows.items()}


def notes():
    if not LIST.exists():
        return {}
    rows = re.findall(rf"^\| ({ID}) \| (.*?) \| (\w+) \| (.*?) ?\|$", LIST.read_text(), re.M)
    return {row: (names, state, note) for row, names, state, note in rows}


def render():
    have, old = found(), notes()
    lines = []
    for row in catalogue():
        note = old.get(row, ("", "", ""))[2]
        names = ", ".join(f"`{name}`" for name in have.get(row, []))
        lines.append(f"| {row} | {names or '-'} | {'proved' if names else 'later'} | {note} |")
    return HEAD + "\n".join(lines) + "\n"


def main():
    verb = sys.argv[1] if len(sys.argv) == 2 else ""
    unknown = set(found()) - set(catalogue())
    if unknown:
        print("tests carry ids that the catalogue does not have:", *sorted(unknown))
        return 1
    if verb == "write":
        LIST.write_text(render())
        return 0
    if verb == "check":
        if LIST.exists() and LIST.read_text() == render():
            print(f"{sum(1 for row in catalogue() if row in found())} rows proved, the list is true")
            return 0
        print("tests/ACCEPTANCE.md and the tests disagree; run scripts/acceptance.py write and read the change")
        return 1
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
