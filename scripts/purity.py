#!/usr/bin/env python3
"""Purity: the core libraries reference no clock, thread, file, socket, randomness or allocation.

usage: purity.py LIBRARY=ARCHIVE ...      purity.py --self-test

Everything that an archive leaves undefined, and that no other named archive defines, must be on
its allow list. What is not listed is an error, so a new kind of impurity needs no new rule.
"""

import re
import subprocess
import sys
import tempfile
import os

# The compiler's own helpers, memory and text primitives, and the tables of the C++ ABI.
COMMON = [
    r"mem(cpy|move|set|cmp|chr)", r"str(len|cmp|ncmp|chr)", r"bcmp",
    r"__stack_chk_fail", r"_GLOBAL_OFFSET_TABLE_", r"__dso_handle", r"_Unwind_Resume",
    r"__cxa_pure_virtual", r"__cxa_begin_catch", r"__cxa_end_catch", r"__gxx_personality_v0",
    r"__cxa_atexit",
    r"std::terminate\(\)", r"__cxa_guard_(acquire|release|abort)",
    r"vtable for __cxxabiv1::.*", r"typeinfo for std::exception",
    r"std::__throw_[a-z_]+\(.*\)", r"std::__glibcxx_assert_fail\(.*\)",
    r"__u?(div|mod|mul)ti3", r"__popcount[ds]i2",
    r"_ZNK?7seawall.*",  # names too long for the demangler
    r"operator delete(\[\])?\(void\*(, unsigned long)?(, std::align_val_t)?\)",
    r"seawall::.*", r"(vtable|typeinfo|typeinfo name|VTT) for seawall::.*",
    r"guard variable for seawall::.*",
]
ALLOWED = {
    # abort, write and _exit are the last words of CHECK and fatal; nothing else may call them.
    "engine_base": COMMON + [r"abort", r"write", r"_exit"],
    "engine": COMMON,
    # Allocation at construction is tolerated; everything the standard library does with it, too.
    "node_runtime": COMMON + [
        r"operator new(\[\])?\(unsigned long(, std::align_val_t)?(, std::nothrow_t const&)?\)",
        r"std::nothrow", r"std::__cxx11::basic_string.*", r"std::__detail::.*",
        r"std::_Rb_tree_[a-z_]+\(.*\)", r"std::_Hash_bytes\(.*\)", r"XXH.*",
        # The counter of a shared_ptr asks whether it must be atomic; std::visit of a variant that
        # holds nothing aborts in a build without exceptions.
        r"__libc_single_threaded", r"abort",
    ],
}


def symbols(archive, option):
    """Demangled names that nm lists for this option, by member of the archive."""
    output = subprocess.run(["nm", "-C", option, archive], check=True, capture_output=True,
                            text=True).stdout
    found = {}
    member = "?"
    for line in output.splitlines():
        if line.endswith(":"):
            member = line[:-1]
            continue
        match = re.match(r"^[0-9a-f]*\s+([A-Za-z])\s+(.*)$", line)
        if match:
            name = match.group(2).split("@")[0]
            found.setdefault(name, set()).add(member)
    return found


def violations(library, archive, defined):
    allowed = [re.compile(pattern) for pattern in ALLOWED[library]]
    bad = []
    for name, members in sorted(symbols(archive, "--undefined-only").items()):
        if name in defined or any(pattern.fullmatch(name) for pattern in allowed):
            continue
        bad.append(f"lib{library}: {', '.join(sorted(members))} references {name}")
    return bad


def check(archives):
    defined = set()
    for archive in archives.values():
        defined.update(symbols(archive, "--defined-only"))
    bad = []
    for library, archive in archives.items():
        bad.extend(violations(library, archive, defined))
    return bad


def self_test():
    """Each impurity, compiled into an archive, must be named; the pure source must not be."""
    cases = {
        "clock": ("#include <ctime>\nlong f() { return std::time(nullptr); }", "time"),
        "steady": ("#include <chrono>\nlong f() { return std::chrono::steady_clock::now()"
                   ".time_since_epoch().count(); }", "steady_clock"),
        "new": ("int* f() { return new int(1); }", "operator new"),
        "malloc": ("#include <cstdlib>\nvoid* f() { return std::malloc(9); }", "malloc"),
        "random": ("#include <cstdlib>\nint f() { return std::rand(); }", "rand"),
        "file": ("#include <fcntl.h>\nint f() { return ::open(\"x\", 0); }", "open"),
        "socket": ("#include <sys/socket.h>\nint f() { return ::socket(1, 1, 0); }", "socket"),
        "thread": ("#include <pthread.h>\nint f(pthread_mutex_t* m) "
                   "{ return pthread_mutex_lock(m); }", "pthread_mutex_lock"),
        "log": ("#include <cstdio>\nvoid f() { std::puts(\"x\"); }", "puts"),
        "abort": ("#include <cstdlib>\nvoid f() { std::abort(); }", "abort"),
        "pure": ("int f(int x) { return x + 1; }", None),
    }
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (source, wanted) in cases.items():
            path = os.path.join(folder, name)
            with open(path + ".cc", "w", encoding="utf-8") as file:
                file.write(source + "\n")
            subprocess.run(["c++", "-std=c++20", "-O1", "-c", path + ".cc", "-o", path + ".o"],
                           check=True)
            subprocess.run(["ar", "rcs", path + ".a", path + ".o"], check=True)
            bad = check({"engine": path + ".a"})
            right = not bad if wanted is None else len(bad) == 1 and wanted in bad[0]
            if not right:
                print(f"case {name}: wanted {wanted}, got {bad}")
                failures += 1
    print(f"{len(cases)} cases, {failures} failed")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    bad = check(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
