#!/usr/bin/env python3
"""Checks the structure of the crates, and says what it finds.

    tests/structure.py            all checks; exit status 1 if one fails
    tests/structure.py --circles  the circles of all crates
    tests/structure.py --draw     the crates as a graph in the language of Graphviz, and nothing else

crates   each crate is in the table of crates/README.md, and depends only on rows above its own
lines    no crate has more than 13 % of the lines of all crates, tests and benches left out
sizes    half of the files have under 150 lines, nine in ten under 450, and none 800 or more
circles  in the crates that load and serve models no more than three files use each other in a circle
owners   nothing asks how many owners an `Arc` has, but for tests: who is alive is counted
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES = ROOT / "crates"
PREFIX = "hippocamp-"
LARGEST_SHARE = 0.13
LARGEST_CIRCLE = 3
# Where it is kept up. Crates are added as they get there.
WITHOUT_CIRCLES = ("core", "serving", "loading", "lifecycle", "lazy-loading", "following", "repository", "repository-watch")


def manifests():
    """The manifest of each crate, by the name of its folder."""
    found = {}
    for path in sorted(CRATES.glob("*/Cargo.toml")):
        found[path.parent.name] = tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def dependencies(crates):
    """The crates of this workspace that each is built with, not those of its tests."""
    return {
        name: sorted(
            dependency.removeprefix(PREFIX)
            for dependency in manifest.get("dependencies", {})
            if dependency.startswith(PREFIX)
        )
        for name, manifest in crates.items()
    }


def table():
    """The crates in the order of the table in crates/README.md; a row may name several."""
    text = (CRATES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return {name: place for place, row in enumerate(rows) for name in re.findall(r"`([\w-]+)`", row)}


def check_crates(crates):
    places = table()
    for name, uses in dependencies(crates).items():
        if name not in places:
            yield f"crates/{name} is not in the table of crates/README.md"
            continue
        for used in uses:
            if places.get(used, -1) > places[name]:
                yield f"crates/{name} depends on {used}, which stands below it in the table"


def is_test(path):
    parts = path.relative_to(CRATES).parts
    return any(part in ("tests", "benches", "examples", "tests.rs") for part in parts)


def sources(crate):
    return [path for path in sorted((CRATES / crate / "src").rglob("*.rs")) if not is_test(path)]


def without_tests(text):
    """A file's text up to its unit tests, which are its last part."""
    return re.split(r"^#\[cfg\(test\)\]\nmod tests", text, maxsplit=1, flags=re.MULTILINE)[0]


def count(path):
    return path.read_text(encoding="utf-8").count("\n")


def check_lines(crates):
    lines = {crate: sum(map(count, sources(crate))) for crate in crates}
    total = sum(lines.values())
    for crate, own in lines.items():
        if own > LARGEST_SHARE * total:
            yield f"crates/{crate} has {own} of {total} lines, {100 * own / total:.1f} %"


