#!/usr/bin/env python3
"""Checks that each crate compiles by itself, for scripts/test alone.

When the whole workspace is compiled, a dependency has the features that any crate asks for, so that one crate can use what only
another has asked for. To check each crate in a run of its own compiles the dependencies over and over. So crates are put into
groups, and each group is one `cargo check`: a crate may join if everything that it and the crates of this workspace below it name as a
dependency has the same features in the group as it would have for that crate alone. What is compiled of a crate is then the same as alone.

Prints the groups, and ends with the status of the first check that fails.
"""

import json
import subprocess
import sys


def cargo(*arguments):
    done = subprocess.run(["cargo", *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def packages_of(crates):
    return [argument for crate in crates for argument in ("--package", crate)]


def features(crates):
    """{package with its version: the features that it has} where these crates are compiled together."""
    told = cargo("tree", "--locked", "-e", "normal", "--prefix", "none", "-f", "{p}|{f}", *packages_of(crates))
    found = {}
    for line in told.splitlines():
        package, _, enabled = line.removesuffix(" (*)").partition("|")
        found.setdefault(" ".join(package.split(" ")[:2]), set()).update(enabled.split(","))
    return found


def named(crate, dependencies):
    """What the crate and those of this workspace below it name as dependencies, and these crates themselves."""
    crates, waiting = set(), [crate]
    while waiting:
        name = waiting.pop()
        if name in dependencies and name not in crates:
            crates.add(name)
            waiting += dependencies[name]
    return crates.union(*(dependencies[name] for name in crates))


def groups(dependencies):
    alone = {crate: features([crate]) for crate in dependencies}
    wanted = {}
    for crate in dependencies:
        names = named(crate, dependencies)
        wanted[crate] = {package: has for package, has in alone[crate].items() if package.split(" ")[0] in names}

    def is_as_alone(crates, together):
        return all(together[package] == has for crate in crates for package, has in wanted[crate].items())

    made = []
    # Large ones first: the others mostly need a part of what they need.
    for crate in sorted(dependencies, key=lambda crate: -len(alone[crate])):
        for group, together in made:
            joined = {package: together.get(package, set()) | has for package, has in alone[crate].items()}
            if is_as_alone([*group, crate], together | joined):
                group.append(crate)
                together.update(joined)
                break
        else:
            made.append(([crate], dict(alone[crate])))
    for group, _ in made:
        assert is_as_alone(group, features(group)), group
        yield group


def main():
    metadata = json.loads(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))
    dependencies = {
        package["name"]: {each["name"] for each in package["dependencies"] if each["kind"] is None}
        for package in metadata["packages"]
    }
    for group in groups(dependencies):
        print("alone:", ", ".join(sorted(group)), flush=True)
        cargo("check", "--quiet", "--locked", *packages_of(group))


if __name__ == "__main__":
    main()
