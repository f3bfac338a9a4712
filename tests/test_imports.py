"""The arrows between the packages: sharding <- training <- inference."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY = {
    "sharding": {"sharding"},
    "training": {"sharding", "training"},
    "inference": {"sharding", "training", "inference"},
}
OURS = {*MAY, "tests", "benchmarks", "configs"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", MAY)
def test_a_package_imports_only_what_stands_before_it(package: str) -> None:
    paths = list((ROOT / package).rglob("*.py"))
    assert paths
    for path in paths:
        assert imported(path) & OURS <= MAY[package], path


def test_sharding_imports_no_torch() -> None:
    assert not [path for path in (ROOT / "sharding").rglob("*.py") if "torch" in imported(path)]
