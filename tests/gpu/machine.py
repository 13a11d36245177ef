"""The machine and its GPUs, by nvidia-smi, and the memory that this machine's processes use on them."""

import shutil
import subprocess


def ask(fields):
    """Rows of nvidia-smi's answer; none without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return []
    return [[cell.strip() for cell in line.split(",")] for line in found.stdout.splitlines()]


def gpus():
    """(name, driver, MiB of memory, compute capability) of each."""
    return ask("name,driver_version,memory.total,compute_cap")


def used_mib(gpu=0):
    """MiB in use on a GPU, of all processes: what a driver tells everywhere, in a container as well."""
    rows = ask("memory.used")
    return int(rows[gpu][0]) if gpu < len(rows) else 0
