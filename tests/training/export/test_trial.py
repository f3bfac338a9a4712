"""Further formats of a model, compared on pictures of a dataset."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tarn.inference.models.load import load
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.__main__ import main
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.export.trial import trial_of
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.loader import ShardLoader


@pytest.fixture(scope="module")
def artifact(shards: Path) -> Artifact:
    return Artifact(
        arch="resnet18",
        small_stem=False,
        classes=read_manifest(str(shards)).classes,
        preprocessing=Preprocessing(resize=36, crop=32),
        provenance={},
        state_dict=build_model("resnet18", 10, seed=1).state_dict(),
    )


def test_a_split_that_is_small_enough_is_taken_whole_as_evaluation_sees_it(artifact: Artifact, shards: Path) -> None:
    trial = trial_of(artifact, str(shards), "val", 40)
    assert trial.labels is not None
    assert trial.calibration is not None
    assert trial.calibration.shape == (120, 32, 32, 3)
    loader = ShardLoader(str(shards), "val", 40, image_size=32, train=False, num_workers=0)
    try:
        (batch,) = loader.batches(epoch=0)
        assert sorted(trial.labels.tolist()) == sorted(batch.labels.tolist())
        assert len(trial.pixels) == 40
        assert np.array_equal(trial.labels, batch.labels.numpy())
    finally:
        loader.close()


def test_of_a_larger_split_about_as_many_are_drawn_from_all_of_it(artifact: Artifact, shards: Path) -> None:
    trial = trial_of(artifact, str(shards), "train", 60)
    assert trial.labels is not None
    assert 30 <= len(trial.labels) <= 90
    assert len(set(trial.labels.tolist())) == 10
    again = trial_of(artifact, str(shards), "train", 60)
    assert np.array_equal(trial.pixels, again.pixels)


def test_classes_of_another_dataset_are_refused(artifact: Artifact, shards: Path) -> None:
    with pytest.raises(TarnError, match="the model knows 9 classes"):
        trial_of(replace(artifact, classes=artifact.classes[:9]), str(shards), "val", 40)


def test_further_formats_are_made_of_a_model_and_scored(
    artifact: Artifact, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("safetensors", reason="needs the extra `export`")
    pt, _ = publish(artifact, tmp_path)
    words = ["export", f"--checkpoint={pt}", f"--out={tmp_path / 'more'}", "--formats=safetensors,pt"]
    assert main([*words, f"--shards={shards}", "--pictures=40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model.pt: 40 pictures, logits differ by up to ")
    assert "top-1 agrees on 100.00%, top-1 " in lines[1]
    assert "(+0.00%)" in lines[1]
    assert lines[2:] == [str(tmp_path / "more" / name) for name in ("model.pt", "model.safetensors")]
    assert load(lines[3], device="cpu").card.metadata() == artifact.metadata()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--formats=openvino-int8"], "give --shards"),
        (["--formats=coreml"], "--formats=coreml is unknown"),
        (["--pictures=0"], "--pictures=0 must be at least 1"),
    ],
)
def test_a_mistaken_export_is_told_before_anything_is_read(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nncf", reason="needs the extra `export`")
    assert main(["export", f"--checkpoint={tmp_path}", f"--out={tmp_path}", *words]) == 2
    assert told in capsys.readouterr().err
