#!/usr/bin/env python3
"""House rules that a compiler does not check. Prints file:line: rule, and exits 1 if there are any.

usage: tidy.py [ROOT]      tidy.py --self-test

Sizes (file 600 lines, function 70, line 100), banned calls by directory, includes only downwards,
dead files, absolute paths of one machine. A line that must break a rule says why in a comment:
`// tidy: allow(RULE) reason`.
"""

import os
import re
import subprocess
import sys
import tempfile

FILE_LINES = 600
FUNCTION_LINES = 70
LINE_COLUMNS = 100

CODE_ROOTS = ("engine", "wal", "node", "controller", "csi", "cli", "sim", "tests")
PURE = ("engine/", "wal/", "node/runtime/")

# (rule, directories, pattern over code without comments and strings)
BANNED = [
    ("rand", CODE_ROOTS, r"\b(std::)?s?rand(om)?\s*\(|\bstd::(random_device|mt19937)"),
    ("system_clock", PURE, r"\bsystem_clock\b|\b(std::)?time\s*\(\s*(nullptr|NULL|0|&)"
                           r"|\bgettimeofday\s*\("),
    ("clock", PURE, r"\b(steady|high_resolution)_clock\b|\bclock_gettime\s*\("),
    ("exception", PURE, r"\bthrow\b|\btry\b|\bcatch\s*\("),
    ("unordered", ("engine/", "sim/"), r"\bstd::unordered_"),
    ("distribution", ("engine/", "sim/"), r"\bstd::\w+_distribution\b"),
    ("sleep", ("tests/",), r"\bsleep_(for|until)\b|\bu?sleep\s*\(|\bnanosleep\s*\("),
    ("using_namespace", CODE_ROOTS, r"\busing\s+namespace\s+std\b"),
    ("assert", CODE_ROOTS, r"(?<![\w_.])assert\s*\("),
]

# What the files of a directory may include of ours; the longest matching directory counts.
INCLUDES = {
    "engine/base/": ["engine/base/"],
    "engine/": ["engine/"],
    "wal/": ["wal/", "engine/base/"],
    "node/runtime/": ["node/runtime/", "engine/", "wal/"],
    "node/io/": ["node/io/", "node/runtime/", "engine/", "wal/"],
    "node/frontends/": ["node/", "engine/", "wal/"],
    "node/": ["node/", "engine/", "wal/", "proto/"],
    "controller/": ["controller/", "engine/", "node/runtime/control_port.h", "proto/"],
    "csi/": ["csi/", "engine/base/", "proto/"],
    "cli/": ["cli/", "engine/base/", "wal/", "node/io/", "node/runtime/",
             "controller/stream/", "proto/"],
    "sim/": ["sim/", "node/runtime/", "engine/", "wal/", "controller/"],
}

MACHINE_PATH = re.compile(r"(?<![\w.}$-])/(work|home|root|Users)/\w")
ALLOW = re.compile(r"tidy: allow\(([\w, ]+)\)\s+\S")
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
                   r"|(?<![\w])'(?:\\.|[^'\\\n])+'", re.DOTALL)
TEXT_SUFFIXES = (".h", ".cc", ".cmake", ".txt", ".py", ".sh", ".proto", ".json", ".md", ".yaml",
                 ".yml", ".toml", ".sql")


def strip(text):
    """The code without comments and strings; line breaks stay where they were."""
    def blank(match):
        found = match.group(0)
        if found.startswith('"') and text[:match.start()].rsplit("\n", 1)[-1].lstrip() \
                .startswith("#include"):
            return found
        quote = '""' if found[0] in "\"R" else " "
        return quote + "\n" * found.count("\n")
    return TOKEN.sub(blank, text)


def project_files(root):
    """Files that git tracks, relative to the root: what a commit would hold."""
    listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True,
                            check=True).stdout.splitlines()
    return sorted(p for p in set(listed) if os.path.isfile(os.path.join(root, p)))


