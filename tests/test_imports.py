"""The floor plan: which folder may use which. ARCHITECTURE.md draws it; this table is what holds."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from support.checkout import ROOT

# What stands: what it may use, of what stands above. A line is a folder, or a file that stands higher than its folder.
GROUND = {"sharding"}  # errors, progress, cores, sizes, kernel
DISK = GROUND | {"sharding/storage", "sharding/format", "sharding/archives"}
SOURCES = {"sharding/sources", "sharding/resharding", "sharding/sources/find"}
PIXELS = {"training/pixels", *(f"training/pixels/{it}" for it in ("geometry", "formats", "jpeg", "resize"))}
STREAM = {"training/streaming", "training/streaming/randomness", "training/streaming/processes"}
FIELDS = {"training/streaming/fields"}
MAY_USE = {
    "tarn": set(),
    "sharding": {"tarn"},
    "sharding/storage": GROUND,
    "sharding/jpeg": GROUND,
    "sharding/format": GROUND | {"sharding/storage"},
    "sharding/archives": GROUND | {"sharding/storage", "sharding/format"},
    "sharding/sources": DISK,
    "sharding/foreign": DISK | {"sharding/sources"},
    "sharding/looking": DISK | {"sharding/foreign"},
    "sharding/resharding": DISK | {"sharding/sources", "sharding/foreign", "sharding/looking"},
    "sharding/sources/find": DISK | {"sharding/sources", "sharding/foreign", "sharding/resharding"},
    "sharding/sources/words": DISK | {"sharding/sources", "sharding/resharding", "sharding/sources/find"},
    "sharding/packing": DISK | SOURCES | {"sharding/foreign", "sharding/jpeg"},
    "sharding/packing/engines": DISK | SOURCES | {"sharding/packing"},
    "sharding/packing/pack": DISK | SOURCES | {"sharding/packing", "sharding/packing/engines"},
    "sharding/packing/repair": DISK | SOURCES | {"sharding/packing", "sharding/packing/engines"},
    "sharding/sample": GROUND,
    "sharding/interchange": DISK | {"sharding/foreign", "sharding/looking"},
    "sharding/checking": DISK | SOURCES | {"sharding/foreign", "sharding/packing", "sharding/looking"},
    "sharding/showing": DISK
    | {"sharding/jpeg", "sharding/sources", "sharding/foreign", "sharding/packing", "sharding/looking"}
    | {"sharding/interchange"},
    "sharding/statistics": DISK | {"sharding/foreign", "sharding/packing", "sharding/looking"},
    "sharding/verify": DISK | SOURCES | {"sharding/foreign", "sharding/interchange", "sharding/checking"},
    "sharding/stats": DISK | {"sharding/statistics"},
    "sharding/diff": DISK | {"sharding/foreign", "sharding/looking"},
    "sharding/prune": DISK,
    "sharding/commands": DISK
    | SOURCES
    | {"sharding/sources/words", "sharding/looking", "sharding/interchange", "sharding/showing", "sharding/statistics"}
    | {"sharding/verify", "sharding/diff", "sharding/prune"},
    "sharding/__main__": DISK
    | SOURCES
    | {"sharding/sources/words", "sharding/jpeg", "sharding/foreign", "sharding/packing", "sharding/packing/engines"}
    | {"sharding/packing/pack", "sharding/packing/repair", "sharding/sample"}
    | {"sharding/interchange", "sharding/commands"},
    "training": GROUND | {"tarn"},
    "training/world": GROUND,
    "training/pixels/jpeg": GROUND | {"sharding/jpeg"},
    "training/pixels/resize": GROUND,
    "training/pixels/geometry": GROUND,
    "training/pixels/formats": GROUND | {"sharding/jpeg", "training/pixels/jpeg", "training/pixels/geometry"},
    "training/pixels": GROUND
    | {"sharding/jpeg", *(f"training/pixels/{it}" for it in ("geometry", "formats", "jpeg", "resize"))},
    "training/streaming/randomness": GROUND,
    "training/streaming/fields": DISK
    | PIXELS
    | {"sharding/jpeg", "sharding/sources", "sharding/foreign", "sharding/looking"},
    "training/streaming": DISK | PIXELS | FIELDS | {"training/world", "training/streaming/randomness"},
    "training/streaming/processes": GROUND,
    "training/streaming/remote": DISK | STREAM,
    "training/streaming/workers": DISK | STREAM | PIXELS | FIELDS | {"training/streaming/remote"},
    "training/streaming/holdout": DISK | STREAM | {"training/streaming/remote"},
    "training/streaming/parts": DISK
    | STREAM
    | {"sharding/sources", "sharding/foreign", "sharding/looking"}
    | {"training/streaming/remote", "training/streaming/holdout"},
    "training/streaming/planned": DISK | STREAM | {"training/streaming/remote", "training/streaming/workers"},
    "training/streaming/loader": DISK
    | STREAM
    | PIXELS
    | FIELDS
    | {"training/world", "training/streaming/parts", "training/streaming/planned"},
    "training/streaming/testing": GROUND | {"training/streaming", "training/streaming/loader"},
    "training/streaming/sequential": DISK
    | STREAM
    | PIXELS
    | {"training/world", "training/streaming/loader", "sharding/foreign"},
    "training/adapters": GROUND | STREAM | {"sharding/storage", "training/pixels", "training/streaming/planned"},
    "training/streaming/__init__": STREAM
    | PIXELS
    | FIELDS
    | {"training/streaming/loader", "training/streaming/sequential"},
    "training/model": GROUND | {"sharding/storage"},
    "training/recipe": GROUND | {"training/pixels", "training/streaming/randomness"},
    "training/evaluation": DISK
    | STREAM
    | PIXELS
    | {"training/world", "training/streaming/holdout", "training/streaming/planned"},
    "training/plain": GROUND,
    "training/export": DISK
    | STREAM
    | PIXELS
    | {"training/world", "training/streaming/holdout", "training/streaming/planned"}
    | {"training/model", "training/evaluation", "training/plain"},
    "training/run": DISK
    | STREAM
    | PIXELS
    | {"training", "training/world", "training/streaming/planned", "training/model", "training/recipe"}
    | {"training/evaluation", "training/export", "training/streaming/holdout", "training/streaming/parts"},
    "training/forecast": DISK
    | STREAM
    | {"training", "training/world", "training/recipe", "training/run"}
    | {"training/streaming/holdout", "training/streaming/remote", "training/streaming/parts"},
    "training/__main__": GROUND
    | {
        "sharding/storage",
        "training",
        "training/world",
        "training/model",
        "training/recipe",
        "training/evaluation",
        "training/export",
        "training/run",
        "training/forecast",
    },
    "inference/models": DISK | PIXELS | {"training/world", "training/model", "training/plain", "training/export"},
    "inference/limits": GROUND | {"sharding/jpeg"},
    "inference/urls": GROUND,
    "inference/given": GROUND | PIXELS | {"sharding/storage", "inference/limits", "inference/urls"},
    "inference/prediction": {"sharding"},
    "inference/downloading": DISK,
    "inference/pictures": DISK | {"sharding/sources", "sharding/foreign", "inference/given", "inference/limits"},
    "inference/sources": DISK | {"sharding/sources", "sharding/foreign", "inference/pictures", "inference/downloading"},
    "inference": DISK
    | PIXELS
    | {"tarn", "training/export", "inference/models", "inference/limits", "inference/urls", "inference/given"}
    | {"inference/prediction", "inference/downloading"},
    "inference/bulk": DISK
    | PIXELS
    | {"sharding/foreign", "training/world", "training/streaming/processes", "inference/models", "inference/limits"}
    | {"inference/urls", "inference/given", "inference/prediction", "inference/pictures", "inference/downloading"}
    | {"inference/sources", "inference"},
    "inference/comparing": DISK
    | {"sharding/foreign", "training/export", "inference/models", "inference/prediction", "inference/pictures"}
    | {"inference/sources", "inference"},
    "inference/explaining": GROUND | {"inference/models"},
    "inference/page": set(),
    "inference/serving": GROUND
    | PIXELS
    | {"inference/explaining", "inference/models", "inference/urls", "inference/page", "inference/prediction"}
    | {"inference"},
    "inference/commands": GROUND
    | {
        "sharding/storage",
        "sharding/sources",
        "inference/urls",
        "inference/limits",
        "inference/given",
        "inference/prediction",
    }
    | {
        "inference/pictures",
        "inference/sources",
        "inference",
        "inference/bulk",
        "inference/comparing",
        "inference/serving",
    },
    "inference/__main__": GROUND | {"inference", "sharding/storage", "inference/commands"},
}
PACKAGES = ("tarn", "sharding", "training", "inference")
TASK = re.compile(r"(tarn(?:\.\w+)+)(?::\w+)?")  # a module that is named in a text, to be run in another process


def place(path: Path) -> str:
    """The line of the table that a file belongs to: its own, or that of its folder."""
    name = str(path.relative_to(ROOT).with_suffix(""))
    return name if name in MAY_USE else str(path.relative_to(ROOT).parent)


def files() -> list[Path]:
    """tarn's own files and those of the three folders that its links lead to, under their own names."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).glob("**/*.py"))]


