"""What the image for CUDA has in the place of ONNX Runtime for the CPU: its library for CUDA, and NVIDIA's, both of Python packages."""

import functools
import importlib.metadata
import os
import re

from .contents import Failure, glibc_floor, run

# Below it the server looks for what the provider needs: nvidia/*/lib, the folders of NVIDIA's packages.
PLACE = "usr/lib/hippocamp"
PROVIDER = "libonnxruntime_providers_cuda.so"
# What the provider and NVIDIA's libraries open by name.
OPENED = (
    *("libcudnn.so.", "libcudnn_graph.so.", "libcudnn_ops.so.", "libcudnn_cnn.so.", "libcudnn_adv.so."),
    *("libcudnn_heuristic.so.", "libcudnn_engines_precompiled.so.", "libcudnn_engines_runtime_compiled.so."),
    *("libcufft.so.", "libnvrtc.so.", "libnvrtc-builtins.so."),
)
# What nobody opens: a second build of NVRTC, and the interfaces of BLAS and of FFTW.
UNUSED = re.compile(r"\.alt\.so|^libnvblas\.|^libcufftw\.")
# The driver's libraries, which the host brings.
DRIVER = re.compile(r"^lib(cuda|nvidia-ml)\.so")
LICENCES = re.compile(r"^(licen[cs]e|thirdpartynotices)[.a-z]*$", re.IGNORECASE)


def needed(path):
    """The libraries that a library is linked with."""
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "--dynamic", "--wide", path]).decode())


class Engine:
    """Packages that pip installed into a folder of their own: onnxruntime-gpu and those of NVIDIA."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        capi = os.path.join(self.folder, "onnxruntime", "capi")
        names = sorted(os.listdir(capi)) if os.path.isdir(capi) else []
        library = [name for name in names if re.fullmatch(r"libonnxruntime\.so\.\d+\.\d+\.\d+", name)]
        if len(library) != 1 or PROVIDER not in names:
            raise Failure(f"{folder} has no ONNX Runtime for CUDA: pip install --no-deps --target {folder} onnxruntime-gpu")
        # The path in the image, and the file.
        self.runtime = {f"{PLACE}/libonnxruntime.so": os.path.join(capi, library[0])}
        self.runtime |= {f"{PLACE}/{name}": os.path.join(capi, name) for name in names if name.startswith("libonnxruntime_providers_")}
        self.nvidia = {}
        parts = os.path.join(self.folder, "nvidia")
        for part in sorted(os.listdir(parts)) if os.path.isdir(parts) else []:
            libraries = os.path.join(parts, part, "lib")
            for name in sorted(os.listdir(libraries)) if os.path.isdir(libraries) else []:
                if ".so" in name and not UNUSED.search(name):
                    paths = self.nvidia.setdefault(part, {})
                    paths[f"{PLACE}/nvidia/{part}/lib/{name}"] = os.path.join(libraries, name)
        self.check()

    def check(self):
        """Failure if a library is missing that the provider would not be opened without."""
        there = {os.path.basename(path) for paths in self.nvidia.values() for path in paths}
        wanted = {PROVIDER: os.path.join(self.folder, "onnxruntime", "capi", PROVIDER)}
        wanted |= {os.path.basename(path): file for paths in self.nvidia.values() for path, file in paths.items()}
        missing = [f"{prefix}N, which is opened by name" for prefix in OPENED if not any(name.startswith(prefix) for name in there)]
        for name, file in wanted.items():
            lacks = [one for one in needed(file) if re.match("lib(cu|nv)", one) and not DRIVER.match(one) and one not in there]
            missing += [f"{one}, which {name} is linked with" for one in lacks]
        if missing:
            raise Failure(f"the packages in {self.folder} lack\n\n" + "\n".join(f"    {one}" for one in missing))

    def files(self):
        return {path: file for paths in (self.runtime, *self.nvidia.values()) for path, file in paths.items()}

    def glibc(self):
        """The oldest C library that all of them run with."""
        return max(glibc_floor(file) for file in self.files().values() if "libonnxruntime" in file)

    def distributions(self):
        """The packages, each with its licence files by their names."""
        for one in sorted(importlib.metadata.distributions(path=[self.folder]), key=lambda one: one.metadata["Name"]):
            name = one.metadata["Name"]
            if name.startswith(("nvidia-", "onnxruntime")):
                texts = {os.path.basename(file): one.locate_file(file) for file in one.files or [] if LICENCES.match(os.path.basename(file))}
                yield name, one, {title: str(path) for title, path in texts.items() if os.path.isfile(path)}

    def components(self):
        """The packages as CycloneDX names them."""
        made = []
        for name, one, _ in self.distributions():
            ref = f"pkg:pypi/{name}@{one.version}"
            licence = one.metadata["License-Expression"] or one.metadata["License"] or "see the package"
            made.append({"type": "library", "bom-ref": ref, "name": name, "version": one.version, "purl": ref, "licenses": [{"license": {"name": licence}}]})
        return made

    def layers(self):
        """(what is in it, what fills it), of what changes least first."""
        for part, paths in self.nvidia.items():
            yield f"NVIDIA's libraries, {part}", functools.partial(copy, paths)
        licences = {}
        for name, _, texts in self.distributions():
            licences |= {f"usr/share/doc/hippocamp/{name}/{title}": path for title, path in texts.items()}
        yield "ONNX Runtime for CUDA", functools.partial(copy, self.runtime | licences)


def copy(paths, tar):
    for path, file in sorted(paths.items()):
        tar.copy(path, file)
