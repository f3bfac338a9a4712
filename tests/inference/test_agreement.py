"""One model, whoever computes it and however it is asked: the same classes."""

import json
from pathlib import Path
from typing import Any

import pytest

from servers.client import fetch
from support.models import val
from support.runs import fit
from support.services import form, served
from tarn.inference.predictor import Predictor

PICTURES = 12


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That was told to end with both files."""
    for module in ("onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    out = tmp_path_factory.mktemp("agreement") / "run"
    fit(shards, out, "--export_formats=[pt, onnx]")
    return out


def test_pytorch_onnx_runtime_and_the_service_tell_the_same_five_classes_of_a_trained_model(
    run: Path, pictures: Path, tmp_path: Path
) -> None:
    asked = [val(pictures, number) for number in range(1, PICTURES + 1)]
    torch, onnx = (told_by(run / name, asked) for name in ("model.pt", "model.onnx"))
    with served(run / "model.pt", tmp_path, "--device=cpu") as running:
        body, headers = form(**{f"file{number}": path.read_bytes() for number, path in enumerate(asked)})
        status, answer = fetch(running.url, "/predict", "POST", body=body, headers=headers)
        assert status == 200
    service = [
        [(guess["index"], guess["probability"]) for guess in told["guesses"]]
        for told in json.loads(answer)["predictions"]
    ]
    for others in (onnx, service):
        assert [[index for index, _ in row] for row in others] == [[index for index, _ in row] for row in torch]
        for ours, theirs in zip(torch, others, strict=True):
            assert [share for _, share in theirs] == pytest.approx([share for _, share in ours], abs=1e-4)
    assert {len(row) for row in torch} == {5}
    assert len({row[0][0] for row in torch}) > 1  # it is no model that says the same of all


def told_by(model: Path, asked: list[Path]) -> list[list[tuple[int, float]]]:
    found: Any = Predictor.load(model, "cpu").predict(asked)
    return [[(guess.index, guess.probability) for guess in one.guesses] for one in found]
