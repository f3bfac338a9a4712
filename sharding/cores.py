"""How many CPU cores this process may use: by its affinity, and by the quota of its control groups.

In a container the quota is what counts: 64 cores may be seen where two are paid for, and 64 processes on two cores only
wait for each other.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS, MINE = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_cores(groups: Path = GROUPS, mine: Path = MINE) -> int:
    """At least one. groups: where control groups are mounted; mine: the file that tells this process's."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in cpu_quotas(groups, mine)]
    return max(1, min([seen, *quotas]))


def cpu_quotas(groups: Path, mine: Path) -> Iterator[float]:
    """Cores that each control group above this process allows (kernel documentation: cgroup-v2, sched-bwc)."""
    for line in read(mine).splitlines():
        _, controllers, path = line.split(":", 2)
        base = groups if not controllers else groups / controllers
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = base / path.lstrip("/")
        for level in (folder, *folder.parents):
            if level.is_relative_to(base):
                yield from quota_of(level)


def quota_of(group: Path) -> Iterator[float]:
    quota, _, period = read(group / "cpu.max").strip().partition(" ")
    if not quota:  # version 1
        quota, period = read(group / "cpu.cfs_quota_us").strip(), read(group / "cpu.cfs_period_us").strip()
    if quota.isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
        yield int(quota) / int(period)


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
