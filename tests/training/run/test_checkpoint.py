import json
from pathlib import Path

import pytest
import torch

from tarn.sharding.errors import TarnError
from tarn.training.run import checkpoint
from tarn.training.run.adoption import adopt


def fill(folder: Path, tops: list[float | None]) -> list[Path]:
    return [
        checkpoint.save(folder, step, {"w": torch.full((100,), float(step))}, {"top1": top})
        for step, top in enumerate(tops)
    ]


def test_the_newest_comes_back_whole(tmp_path: Path) -> None:
    fill(tmp_path, [0.1, 0.2])
    found, complaints = checkpoint.newest(tmp_path)
    assert found is not None
    assert torch.equal(found["w"], torch.ones(100))
    assert found["step"] == 1
    assert complaints == []


def test_an_empty_folder_holds_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") == (None, [])


@pytest.mark.parametrize("harm", ["cut", "flip", "remove"])
def test_a_damaged_newest_falls_back_to_the_one_before_and_is_named(tmp_path: Path, harm: str) -> None:
    newest = fill(tmp_path, [None, None, None])[-1]
    raw = bytearray(newest.read_bytes())
    if harm == "remove":
        newest.unlink()
    else:
        raw[len(raw) // 2] ^= 1
        newest.write_bytes(raw if harm == "flip" else raw[:-1])
    found, complaints = checkpoint.newest(tmp_path)
    assert found is not None
    assert found["step"] == 1
    assert len(complaints) == 1
    assert newest.name in complaints[0]


def test_a_checkpoint_that_lost_its_marker_is_examined_used_and_said(tmp_path: Path) -> None:
    paths = fill(tmp_path, [None, None, None, None])
    for path in paths:
        path.with_suffix(".json").unlink()
    raw = bytearray(paths[3].read_bytes())
    raw[raw.index(torch.full((100,), 3.0).numpy().tobytes()) + 8] ^= 1  # a bit of a weight: the file loads all the same
    paths[3].write_bytes(raw)
    paths[2].write_bytes(paths[0].read_bytes())
    said = adopt(tmp_path)
    assert [("sound" in sentence, path.name in sentence) for sentence, path in zip(said, paths, strict=True)] == [
        (True, True), (True, True), (False, True), (False, True)
    ]  # fmt: skip
    found, _ = checkpoint.newest(tmp_path)
    assert found is not None
    assert found["step"] == 1
    checkpoint.save(tmp_path, 4, {}, {})
    checkpoint.retain(tmp_path, keep_last=2, step=4)
    assert all(path.exists() for path in paths[2:])  # nobody can tell what they are: they are not ours to delete


def test_a_run_does_not_begin_anew_beside_checkpoints_that_cannot_be_told(tmp_path: Path) -> None:
    (path,) = fill(tmp_path, [None])
    path.with_suffix(".json").unlink()
    path.write_bytes(path.read_bytes()[:-100])
    adopt(tmp_path)
    with pytest.raises(TarnError, match=r"step-00000000\.pt has no marker"):
        checkpoint.newest(tmp_path)
    assert path.exists()


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 6e29])
def test_a_diverged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, poison: float) -> None:
    for step, value in ((1, 1.0), (2, poison)):
        checkpoint.save(tmp_path, step, {"trainer": {"model": {"fc.weight": torch.tensor([0.5, value])}}}, {})
    found, complaints = checkpoint.newest(tmp_path)
    assert found is not None
    assert found["step"] == 1
    assert len(complaints) == 1
    assert "step-00000002.pt has diverged (fc.weight" in complaints[0]


def test_a_marker_receives_a_validation_beside_its_digest(tmp_path: Path) -> None:
    (path,) = fill(tmp_path, [None])
    checkpoint.add_to_marker(path, {"top1": 0.25, "figures": {"val_loss": None}})
    found, complaints = checkpoint.newest(tmp_path)
    assert complaints == []
    assert found is not None
    assert found["marker"]["top1"] == 0.25


def test_checkpoints_of_later_steps_that_were_passed_over_do_not_push_out_sound_ones(tmp_path: Path) -> None:
    fill(tmp_path, [None] * 8)
    checkpoint.retain(tmp_path, keep_last=2, step=4)
    assert [marker["step"] for marker in checkpoint.markers(tmp_path)] == [3, 4, 5, 6, 7]


def test_a_run_whose_checkpoints_are_all_damaged_is_not_started_anew(tmp_path: Path) -> None:
    for path in fill(tmp_path, [None, None]):
        path.write_bytes(b"")
    with pytest.raises(TarnError, match=r"step-00000001\.pt.*step-00000000\.pt"):
        checkpoint.newest(tmp_path)


def test_the_last_few_and_the_best_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, [0.1, 0.9, None, 0.3, 0.4, 0.5])
    (tmp_path / "step-00000077.pt.tmp").write_bytes(b"left by a killed process")
    checkpoint.retain(tmp_path, keep_last=2, step=5)
    assert [marker["step"] for marker in checkpoint.markers(tmp_path)] == [1, 4, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"step-{step:08d}.{kind}" for step in (1, 4, 5) for kind in ("pt", "json")
    )


def test_a_save_that_fails_leaves_the_earlier_ones_and_nothing_half_written(tmp_path: Path) -> None:
    fill(tmp_path, [0.1])
    (tmp_path / "step-00000001.pt").mkdir()  # the rename onto it must fail
    with pytest.raises(TarnError, match=r"step-00000001\.pt"):
        checkpoint.save(tmp_path, 1, {}, {})
    assert [marker["step"] for marker in checkpoint.markers(tmp_path)] == [0]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_foreign_file_is_refused_by_name_and_runs_no_code(tmp_path: Path) -> None:
    for name, raw in {"text.pt": b"hello", "code.pt": b"cos\nsystem\n(S'touch pwned'\ntR."}.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(TarnError, match=name):
            checkpoint.read(tmp_path / name)
    assert not Path("pwned").exists()


def test_the_marker_tells_length_and_digest(tmp_path: Path) -> None:
    path = fill(tmp_path, [0.5])[0]
    told = json.loads(path.with_suffix(".json").read_text())
    assert told == {"step": 0, "bytes": path.stat().st_size, "sha256": checkpoint.sha256(path), "top1": 0.5}
