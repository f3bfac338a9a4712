"""The judge of benchmarks/pictures.py: it finds what it is for."""

import numpy as np
import pytest

from benchmarks import judging
from benchmarks.judging import WAYS, Judge
from benchmarks.made import harmed, rare
from support.jpegs import by_pillow, jpeg
from tarn.sharding.packing.preparation import DamagedError, Prepared
from tarn.sharding.pillow import BrokenPictureError


def test_sound_pictures_of_every_kind_are_packed_and_have_pillows_pixels() -> None:
    judge = Judge()
    for data, boxes in ((jpeg(200, 150), 8), (by_pillow(200, 150, "P", "GIF"), 0), (by_pillow(90, 60, "CMYK"), 0)):
        found = judge.judge(data, 0)
        assert found.wrong == []
        assert (found.pillow, set(found.packing.values())) == ("reads", {"packed"})
        assert found.evaluations == 1
        assert found.crops == 4
        assert (found.boxes > 0) == (boxes > 0)


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