def check_sizes(crates):
    sizes = sorted(count(path) for path in CRATES.rglob("*.rs"))
    middle, ninth = sizes[len(sizes) // 2], sizes[len(sizes) * 9 // 10]
    if middle >= 150:
        yield f"half of the files have {middle} lines or more"
    if ninth >= 450:
        yield f"a tenth of the files have {ninth} lines or more"
    for path in CRATES.rglob("*.rs"):
        if count(path) >= 800:
            yield f"{path.relative_to(ROOT)} has {count(path)} lines"


def modules(crate):
    """The file of each module, by its path: `a::b`, and the empty one for the crate's root."""
    source = CRATES / crate / "src"
    found = {}
    for path in sources(crate):
        parts = path.relative_to(source).with_suffix("").parts
        if parts[-1] == "mod":
            parts = parts[:-1]
        found["::".join(() if parts in (("lib",), ("main",)) else parts)] = path
    return found


def expand(tree):
    """The paths of a use tree: `a::{b, c::{d, e}}` is a::b, a::c::d and a::c::e."""
    tree = tree.strip()
    opening = tree.find("{")
    if opening < 0:
        return [re.sub(r"\s+as\s+\w+$", "", tree)]
    head, inner, depth, part, paths = tree[:opening], tree[opening + 1 : tree.rfind("}")], 0, "", []
    for char in inner + ",":
        if char == "," and depth == 0:
            paths += [head + path for path in expand(part)] if part.strip() else []
            part = ""
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        part += char
    return paths


def reexports(text, of):
    """What a module offers under its own name of its children: item to the child's path."""
    found = {}
    for tree in re.findall(r"\bpub(?:\([^)]*\))? use ([^;]+);", text):
        for path in expand(tree):
            path = path.removeprefix("self::").removeprefix("crate::")
            *module, item = path.split("::")
            found[item] = "::".join([*filter(None, [of]), *module])
    return found


def uses(crate):
    """Which files each file of a crate names items of."""
    files = modules(crate)
    texts = {name: without_tests(path.read_text(encoding="utf-8")) for name, path in files.items()}
    offered = {name: reexports(text, name) for name, text in texts.items()}

    def home(path, hops=4):
        """The module in which the item of that path is written."""
        parts = path.split("::")
        for end in range(len(parts), -1, -1):
            module = "::".join(parts[:end])
            if module in files:
                behind = offered[module].get(parts[end]) if end < len(parts) else None
                if behind in files and behind != module and hops:
                    return home(f"{behind}::{parts[end]}", hops - 1)
                return module
        return None

    found = {}
    for name, text in texts.items():
        code = re.sub(r"//[^\n]*", "", text)
        paths = set()
        for tree in re.findall(r"\buse ([^;]+);", code):
            paths.update(expand(tree))
        paths.update(re.findall(r"\b(?:crate|super)(?:::\w+)+", code))
        targets = set()
        for path in paths:
            parts = path.split("::")
            here = name.split("::") if name else []
            if parts[0] == "crate":
                parts = parts[1:]
            elif parts[0] in ("super", "self"):
                while parts and parts[0] in ("super", "self"):
                    here = here[:-1] if parts[0] == "super" else here
                    parts = parts[1:]
                parts = here + parts
            elif "::".join([*here, parts[0]]) in files:
                parts = here + parts
            else:
                continue
            target = home("::".join(parts))
            # The root declares and re-exports; it is not a part of a circle.
            if target and target != name:
                targets.add(target)
        found[name] = targets if name else set()
    return found


def circles(graph):
    """The strongly connected components of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part = []
            while not part or part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def check_circles(crates):
    for crate in filter(crates.__contains__, WITHOUT_CIRCLES):
        for circle in circles(uses(crate)):
            if len(circle) > LARGEST_CIRCLE:
                yield f"crates/{crate}: {len(circle)} files use each other in a circle: {', '.join(circle)}"


def check_owners(crates):
    for crate in crates:
        for path in sources(crate):
            text = without_tests(path.read_text(encoding="utf-8"))
            for number, line in enumerate(text.splitlines(), 1):
                if "strong_count" in line or "weak_count" in line:
                    yield f"{path.relative_to(ROOT)}:{number} asks how many owners there are"


def draw(crates):
    print("digraph crates {\n  rankdir = TB; node [shape = box];")
    for name, used in dependencies(crates).items():
        for other in used:
            print(f'  "{name}" -> "{other}";')
    print("}")


def main():
    crates = manifests()
    if "--draw" in sys.argv:
        draw(crates)
        return 0
    if "--circles" in sys.argv:
        for crate in crates:
            for circle in circles(uses(crate)):
                print(f"crates/{crate}: {len(circle)}: {', '.join(circle)}")
        return 0
    failed = 0
    for check in (check_crates, check_lines, check_sizes, check_circles, check_owners):
        faults = list(check(crates))
        name = check.__name__.removeprefix("check_")
        print(f"structure: {name}: {'ok' if not faults else f'{len(faults)} faults'}")
        for fault in faults:
            print(f"  {fault}")
        failed += bool(faults)
    print(f"{5 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
