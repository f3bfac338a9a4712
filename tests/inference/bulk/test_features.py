import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from torch import nn

from support.models import val
from tarn.inference import Predictor
from tarn.inference.__main__ import main
from tarn.inference.bulk.features import Embedder
from tarn.sharding.errors import UsageError
from tarn.training.export.artifact import Artifact


def test_features_are_what_the_last_linear_layer_is_given(model: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    words = [str(val(pictures, 1)), str(tmp_path / "broken.jpg"), str(val(pictures, 2)), "--device=cpu", "--workers=1"]
    for kind in ("float32", "float16"):
        out = [f"--out={tmp_path}/{kind}.{ending}" for ending in ("parquet", "jsonl")]
        for each in out:
            assert main(["predict", str(model), *words, each, f"--features={kind}"]) == 1
    predictor = Predictor.load(model, "cpu")
    body = Artifact.read(model).build()
    body.fc = nn.Identity()
    pixels = np.stack([predictor.prepare(val(pictures, number)) for number in (1, 2)])
    with torch.no_grad():
        wanted = body(predictor.scorer.normalisation(torch.from_numpy(pixels))).numpy()  # type: ignore[attr-defined]
    for kind, tolerance in (("float32", 1e-4), ("float16", 2e-3)):
        table = parquet.read_table(tmp_path / f"{kind}.parquet")
        assert table.schema.field("features").type.list_size == 512
        found = table["features"].to_pylist()
        assert found[1] is None
        assert np.allclose([found[0], found[2]], wanted, rtol=tolerance, atol=tolerance)
        lines = [json.loads(line) for line in (tmp_path / f"{kind}.jsonl").read_text().splitlines()]
        assert [line["features"] for line in lines] == found


def test_mirrored_pictures_have_the_mean_of_both_features(model: Path, pictures: Path) -> None:
    plain, mirrored = (Predictor.load(model, "cpu", flip=flip) for flip in (False, True))
    pixels = plain.prepare(val(pictures, 3))[None]
    embed = Embedder(plain.scorer, "float32", "m").logits_and_features
    wanted = (embed(pixels)[1] + embed(np.ascontiguousarray(pixels[:, :, ::-1]))[1]) / 2
    logits, found = Embedder(mirrored.scorer, "float32", "m").logits_and_features(pixels)
    assert np.allclose(found, wanted, atol=1e-5)
    assert np.array_equal(logits, mirrored.scorer.logits(pixels))


def test_what_has_no_layers_to_listen_to_has_no_features(model: Path) -> None:
    predictor = Predictor.load(model, "cpu")

    class Other:
        """Of another library: logits alone."""

        card = predictor.card
        logits = predictor.scorer.logits

    with pytest.raises(UsageError, match=r"x\.onnx has no last linear layer to listen to"):
        Embedder(Other(), "float32", "x.onnx")
