import os
from pathlib import Path

import pytest

from tarn.sharding.cores import available_cores

SEEN = len(os.sched_getaffinity(0))


def tree(root: Path, mine: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = root / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "mine").write_text(mine)
    return root / "groups", root / "mine"


@pytest.mark.parametrize(
    ("mine", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, SEEN),
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "100000 100000\n"}, 1),
        ("0::/a/b\n", {"a/b/cpu.max": "6400000 100000\n", "a/cpu.max": "max 100000\n"}, SEEN),
        (
            "4:cpu,cpuacct:/x\n0::/\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            1,
        ),
        (
            "4:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            SEEN,
        ),
        ("3:memory:/x\n", {}, SEEN),
        ("", {}, SEEN),
    ],
)
def test_the_least_quota_above_the_process_counts(mine: str, files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert available_cores(*tree(tmp_path, mine, files)) == cores
