import json
from pathlib import Path

import pytest
import torch

from tarn.sharding.errors import TarnError
from tarn.training.run import checkpoint


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


def test_a_checkpoint_without_its_marker_does_not_exist(tmp_path: Path) -> None:
    fill(tmp_path, [None, None])[1].with_suffix(".json").unlink()
    found, _ = checkpoint.newest(tmp_path)
    assert found is not None
    assert found["step"] == 0


def test_a_run_whose_checkpoints_are_all_damaged_is_not_started_anew(tmp_path: Path) -> None:
    for path in fill(tmp_path, [None, None]):
        path.write_bytes(b"")
    with pytest.raises(TarnError, match=r"step-00000001\.pt.*step-00000000\.pt"):
        checkpoint.newest(tmp_path)


def test_the_last_few_and_the_best_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, [0.1, 0.9, None, 0.3, 0.4, 0.5])
    (tmp_path / "step-00000077.pt.tmp").write_bytes(b"left by a killed process")
    checkpoint.retain(tmp_path, keep_last=2)
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
