#!/usr/bin/env python3
"""Reads ctest's JUnit file and prints what failed, what could not run here, and the totals."""

import collections
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree

# Suites that live outside ctest: (name, the script that runs it, what it needs, is it here?).
OUTSIDE = [
    ("guest suites (ublk in a virtual machine)", "scripts/dev-guest.sh", "/dev/kvm",
     lambda: os.path.exists("/dev/kvm")),
    ("end-to-end suites on Kubernetes", "scripts/dev-e2e.sh", "kubectl and a cluster",
     lambda: shutil.which("kubectl") is not None),
]


def outside():
    """What ctest does not run, with the reason why it cannot run here; nothing is left out."""
    lines = []
    for name, script, need, here in OUTSIDE:
        if not os.path.exists(script):
            lines.append(f"{name}: not written yet ({script} does not exist)")
        elif not here():
            lines.append(f"{name}: needs {need}")
        else:
            lines.append(f"{name}: not part of ./dev test, run {script}")
    return lines


def reason_of(case):
    """The sentence a test gave when it skipped itself."""
    output = case.findtext("system-out") or ""
    lines = [line.strip() for line in output.splitlines()]
    for i, line in enumerate(lines):
        if re.search(r": Skipped$", line):
            for following in lines[i + 1:]:
                if following:
                    return following
    for line in lines:
        if line.lower().startswith("skipped: "):
            return line[len("skipped: "):]
    element = case.find("skipped")
    message = element.get("message") if element is not None else None
    return message or "no reason given"


def main():
    if len(sys.argv) != 2 or not os.path.exists(sys.argv[1]):
        print("ctest left no results: 0 tests ran")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    passed, failed, skipped = [], [], []
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        name = case.get("name")
        state = case.get("status")
        if state == "run":
            passed.append(name)
        elif state in ("notrun", "disabled") and case.find("failure") is None:
            skipped.append((name, reason_of(case)))
        else:
            failed.append(name)

    by_reason = collections.defaultdict(list)
    for name, reason in skipped:
        by_reason[reason].append(name)
    missing = outside()
    if by_reason or missing:
        print("Not run here:")
        for reason, names in sorted(by_reason.items()):
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            print(f"  {names[0]}{more}: {reason}")
        for line in missing:
            print(f"  {line}")
    if failed:
        print("Failed:")
        for name in failed:
            print(f"  {name}")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
