"""Every command and every program in docs/inference.md runs, in their order, as it stands there."""

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT
from support.models import val
from support.pages import blocks
from tarn.inference.__main__ import main

COMMAND = ".venv/bin/python -m tarn.inference "
BENCHMARK = ".venv/bin/python -m benchmarks."


@pytest.fixture
def place(model: Path, pictures: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that the page speaks of."""
    for name in ("model.pt", "other.pt"):
        (tmp_path / name).symlink_to(model)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "sample").symlink_to(shards)
    (tmp_path / "pictures").mkdir()
    for number in (1, 2):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(val(pictures, number).read_bytes())
    (tmp_path / "cat.jpg").write_bytes(val(pictures, 3).read_bytes())
    (tmp_path / "list.csv").write_text("path,label\ncat.jpg,3\npictures/1.jpg,4\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _, words = line.rpartition(COMMAND)
    if before:
        made = subprocess.run(before.rstrip("| "), shell=True, capture_output=True, check=True).stdout
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(made)))
    assert main(shlex.split(words)) == 0, line


def test_every_snippet_runs(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    commands, names = 0, dict[str, object]()
    for block in blocks((ROOT / "docs" / "inference.md").read_text()):
        if block.startswith(BENCHMARK):
            continue
        if COMMAND not in block:
            exec(compile(block, "docs/inference.md", "exec"), names)
            continue
        for line in block.splitlines():
            run(line, monkeypatch)
            commands += 1
    assert commands == 8
    assert [len(names[name].guesses) for name in ("one",)] == [3]  # type: ignore[attr-defined]
    assert len(names["guesses"]) == 5  # type: ignore[arg-type]
    told = capsys.readouterr().out
    assert "top-1 " in told
    assert "only public addresses are read" in told
    assert {path.name for path in place.iterdir()} >= {"results.csv", "results.parquet", "embeddings.parquet"}


def test_help_names_every_word_of_the_page_and_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from tarn.inference.__main__ import main; main()"
    command = [sys.executable, "-c", code, "predict", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    page = (ROOT / "docs" / "inference.md").read_text().partition("## Measured")[0]
    assert [word for word in set(re.findall(r"--[a-z][a-z-]+", page)) if word not in told] == []