class Tidy:
    def __init__(self, root):
        self.root = root
        self.found = []
        self.files = project_files(root)
        self.texts = {}
        for path in self.files:
            name = os.path.basename(path)
            if path.endswith(TEXT_SUFFIXES) or name in ("dev", "Dockerfile", "run"):
                with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
                    self.texts[path] = file.read()

    def report(self, path, line, rule, words):
        lines = self.texts[path].splitlines()
        for near in (line - 1, line - 2):
            if 0 <= near < len(lines):
                allowed = ALLOW.search(lines[near])
                if allowed and rule in [r.strip() for r in allowed.group(1).split(",")]:
                    return
        self.found.append(f"{path}:{line}: {rule}: {words}")

    def run(self):
        for path, text in self.texts.items():
            self.check_paths(path, text)
            if path.endswith((".h", ".cc")):
                code = strip(text)
                self.check_sizes(path, text)
                self.check_functions(path, code)
                self.check_banned(path, code)
                self.check_includes(path, code)
        self.check_dead_files()
        return sorted(self.found)

    def check_paths(self, path, text):
        if path.endswith(".md"):
            return
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line):
                self.report(path, number, "machine_path", "an absolute path of one machine")

    def check_sizes(self, path, text):
        lines = text.splitlines()
        if len(lines) > FILE_LINES:
            self.report(path, 1, "file_size", f"{len(lines)} lines, at most {FILE_LINES}")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_COLUMNS:
                self.report(path, number, "line_length", f"{len(line)} columns")
            if "\t" in line:
                self.report(path, number, "tab", "a tab character")

    def check_functions(self, path, code):
        """A function body is a `{` after `)` (and qualifiers or initializers) outside any body."""
        stack = []  # (is_function, line)
        start = 0
        line = 1
        for position, char in enumerate(code):
            if char == "\n":
                line += 1
            elif char == ";" or (char == ":" and code[start:position].strip()
                                 in ("public", "private", "protected")):
                start = position + 1
            elif char == "{":
                head = re.sub(r"(?m)^\s*#.*$", "", code[start:position]).strip()
                inside = any(is_function for is_function, _ in stack)
                is_function = (not inside and ")" in head and not re.match(
                    r"(namespace|class|struct|union|enum|extern|static_assert)\b", head)
                    and not head.endswith(("=", ",", "(")))
                stack.append((is_function, line))
                start = position + 1
            elif char == "}":
                if stack:
                    is_function, first = stack.pop()
                    if is_function and line - first + 1 > FUNCTION_LINES:
                        self.report(path, first, "function_size",
                                    f"{line - first + 1} lines, at most {FUNCTION_LINES}")
                start = position + 1

    def check_banned(self, path, code):
        for rule, directories, pattern in BANNED:
            if not path.startswith(tuple(directories)):
                continue
            for match in re.finditer(pattern, code):
                number = code.count("\n", 0, match.start()) + 1
                self.report(path, number, rule, match.group(0).strip() + " is banned here")

    def check_includes(self, path, code):
        owners = [directory for directory in INCLUDES if path.startswith(directory)]
        allowed = INCLUDES[max(owners, key=len)] if owners else None
        for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', code, re.MULTILINE):
            target = match.group(1)
            number = code.count("\n", 0, match.start()) + 1
            if allowed is not None and not target.startswith(tuple(allowed)):
                self.report(path, number, "include", f"{target}: includes go downwards only")
            generated = re.sub(r"(\.grpc)?\.pb\.h$", ".proto", target)
            if generated not in self.files and target not in self.files:
                self.report(path, number, "include", f"{target}: git knows no such file")

    def check_dead_files(self):
        named = set()
        for path, text in self.texts.items():
            if os.path.basename(path) == "CMakeLists.txt":
                directory = os.path.dirname(path)
                for word in re.findall(r"[\w./-]+\.(?:cc|proto)\b", re.sub(r"#[^\n]*", "", text)):
                    named.add(os.path.normpath(os.path.join(directory, word)))
        included = set()
        for path, text in self.texts.items():
            if path.endswith((".h", ".cc")):
                for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE):
                    if target != path:
                        included.add(target)
        for path in self.files:
            if path.endswith((".cc", ".proto")) and path not in named:
                self.report(path, 1, "dead_file", "no CMakeLists.txt names it")
            if path.endswith(".h") and path not in included:
                self.report(path, 1, "dead_file", "nobody includes it")


SELF_TEST = [
    ("engine/a.cc", "int f() { return std::rand(); }\n", "rand"),
    ("wal/a.cc", "auto f() { return std::chrono::system_clock::now(); }\n", "system_clock"),
    ("engine/a.cc", "void f() { throw 1; }\n", "exception"),
    ("engine/a.cc", "std::unordered_map<int, int> m;\n", "unordered"),
    ("tests/unit/a.cc", "void f() { usleep(3); }\n", "sleep"),
    ("tests/unit/a.cc", "void f() {\n" + "  g();\n" * 80 + "}\n", "function_size"),
    ("engine/a.cc", "struct A {\n  void f() {\n" + "    g();\n" * 70 + "  }\n};\n", "function_size"),
    ("cli/a.cc", "int x;\n" * 601, "file_size"),
    ("cli/a.cc", "// " + "x" * 98 + "\n", "line_length"),
    ("cli/a.cc", 'const char* p = "/ho' + 'me/me/x";\n', "machine_path"),
    ("engine/a.cc", '#include "wal/b.h"\n', "include"),
    ("engine/dead.cc", "int x;\n", "dead_file"),
    ("engine/dead.h", "int x;\n", "dead_file"),
    ("engine/a.cc", "// try throw rand()\nconst char* s = \"throw\";\nchar q = '\"';\n", None),
    ("engine/a.cc", "int x;  // tidy: allow(rand) a reason\nint y = rand();\n", None),
    ("engine/a.cc", "class A {\n" + "  void f() { g(); }\n" * 90 + "};\n", None),
    ("engine/a.cc", "int big = 1'000'000; auto t = retry; int entry(int time);\n", None),
]


def self_test():
    failures = 0
    for path, text, wanted in SELF_TEST:
        with tempfile.TemporaryDirectory() as root:
            subprocess.run(["git", "init", "-q", root], check=True)
            extra = {"wal/b.h": "int b;\n", "wal/c.cc": '#include "wal/b.h"\n', path: text}
            for name, content in extra.items():
                os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
                with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                    file.write(content)
            with open(os.path.join(root, "CMakeLists.txt"), "w", encoding="utf-8") as file:
                file.write("engine/a.cc wal/a.cc wal/c.cc tests/unit/a.cc cli/a.cc\n")
            subprocess.run(["git", "-C", root, "add", "."], check=True)
            rules = {line.split(": ")[1] for line in Tidy(root).run()}
            expected = {wanted} if wanted else set()
            if rules != expected:
                print(f"{path!r} {text[:60]!r}: wanted {expected}, got {rules}")
                failures += 1
    print(f"{len(SELF_TEST)} cases, {failures} failed")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))
    found = Tidy(root).run()
    for line in found:
        print(line)
    if found:
        print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
