"""How much memory this process may use, and whether batches made ahead fit into it."""

from pathlib import Path

from tarn.sharding.errors import UsageError

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
MUCH = 0.5  # of the limit: beyond that a human should know


def memory_limit(groups: Path = GROUPS, own: Path = OWN) -> int | None:
    """Bytes that the control group of this process may use, or None where there is no limit or it cannot be read.

    The lowest limit of the group and those above it: memory.max of version 2, memory.limit_in_bytes of version 1
    (Linux, admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
    """
    told = [limit for path in limit_files(groups, own) if (limit := read_limit(path)) is not None]
    return min(told, default=None)


def limit_files(groups: Path, own: Path) -> list[Path]:
    """Those of the roots come first: a container sees its own group as the root."""
    files = [groups / "memory.max", groups / "memory" / "memory.limit_in_bytes"]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return files
    for line in lines:
        _, _, rest = line.partition(":")
        kinds, _, name = rest.partition(":")
        if kinds and "memory" not in kinds.split(","):
            continue
        root, file = (groups / "memory", "memory.limit_in_bytes") if kinds else (groups, "memory.max")
        place = root / name.strip("/")
        while place != root and root in place.parents:
            files.append(place / file)
            place = place.parent
    return files


def read_limit(path: Path) -> int | None:
    try:
        limit = int(path.read_text())
    except (OSError, ValueError):  # "max" says that there is none
        return None
    return limit if limit < 2**60 else None  # version 1 says so by a number near 2^63


def check_room(needed: int, ranks: int, limit: int | None) -> list[str]:
    """A warning where the batches made ahead take much of the memory. needed: bytes of each rank of this host.

    Raises UsageError where they cannot fit.
    """
    if limit is None or needed * ranks <= MUCH * limit:
        return []
    fits = needed * ranks <= limit
    sentence = (
        f"the batches made ahead ({needed / 1e9:.3g} GB a rank, {ranks} on this host) "
        f"{'take much of' if fits else 'do not fit into'} the {limit / 1e9:.3g} GB of memory that this process may "
        "use: lower data.prefetch, or the batch size."
    )
    if not fits:
        raise UsageError(sentence)
    return [sentence]