def folders() -> set[str]:
    """All that hold a file of whatever kind."""
    found = (path for package in PACKAGES for path in (ROOT / package).glob("**/*") if path.is_file())
    return {str(path.parent.relative_to(ROOT)) for path in found if path.parent.name != "__pycache__"}


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module or name that is imported anywhere in a file, and every module that a text in it names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (named := TASK.fullmatch(node.value)):
            found.add(named[1])
    return frozenset(found)


def used(path: Path) -> Iterator[Path]:
    """The files that a file uses."""
    for name in imported(path):
        first, *rest = name.split(".")
        if first == "tarn":
            yield file_of(rest)


def file_of(names: list[str]) -> Path:
    """Of a module, or of the one that holds the name behind it."""
    for parts in (names, names[:-1]):
        base = ROOT.joinpath(*parts) if parts and parts[0] in PACKAGES else ROOT.joinpath("tarn", *parts)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    raise AssertionError(f"no file holds tarn.{'.'.join(names)}")


def test_every_folder_stands_in_the_floor_plan() -> None:
    found = {place(path) for path in files()} | folders()
    assert found <= set(MAY_USE), f"say in MAY_USE what they may use: {found - set(MAY_USE)}"
    assert found == set(MAY_USE), f"of the floor plan, these do not stand any more: {set(MAY_USE) - found}"


