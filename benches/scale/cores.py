"""Which cores are whose. A process inherits the cores of the thread that starts it, as by `taskset`."""

import contextlib
import os
import platform
import subprocess
import sys
import time

ALL = sorted(os.sched_getaffinity(0))
LOOP = "while True: pass"


@contextlib.contextmanager
def on(cores):
    """What this thread starts runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def divide(count):
    """(cores of the server, cores of the clients): the first `count`, and all others. Where none is left, they share."""
    return ALL[:count], ALL[count:] or ALL


@contextlib.contextmanager
def busy(cores):
    """A loop without an end on each of these cores."""
    loops = []
    try:
        for core in cores:
            with on([core]):
                loops.append(subprocess.Popen([sys.executable, "-c", LOOP]))
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def kept():
    """Whether the kernel keeps processes on their cores: two loops on one core get no more than that one. A sandbox may
    accept the call and do nothing.
    """
    if len(ALL) < 2:
        return True
    with busy(ALL[:1] * 2):
        time.sleep(0.3)
        before, begin = sum(map(_children_ticks, _children())), time.monotonic()
        time.sleep(0.7)
        used = sum(map(_children_ticks, _children())) - before
        elapsed = time.monotonic() - begin
    return used / os.sysconf("SC_CLK_TCK") < 1.4 * elapsed


def _children():
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
            if f.read().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.append(entry)
    return found


def _children_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def siblings():
    """Which cores are two threads of one: "0-1, 2-3", or nothing where that is not told."""
    found = set()
    for core in ALL:
        path = f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        with contextlib.suppress(OSError), open(path, encoding="ascii") as f:
            found.add(f.read().strip())
    return ", ".join(sorted(each for each in found if "-" in each or "," in each))


def machine():
    """The machine in words."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    pairs = siblings()
    threads = f", threads of one core: {pairs}" if pairs else ""
    return f"{len(ALL)} cores of {model}{threads}, {memory:.0f} GiB, Linux {platform.release()}"
