import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from numpy.typing import NDArray

from support.disks import full_disk
from support.models import val
from support.permissions import as_a_user, folder_for_all
from tarn.inference.__main__ import main
from tarn.inference.bulk.parts import Parts
from tarn.inference.models.load import load
from tarn.inference.models.torch_scorer import TorchScorer

FAST = ["--device=cpu", "--workers=1"]


def predict(model: Path, *words: object, expected: int = 0) -> None:
    assert main(["predict", str(model), *FAST, *map(str, words)]) == expected


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture
def broken(pictures: Path, tmp_path: Path) -> Path:
    """A folder of 5 pictures, one in a folder of its class, one cut off."""
    folder = tmp_path / "pictures"
    for number in range(1, 6):
        where = folder / ("n90900001" if number == 2 else "some")
        where.mkdir(parents=True, exist_ok=True)
        data = val(pictures, number).read_bytes()
        (where / f"{number}.jpg").write_bytes(data[:3000] if number == 4 else data)
    return folder


def test_all_formats_hold_the_same_rows_and_broken_pictures_have_their_error(
    model: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("csv", "jsonl", "parquet"):
        predict(model, broken, f"--out={tmp_path}/r.{kind}", "--top=3", expected=1)
        assert f"r.{kind}: 5 pictures, 1 of them broken" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [Path(line["picture"]).name for line in lines] == ["2.jpg", "1.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert [line["label"] for line in lines] == [0, None, None, None, None]
    assert lines[3]["error"].startswith("damaged pixels")
    assert [lines[3][name] for name in ("indices", "wnids", "names", "probabilities")] == [None] * 4
    assert {len(line["wnids"]) for line in lines if line["error"] is None} == {3}
    table = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    for line, row in zip(lines, table, strict=True):
        told = line.pop("probabilities"), row.pop("probabilities")
        assert row == line
        assert told[0] is told[1] is None or told[1] == pytest.approx(told[0], abs=1e-6)
    for line, row in zip(lines, rows_of(tmp_path / "r.csv"), strict=True):
        assert row["label"] == ("" if line["label"] is None else str(line["label"]))
        assert row["error"] == (line["error"] or "")
        wnids = [row[f"wnid_{place}"] for place in (1, 2, 3)]
        assert wnids == (line["wnids"] or [""] * 3)


def test_bulk_says_what_the_predictor_says(model: Path, pictures: Path, tmp_path: Path) -> None:
    folder = val(pictures, 1).parent
    predict(model, folder, f"--out={tmp_path}/r.jsonl", "--top=10", "--batch-size=16")
    card = load(model, "cpu").card
    found = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert main(["predict", str(model), str(folder), "--format=json", "--device=cpu", "--top=10"]) == 0
    assert len(found) == 40
    for line in found:
        assert line["names"] == [card.classes[index].name for index in line["indices"]]
        assert sum(line["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_a_job_that_was_killed_goes_on_to_the_same_file(
    model: Path, shards: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last picture is a pipe that nobody writes: the job cannot end before it is killed."""
    last, whole, killed = tmp_path / "last.jpg", tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    words = [f"{shards}/val/*.tar", str(last), "--features"]
    last.write_bytes(val(pictures, 1).read_bytes())
    predict(model, *words, f"--out={whole}")
    last.unlink()
    os.mkfifo(last)
    command = [sys.executable, "-m", "tarn.inference", "predict", str(model), *words, f"--out={killed}", *FAST]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    parts = Parts(killed, {}).folder
    units = len(list(shards.glob("val/*.tar")))
    wait_for(lambda: parts.is_dir() and len(list(parts.glob("*.last"))) == units, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    last.unlink()
    last.write_bytes(val(pictures, 1).read_bytes())
    scored = count_scored(monkeypatch)
    predict(model, *words, f"--out={killed}")
    assert killed.read_bytes() == whole.read_bytes()
    assert sum(scored) == 1 + 1  # the last picture, and the black one that finds the layer of the features
    assert not parts.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.parquet", "last.jpg", "whole.parquet"]


def wait_for(is_so: "object", process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 200
    while not is_so():  # type: ignore[operator]
        assert process.poll() is None, "the job ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count_scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pictures of each batch from now on."""
    scored, real = list[int](), TorchScorer.logits

    def logits(self: TorchScorer, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        scored.append(len(pixels))
        return real(self, pixels)

    monkeypatch.setattr(TorchScorer, "logits", logits)
    return scored


def test_parts_of_other_settings_or_other_shards_are_not_taken(
    model: Path, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "join", interrupted)
        predict(model, broken, f"--out={out}", "--top=2", expected=130)
    assert Parts(out, {}).folder.is_dir()
    scored = count_scored(monkeypatch)
    predict(model, broken, f"--out={out}", "--top=3", expected=1)
    assert sum(scored) == 4
    assert len([name for name in rows_of(out)[0] if name.startswith("wnid")]) == 3
    assert not Parts(out, {}).folder.exists()


def interrupted(*args: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    model: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchScorer, "logits", interrupted)
    predict(model, broken, f"--out={tmp_path}/r.csv", expected=130)
    assert "stopped: the same command goes on where it was" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


def test_an_old_result_stays_until_the_new_one_is_there(
    model: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.csv"
    out.write_text("old\n")
    predict(model, broken, f"--out={out}", expected=2)
    assert f"{out} is there already: give --overwrite" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(TorchScorer, "logits", interrupted)
        predict(model, broken, f"--out={out}", "--overwrite", expected=130)
    assert out.read_text() == "old\n"
    predict(model, broken, f"--out={out}", "--overwrite", expected=1)
    assert len(rows_of(out)) == 5


@pytest.mark.parametrize(
    ("words", "expected", "told"),
    [
        (["--out=OUT/r.txt"], 2, "does not say what to write: let its name end in .parquet, .csv, .jsonl"),
        (["--out=OUT/r.csv", "--features"], 2, "--features do not go into"),
        (["--out=OUT/r.jsonl", "--features=int8"], 2, "--features=int8 is unknown"),
        (["--out=s3://bucket/r.csv"], 2, "--out=s3://bucket/r.csv is a URL"),
        (["--out=OUT/none/r.csv"], 2, "is in a folder that is not there"),
        (["--out=OUT/r.csv", "--workers=0"], 2, "--workers=0 must be at least 1"),
        (["--out=OUT/r.csv", "--ranks=0"], 2, "--ranks=0 must be at least 1"),
        (["--out=OUT/r.csv", "--ranks=2", "-"], 2, "standard input can be read by one process"),
        (["--out=OUT/r.csv", "--format=json"], 2, "--format=json is of what is printed"),
        (["--out=OUT/r.csv", "--max-frames=0"], 2, "a limit of frames=0 is none"),
        (["--features"], 2, "--features is of results in a file"),
        (["--overwrite"], 2, "--overwrite is of results in a file"),
        (["--out=OUT/r.csv", "OUT/nowhere"], 2, "nowhere is not there"),
        (["--out=OUT/r.csv", "OUT"], 2, "holds no pictures"),
        (["--out=OUT/r.csv", "OUT/*.jpg"], 2, "matches no picture"),
    ],
)
def test_a_mistaken_call_is_answered_in_one_sentence_and_leaves_nothing(
    words: list[str],
    expected: int,
    told: str,
    model: Path,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    predict(
        model,
        val(pictures, 1),
        *(word.replace("OUT", str(tmp_path)) for word in words),
        expected=expected,
    )
    out = capsys.readouterr()
    assert told in out.err
    assert out.err.count("\n") == 1
    assert out.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_result(model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.csv").mkdir()
    predict(model, val(pictures, 1), f"--out={tmp_path}/r.csv", "--overwrite", expected=2)
    assert "r.csv is a folder: name a file in it" in capsys.readouterr().err


def test_without_a_source_one_is_asked_for(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(model, f"--out={tmp_path}/r.csv", expected=2)
    assert "no picture was given" in capsys.readouterr().err


def test_a_model_that_is_not_there_or_none_is_told(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"--out={tmp_path}/r.csv"
    predict(tmp_path / "gone.pt", val(pictures, 1), out, expected=1)
    assert "gone.pt cannot be read (it is not there)" in capsys.readouterr().err
    predict(val(pictures, 1), val(pictures, 1), out, expected=1)
    told = capsys.readouterr().err
    assert told.startswith(f"error: {val(pictures, 1)} ")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_places_that_may_not_be_read_or_written_are_told(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with folder_for_all() as folder:
        (folder / "closed").mkdir()
        (folder / "model.pt").write_bytes(model.read_bytes())
        (folder / "one.jpg").write_bytes(val(pictures, 1).read_bytes())
        for path in folder.iterdir():
            path.chmod(0o644)
        (folder / "closed").chmod(0o000)
        with as_a_user():
            predict(folder / "model.pt", folder / "closed", f"--out={folder}/r.csv", expected=1)
            assert "closed cannot be listed" in capsys.readouterr().err
        (folder / "closed").chmod(0o555)
        with as_a_user():
            predict(folder / "model.pt", folder / "one.jpg", f"--out={folder}/closed/r.csv", expected=1)
            assert "closed/r.csv cannot be written (Permission denied)" in capsys.readouterr().err


def test_a_full_disk_is_told_and_the_job_goes_on_when_there_is_room(
    model: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Full when a part is written, then when parts are joined, then not any more."""
    out = tmp_path / "r.jsonl"
    words = [shards, "--split=val", f"--out={out}", "--features", "--batch-size=2"]
    for limit, parts in ((110_000, 0), (200_000, 2)):
        with full_disk(limit):
            predict(model, *words, expected=1)
        told = capsys.readouterr().err
        assert "r.jsonl cannot be written (File too large)" in told
        assert told.count("\n") == 1
        assert not out.exists()
        folder = Parts(out, {}).folder
        assert len(list(folder.glob("*.last"))) == parts
    predict(model, *words)
    assert len(out.read_text().splitlines()) == 40


def test_a_store_that_is_lost_stops_the_job_and_a_picture_that_it_lacks_does_not(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing, out = tmp_path / "list.txt", tmp_path / "r.csv"
    listing.write_text(f"{val(pictures, 1)}\nmemory://bucket/gone.jpg\n")
    predict(model, listing, f"--out={out}", expected=1)
    assert ["it is not there" in row["error"] for row in rows_of(out)] == [False, True]
    listing.write_text(f"{val(pictures, 1)}\nnostore://bucket/x.jpg\n")
    capsys.readouterr()
    predict(model, listing, f"--out={out}", "--overwrite", expected=1)
    assert "error: nostore://bucket/x.jpg is of no known kind" in capsys.readouterr().err
    assert len(rows_of(out)) == 2


def test_a_result_has_one_writer_at_a_time(
    model: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.csv"
    with Parts(out, {}).owned():
        predict(model, broken, f"--out={out}", expected=1)
    assert f"{out} is being written by another process" in capsys.readouterr().err
    assert not out.exists()
