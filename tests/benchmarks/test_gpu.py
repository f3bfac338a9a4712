"""What the GPU script says: how it is called, and what a rehearsal's figures are worth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.verdicts import Verdicts
from support.checkout import ROOT


def called(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_luggage_of_nothing_is_answered_by_its_usage(tmp_path: Path) -> None:
    for words in ([], ["--help"]):
        done = called("bash", "benchmarks/gpu_luggage.sh", *words)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: bash benchmarks/gpu_luggage.sh PHOTOGRAPHS [ARCHIVE...]\n")
    done = called("bash", "benchmarks/gpu_luggage.sh", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/nowhere is not there: give a folder of photographs, then archives.\n"


def test_help_names_the_script_that_was_called() -> None:
    done = called(sys.executable, "-m", "benchmarks.gpu", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: bash benchmarks/gpu_all.sh [-h]")


def test_a_figure_of_a_rehearsal_is_no_verdict_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rehearsal in (True, False):
        verdicts = Verdicts(tmp_path, "speed", rehearsal)
        verdicts.at_least("share", 0.5, 1.0)
        verdicts.fact("images/s", 34.0)
    assert capsys.readouterr().out.splitlines() == [
        "REHEARSED speed: share: 0.5 (says nothing; on a GPU: at least 1)",
        "REHEARSED speed: images/s: 34 (no bar)",
        "FAIL      speed: share: 0.5 (at least 1)",
        "FACT      speed: images/s: 34 (no bar)",
    ]
    told = [json.loads(line)["verdict"] for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert told == ["REHEARSED", "REHEARSED", "FAIL", "FACT"]
