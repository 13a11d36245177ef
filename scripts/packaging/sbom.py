"""The bill of materials as CycloneDX 1.6, and the licences of what is linked: both from cargo's own answers."""

import hashlib
import json
import os
import re
import tomllib
import uuid

from .contents import CACHE, MACHINE, ROOT, Failure, read, run

TARGET = f"{MACHINE}-unknown-linux-gnu"
LICENSES = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)


def tree():
    """What is linked into the binary: (depth, name, version, licence, source) in the order of cargo tree."""
    form = "\t{p}\t{l}\t{r}"
    command = ["cargo", "tree", "--locked", "--package", "hippocamp", "--edges", "normal,no-proc-macro", "--target", TARGET]
    for line in run([*command, "--prefix", "depth", "--format", form, "--no-dedupe"], cwd=ROOT).decode().splitlines():
        # Cargo parts the trees of several packages by empty lines.
        if not line:
            continue
        depth, package, licence, repository = line.split("\t")
        name, version = package.split()[:2]
        yield int(depth), name, version.removeprefix("v"), licence, repository


def reference(name, version):
    return f"pkg:cargo/{name}@{version}"


def graph():
    """(components by reference, what each depends on)"""
    components, edges, path = {}, {}, []
    for depth, name, version, licence, repository in tree():
        ref = reference(name, version)
        components[ref] = (name, version, licence, repository)
        del path[depth:]
        if path:
            edges.setdefault(path[-1], set()).add(ref)
        edges.setdefault(ref, set())
        path.append(ref)
    if len(components) < 50:
        raise Failure(f"cargo tree tells of {len(components)} crates only")
    return components, edges


def checksums():
    """SHA-256 of each crate of the registry, from Cargo.lock."""
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as f:
        packages = tomllib.load(f)["package"]
    return {reference(one["name"], one["version"]): one["checksum"] for one in packages if "checksum" in one}


def expression(licence):
    """Cargo's older way to write OR is a slash."""
    return re.sub(r"\s*/\s*", " OR ", licence)


def component(ref, name, version, licence, repository, digest):
    made = {"type": "library", "bom-ref": ref, "name": name, "version": version, "purl": ref}
    if licence:
        made["licenses"] = [{"expression": expression(licence)}]
    if digest:
        made["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if repository.startswith("http"):
        made["externalReferences"] = [{"type": "vcs", "url": repository}]
    return made


def engine():
    """ONNX Runtime, which the packages bring or depend on."""
    library = read(os.path.join(CACHE, "onnxruntime", "lib", "libonnxruntime.so"))
    version = re.search(r'^ONNXRUNTIME = "(.*)"$', read(os.path.join(ROOT, "scripts", "fetch")).decode(), re.MULTILINE)[1]
    ref = f"pkg:pypi/onnxruntime@{version}"
    digest = {"alg": "SHA-256", "content": hashlib.sha256(library).hexdigest()}
    licence = [{"expression": "MIT"}]
    return {"type": "library", "bom-ref": ref, "name": "onnxruntime", "version": version, "purl": ref, "hashes": [digest], "licenses": licence}


def bill(engines=None):
    """The document as bytes: the same for the same sources. ENGINES are components, by default ONNX Runtime for the CPU."""
    components, edges = graph()
    sums, engines = checksums(), engines or [engine()]
    (root,) = [ref for ref, about in components.items() if about[0] == "hippocamp"]
    listed = [component(ref, *about, sums.get(ref)) for ref, about in sorted(components.items()) if ref != root]
    main = component(root, *components[root], None) | {"type": "application"}
    for one in engines:
        edges[root].add(one["bom-ref"])
        edges[one["bom-ref"]] = set()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
        "components": [*listed, *engines],
        "dependencies": [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(edges.items())],
    }
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True)).urn
    return json.dumps(document, indent=1).encode()


def notices():
    """The licence texts of all crates that are linked, each text once, with the crates it is of."""
    metadata = json.loads(run(["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET], cwd=ROOT))
    folders = {reference(one["name"], one["version"]): os.path.dirname(one["manifest_path"]) for one in metadata["packages"]}
    texts = {}
    for ref, (name, version, licence, _) in sorted(graph()[0].items()):
        if name.startswith("hippocamp"):
            continue
        found = sorted(entry for entry in os.listdir(folders[ref]) if LICENSES.match(entry))
        found = [path for entry in found if os.path.isfile(path := os.path.join(folders[ref], entry))]
        for text in [read(path).decode("utf-8", "replace").strip() for path in found] or [f"{licence}, of which the crate has no text."]:
            texts.setdefault(text, []).append(f"{name} {version} ({licence})")
    line = "-" * 80
    parts = [f"{line}\n" + "\n".join(crates) + f"\n{line}\n\n{text}\n" for text, crates in texts.items()]
    return ("What is linked into hippocamp, and under which terms.\n\n" + "\n".join(parts)).encode()
