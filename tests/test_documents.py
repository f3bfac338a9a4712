"""What is written about files is true: every path in documents, docstrings and comments exists."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.checkout import ROOT

CODE = ("tarn", "sharding", "training", "inference", "tests", "benchmarks")
DOCUMENTS = [
    *("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "Makefile", "pyproject.toml"),
    *sorted(str(path.relative_to(ROOT)) for pattern in ("docs/*.md", "configs/*.yaml") for path in ROOT.glob(pattern)),
]
SUFFIXES = ("py", "c", "h", "sh", "md", "yaml", "toml")
TOP = "sharding|training|inference|tests|benchmarks|configs|docs"
PATH = re.compile(rf"(?<![\w/.*<{{-])/?\w[\w.-]*(?:/[\w.-]+)*\.(?:{'|'.join(SUFFIXES)})\b(?!\w)")
FOLDER = re.compile(rf"(?<![\w/.<-])(?:{TOP})(?:/[\w-]+)+/?(?![\w/*<-]|\.\w)")
MODULE = re.compile(r"(?<![\w./-])(?:tarn\.)?(?:sharding|training|inference)(?:\.[a-z_]\w*)+")
# what a run writes, and what other people's projects hold
THEIRS = {"config.yaml", "/config.yaml", "run.yaml", "training.py", "inference.py", "split.yaml", "dataset.yaml"}
# what readers of the guide save
THEIRS |= set(re.findall(r"^    # (\w+\.py)$", (ROOT / "docs/loader-guide.md").read_text(), re.MULTILINE))
# sources that ours are measured by: libjpeg-turbo's, Pillow's, FFCV's
THEIRS |= {"augment.py", "tilts.py", "turns.py"}  # of somebody who writes hooks
THEIRS |= {"jidctred.c", "jdmaster.c", "jdsample.c", "Resample.c", "write_imagenet.py"}


def tracked() -> set[str]:
    """Files of the checkout and their folders, as paths from its root."""
    files = {path for folder in (*CODE, "configs", "docs", ".ci") for path in (ROOT / folder).rglob("*.*")}
    files |= {path for path in ROOT.iterdir() if path.is_file()}
    found = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    return found | {str(parent) for name in found for parent in Path(name).parents}


EXISTING = tracked()
SUFFIXES = {"py", "c", "h", "sh", "md", "yaml", "toml"}
EXISTING |= {name.removesuffix(".py") for name in EXISTING}  # as modules are named
ENDINGS = {name[at + 1 :] for name in EXISTING for at in [-1, *(i for i, sign in enumerate(name) if sign == "/")]}


def named(text: str) -> Iterator[str]:
    yield from (match[0] for match in PATH.finditer(text))
    yield from (match[0].rstrip("/") for match in FOLDER.finditer(text))
    for match in MODULE.finditer(text):
        name = match[0].removeprefix("tarn.")
        if name.rsplit(".")[-1] not in SUFFIXES:
            yield name.replace(".", "/")


def words_of(path: Path) -> Iterator[str]:
    """Docstrings and comments of a Python file, comments of a C file."""
    text = path.read_text()
    if path.suffix != ".py":
        yield from re.findall(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    assert text
    assert not [name for name in named(text) if name not in ENDINGS | THEIRS]


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name.startswith(("README", "docs/", "configs/"))])
def test_every_command_in_a_document_runs_by_the_environment_of_the_checkout(document: str) -> None:
    assert not re.findall(r"(?<!\.venv/bin/)python -m (?:tarn\.|benchmarks\.)\S*", (ROOT / document).read_text())


def test_what_is_next_is_told_after_a_training_and_not_after_a_dry_run() -> None:
    train = ["make", "-n", "train", "CONFIG=configs/sample.yaml", "SHARDS=build/elsewhere"]
    told = [
        subprocess.run([*train, f"ARGS={words}"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in ("--seed=1", "--seed=1 --dry-run")
    ]
    assert ["Next: make eval" in each for each in told] == [True, False]


def test_every_guarantee_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "guarantees.md").read_text())
    assert named
    for path, name in named:
        functions = [node for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)]
        assert name in [function.name for function in functions], f"{path}::{name}"


@pytest.mark.parametrize("folder", CODE)
def test_every_path_in_docstrings_and_comments_exists(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / folder).rglob("*.*"))
        if path.suffix in (".py", ".c", ".h")
        for words in words_of(path)
        for name in named(words)
        if name not in ENDINGS | THEIRS
    ]
    assert not wrong
