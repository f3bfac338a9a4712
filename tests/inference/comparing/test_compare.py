"""`compare`: what it prints and writes is what prediction and evaluation say."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch

from support.services import exported
from tarn.inference.__main__ import main
from tarn.sharding.format.manifest import ClassInfo, read_manifest


@pytest.fixture(scope="module")
def models(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two that have learned nothing, with the classes of the shards."""
    out, classes = tmp_path_factory.mktemp("models"), read_manifest(shards).classes
    return exported(out / "a", 1, classes), exported(out / "b", 2, classes)


def predicted(model: Path, shards: Path, out: Path) -> dict[str, tuple[str, str]]:
    """By picture, its label and the model's first class, as wnids."""
    words = ["predict", str(model), str(shards), "--split=val", "--orientation=ignore", "--top=1", "--workers=1"]
    assert main([*words, f"--out={out}"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    classes = read_manifest(shards).classes
    return {row["picture"]: (classes[row["label"]].wnid, row["wnids"][0]) for row in rows}


def test_accuracy_and_disagreements_are_those_of_predictions(
    models: tuple[Path, Path], shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (predicted(model, shards, tmp_path / f"{number}.jsonl") for number, model in enumerate(models))
    capsys.readouterr()
    assert main(["compare", *map(str, models), str(shards), f"--out={tmp_path / 'out'}"]) == 0
    told = capsys.readouterr().out
    right = [sum(label == found for label, found in its.values()) / len(its) for its in (one, other)]
    tops = re.findall(r"^(?:first|second) +([\d.]+)%", told, re.MULTILINE)
    assert [float(top) for top in tops] == pytest.approx([100 * value for value in right], abs=0.01)
    with (tmp_path / "out" / "disagreements.csv").open() as file:
        rows = {row["picture"]: (row["label"], row["first"], row["second"]) for row in csv.DictReader(file)}
    assert rows == {name: (*one[name], other[name][1]) for name in one if one[name] != other[name]}
    assert rows
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<li>") == page.count("data:image/jpeg;base64,") > 0
    assert "http" not in page  # it needs nothing of another place


def test_a_model_is_the_same_as_itself(
    models: tuple[Path, Path], shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(models[0]), str(models[0].with_suffix(".pkl")), str(shards)]) == 0
    told = capsys.readouterr().out
    assert "same class on 100.00%" in told
    assert "+0.00 points" in told


def test_a_broken_picture_is_told_and_the_rest_compared(
    models: tuple[Path, Path], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = sorted((pictures / "ILSVRC" / "Data" / "CLS-LOC" / "val").iterdir())[:3]
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    assert main(["compare", *map(str, models), *map(str, good), str(tmp_path / "bad.jpg")]) == 1
    said = capsys.readouterr()
    assert "of 3 pictures, 0 with labels" in said.out
    assert "bad.jpg" in said.err
    assert main(["compare", *map(str, models), str(tmp_path / "bad.jpg")]) == 1
    assert "nothing was compared" in capsys.readouterr().err


def test_models_of_other_classes_are_not_compared_and_what_they_share_is_told(
    models: tuple[Path, Path], shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = exported(tmp_path / "strange")
    assert main(["compare", str(models[0]), str(strange), str(shards)]) == 2
    assert "the models have no class in common (n90900001, ... and n00000000, ...)" in capsys.readouterr().err
    some = exported(tmp_path / "some", 2, (*read_manifest(shards).classes[:9], ClassInfo("n00000000", "another")))
    assert main(["compare", str(models[0]), str(some), str(shards)]) == 0
    said = capsys.readouterr()
    assert "note: the models have 9 of 10 and 10 classes in common" in said.err
    assert "of 40 pictures, 36 with labels" in said.out


def test_a_state_dict_that_numbers_its_classes_is_scored_by_the_other_models(
    models: tuple[Path, Path], shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = torch.load(models[0], weights_only=True)["state_dict"]
    torch.save(weights, tmp_path / "weights.pth")
    assert main(["compare", str(models[0]), str(tmp_path / "weights.pth"), str(shards)]) == 0
    said = capsys.readouterr()
    assert "note: the second model numbers its classes: they are taken for the other's, in its order." in said.err
    assert "of 40 pictures, 40 with labels" in said.out