@pytest.mark.parametrize("line", MAY_USE)
def test_a_folder_uses_only_what_it_may(line: str) -> None:
    for path in files():
        if place(path) == line:
            assert {place(other) for other in used(path)} - {line} <= MAY_USE[line], path


def test_imports_say_what_they_use() -> None:
    """`from tarn.x.y import z`: of `import tarn` or a relative import nobody could tell by reading it."""
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert "tarn" not in {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                assert node.module != "tarn", path


def test_arrows_run_one_way() -> None:
    lines = list(MAY_USE)
    for at, (line, others) in enumerate(MAY_USE.items()):
        assert others <= set(lines[:at]), f"{line} may use what does not stand above it: {others - set(lines[:at])}"


def test_no_file_uses_itself_by_way_of_others() -> None:
    users = {path: set(used(path)) - {path} for path in files()}
    TopologicalSorter(users).prepare()  # raises CycleError, which names them


def test_nobody_imports_the_folders_by_the_name_that_others_have_too() -> None:
    for path in (*files(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")):
        bare = {name for name in imported(path) if name.split(".")[0] in ("sharding", "training", "inference")}
        assert not bare or path.name == "test_names.py", path


def test_nothing_else_at_the_top_is_a_package() -> None:
    found = {path.parent.name for path in ROOT.glob("[!.]*/*.py")}
    assert found - {"build", "runs"} <= {*PACKAGES, "tests", "benchmarks"}


def test_the_packages_know_nothing_of_tests_and_benchmarks() -> None:
    for path in files():
        assert not {name.split(".")[0] for name in imported(path)} & {"tests", "benchmarks", "support"}, path


def test_sharding_imports_no_torch() -> None:
    for path in (ROOT / "sharding").rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"torch", "torchvision"}, path
