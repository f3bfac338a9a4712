"""Which cores a measurement runs on, and how much memory its processes take."""

import os
import platform
from pathlib import Path


def pin(cores: int) -> None:
    """This process, and all that it starts from now on, stay on the first so many of its cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def describe() -> str:
    """Processor, cores and Python in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for home in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((home / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        parents.setdefault(parent, []).append(int(home.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


def memory(root: int) -> tuple[float, float]:
    """Resident and proportional set size of the tree, in bytes.

    The sum of resident sizes counts pages that several processes share several times; the proportional size divides
    them among all who share them, strangers to the tree included.
    """
    resident = proportional = 0.0
    for process in tree(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: 1024.0 * int(line.split()[1]) for line in lines[1:]}
        resident += sizes.get("Rss", 0.0)
        proportional += sizes.get("Pss", 0.0)
    return resident, proportional
