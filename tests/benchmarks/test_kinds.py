"""What is asked of benchmarks in vain is told in a sentence."""

import sys
from pathlib import Path

import pytest

from benchmarks import kinds
from benchmarks.data import prepared


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["kinds", *words])
    with pytest.raises(SystemExit) as ended:
        kinds.main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_fewer_pictures_than_a_batch_are_refused_before_anything_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--pictures=48 --rounds=5: 64 and 1 are the least" in told(monkeypatch, capsys, ".", "--pictures", "48")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_packed_ends_as_pack_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        prepared(tmp_path / "nothing")
    assert ended.value.code == 2
    err = capfd.readouterr().err
    assert err.startswith("error: ")
    assert "Traceback" not in err
