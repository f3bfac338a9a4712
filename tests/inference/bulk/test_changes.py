"""What changes, goes away or never ends while a result is made, is told; it is not waited for, nor passed over."""

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.models import val
from tarn.inference.__main__ import main
from tarn.inference.bulk import run
from tarn.inference.bulk.parts import Part, Parts
from tarn.inference.sources.words import Sources
from tarn.sharding.errors import TarnError

FAST = ["--device=cpu", "--workers=1"]


@pytest.fixture
def folder(pictures: Path, tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in (1, 2):
        shutil.copy(val(pictures, number), tmp_path / "pictures" / f"{number}.jpg")
    return tmp_path / "pictures"


def another_picture(folder: Path, listing: Path) -> None:
    shutil.copy(folder / "2.jpg", folder / "1.jpg")


def another_label(folder: Path, listing: Path) -> None:
    listing.write_text(listing.read_text().replace("n1", "n2"))


@pytest.mark.parametrize("change", [another_picture, another_label])
def test_parts_of_pictures_that_have_changed_are_made_anew(
    change: Callable[[Path, Path], None], folder: Path, tmp_path: Path
) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text("path,label\npictures/1.jpg,n1\n")
    units = lambda: [unit.key for unit in Sources(words=[str(listing)]).units()]  # noqa: E731
    before = units()
    assert units() == before
    change(folder, listing)
    assert units() != before


def test_parts_of_other_bytes_on_standard_input_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for data in (b"one", b"other", b"one"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        keys.add(Sources(words=["-"]).units()[0].key)
    assert len(keys) == 2


def test_ranks_that_have_seen_other_pictures_are_not_waited_for(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "start_ranks", lambda words, ranks: 0)
    assert main(["predict", str(model), str(folder), f"--out={tmp_path}/r.csv", "--ranks=2", *FAST]) == 1
    assert "its pictures have changed meanwhile: give the same command again" in capsys.readouterr().err


def test_a_part_that_has_no_folder_any_more_is_told_and_not_dropped(tmp_path: Path) -> None:
    parts, part = Parts(tmp_path / "r.csv", {}), Part(0, 0, "0" * 16, 1, 0, True)
    (tmp_path / "r.csv").write_text("an older one")
    with pytest.raises(TarnError, match=r"r\.csv cannot be written"):
        parts.keep(part, b"")
    parts.keep(part, b"", may_be_late=True)


def test_a_pipe_among_the_pictures_of_a_folder_or_a_listing_is_no_picture(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(folder / "pipe.jpg")
    (folder / "list.txt").write_text("pipe.jpg\n")
    assert main(["predict", str(model), str(folder), str(folder / "list.txt"), "--device=cpu"]) == 1
    told = capsys.readouterr()
    assert told.err.count("pipe.jpg cannot be read (it is no regular file)") == 2
    assert told.out.count("%") == 10


def test_a_model_is_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "model.pt")
    for path in (tmp_path / "model.pt", "/dev/zero"):
        for more in ([], [f"--out={tmp_path}/r.csv", *FAST]):
            assert main(["predict", str(path), str(folder), *more]) == 1
            assert f"{path} cannot be read (it is no regular file)" in capsys.readouterr().err


def test_a_name_that_no_disk_takes_is_told(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(model), str(folder), f"--out={'x' * 300}.csv", *FAST]) == 2
    assert "cannot be a file (File name too long)" in capsys.readouterr().err


def test_a_listing_of_halves_of_letters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text('{"path": "\\ud800.jpg"}\n')
    with pytest.raises(TarnError, match="is no path"):
        Sources(words=[str(tmp_path / "list.jsonl")]).units()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_are_shown_by_whatever_a_terminal_can_say(
    encoding: str, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(folder / "1.jpg", os.fsencode(folder / "é") + b"\xff.jpg")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding, errors="strict"))
    assert main(["predict", str(model), str(folder), "--device=cpu"]) == 0
    assert {"ascii": rb"\xe9\udcff.jpg", "utf-8": "é\\udcff.jpg".encode()}[encoding] in out.getvalue()
