"""The judge of benchmarks/pictures.py: it finds what it is for."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import judging
from benchmarks.judging import WAYS, Judge
from benchmarks.made import harmed, rare
from benchmarks.pictures import Lost, main, outcomes
from support.jpegs import by_pillow, jpeg
from tarn.sharding.packing.preparation import DamagedError, Prepared
from tarn.sharding.pillow import BrokenPictureError


def test_sound_pictures_of_every_kind_are_packed_and_have_pillows_pixels() -> None:
    judge = Judge()
    kinds = ((jpeg(200, 150), 16, 2), (by_pillow(200, 150, "P", "GIF"), 0, 1), (by_pillow(90, 60, "CMYK"), 0, 1))
    for data, boxes, times in kinds:  # what is tiled is looked at as it was, too
        found = judge.judge(data, 0)
        assert found.wrong == []
        assert (found.pillow, set(found.packing.values())) == ("reads", {"packed"})
        assert (found.boxes, found.evaluations, found.crops) == (boxes, times, 4 * times)


def test_legal_and_rare_jpegs_and_harmed_ones_go_as_they_go_with_pillow() -> None:
    judge, rng = Judge(), np.random.default_rng(0)
    for _, data in rare(jpeg(97, 61)):
        assert judge.judge(data, 0).tiling == "tiled"
    for number in range(40):
        assert judge.judge(harmed(jpeg(97, 61), rng), number).wrong == []
    assert judge.judge(b"", 0).wrong == []


def test_what_is_passed_that_pillow_does_not_read_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "prepare", lambda data, picture, how: Prepared(data, None))
    found = Judge().judge(by_pillow(90, 60, kind="PNG")[:200], 0)
    assert found.wrong == [f"packing {way} passes what Pillow does not read" for way in WAYS]


@pytest.mark.parametrize(
    ("error", "told"), [(DamagedError("odd"), "refuses what Pillow reads"), (KeyError(3), "raised")]
)
def test_what_is_refused_or_raised_is_wrong(error: Exception, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(judging, "prepare", failing)
    found = Judge().judge(jpeg(90, 60), 0)
    assert len(found.wrong) == len(WAYS)
    assert all(told in each for each in found.wrong)


def test_other_pixels_are_wrong_wherever_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    other = jpeg(200, 150, seed=2)
    monkeypatch.setattr(judging, "prepare", lambda data, picture, how: Prepared(other, None))
    found = Judge().judge(jpeg(200, 150), 0)
    assert "packing tiled gave other pixels" in found.wrong
    assert "evaluation has other pixels" in found.wrong
    assert any(each.startswith("training crop") for each in found.wrong)


def test_a_loader_that_breaks_otherwise_than_it_says_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("inside")

    judge = Judge()
    monkeypatch.setattr(judge.exact, "evaluate", failing)
    assert any("evaluation raised RuntimeError: inside" in each for each in judge.judge(jpeg(200, 150), 0).wrong)
    assert any("evaluation raised RuntimeError: inside" in each for each in judge.judge(jpeg(200, 150)[:500], 0).wrong)
    assert not issubclass(RuntimeError, BrokenPictureError)


def harmed_below(data: bytes) -> bytes:
    """A PNG of which the last rows are no longer those that were stored."""
    at = len(data) * 9 // 10
    return data[:at] + b"\xff" * 200 + data[at + 200 :]


def test_a_png_harmed_where_no_crop_shows_it_is_told_apart_and_is_not_wrong() -> None:
    found = Judge().judge(harmed_below(by_pillow(60, 1200, kind="PNG")), 0)
    assert (found.wrong, found.shown) == ([], "a PNG, harmed outside of the crop")


def test_other_pixels_of_a_harmed_png_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge()
    monkeypatch.setattr(judge.exact, "evaluate", lambda data, out, how: out.fill(7))
    found = judge.judge(harmed_below(by_pillow(60, 1200, kind="PNG")), 0)
    assert found.wrong == ["evaluation decodes what Pillow does not read"]


def test_what_training_of_any_fidelity_refuses_or_raises_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("inside")

    judge = Judge()
    monkeypatch.setattr(judge.others["fast"], "train", failing)
    for data in (by_pillow(90, 60, kind="PNG"), jpeg(200, 150)[:500]):
        assert any("training (fast) raised RuntimeError: inside" in each for each in judge.judge(data, 0).wrong)


def test_what_only_packing_makes_decodable_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tars of others hold pictures as they were."""
    judge, data = Judge(), by_pillow(200, 150, progressive=True)
    evaluate = judge.exact.evaluate

    def failing(given: memoryview, *rest: Any) -> None:
        if given == data:
            raise KeyError(6)
        evaluate(given, *rest)

    monkeypatch.setattr(judge.exact, "evaluate", failing)
    (wrong,) = judge.judge(data, 0).wrong
    assert wrong.startswith("evaluation raised KeyError: 6")


@pytest.mark.parametrize("given", ["", "nothing", "a-file.png"])
def test_a_folder_without_files_is_named(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a-file.png").touch()
    folder = tmp_path / given if given else tmp_path / "empty"
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        main([str(folder)])
    assert ended.value.code == 2
    assert f"{folder} is no folder that holds files" in capsys.readouterr().err


def test_a_process_that_ends_is_the_outcome_of_its_file_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one", "deadly", "three")]
    for path in paths:
        path.write_bytes(path.name.encode())
    first, deadly, last = outcomes(die_of_the_deadly, paths, 0)
    assert (first, last) == ("one", "three")
    assert deadly == Lost("its process was ended by SIGKILL (out of memory?)")


def die_of_the_deadly(connection: Connection, paths: list[Path], seed: int) -> None:
    connection.send("ready")
    for path in paths:
        if path.name == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        connection.send(path.name)


def test_a_jpeg_whose_head_pillow_refuses_must_have_the_pixels_of_libjpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, data = Judge(), jpeg(97, 61)
    data = data[:2] + b"\xff\xe0\0\7JFIF\0" + data[20:]  # its version is missing
    assert judge.judge(data, 0).shown == "a JPEG whose head Pillow refuses"
    monkeypatch.setattr(judge.exact, "evaluate", lambda data, out, how: out.fill(7))
    assert "evaluation decodes what Pillow does not read" in judge.judge(data, 0).wrong
