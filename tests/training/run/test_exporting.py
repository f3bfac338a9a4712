"""What a run leaves at its end, in the formats that it was told."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path

import pytest

from support.datasets import without_validation
from support.runs import fit
from tarn.inference.predictor import Predictor
from tarn.sharding.errors import TarnError
from tarn.training.export.formats import FORMATS
from tarn.training.run import checkpoint, exporting


def told(run: Path) -> dict[str, str]:
    return json.loads((run / "exported.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture
def openvino() -> None:
    """All that its format needs."""
    for module in ("onnxscript", "onnx", "openvino"):
        pytest.importorskip(module)


@pytest.mark.usefixtures("openvino")
def test_a_run_ends_with_the_formats_that_it_was_told(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "--export_formats=[safetensors, openvino-bf16, pt]"
    capsys.readouterr()
    fit(shards, copy, more)
    names = ["model.pt", "model.safetensors", "model-bf16.openvino"]
    said = capsys.readouterr().out
    assert f"compared: {', '.join(str(copy / name) for name in names[:-1])} and {copy / names[-1]}." in said
    assert "model-bf16.openvino: 40 pictures, logits differ by up to" in said  # all of the validation split
    assert ", top-1 " in said.partition("model-bf16.openvino: ")[2].partition("\n")[0]
    for name in names:
        assert told(copy)[name] == checkpoint.sha256(copy / name)
        assert Predictor.load(copy / name, "cpu").card.arch == "resnet18"
    fit(shards, copy, more)
    assert "Exported before: " in capsys.readouterr().out


def test_what_is_not_installed_is_told_before_training_begins(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    others = importlib.machinery.ModuleSpec("there", None)
    monkeypatch.setattr(
        "tarn.training.export.formats.find_spec", lambda name: None if name == "onnxscript" else found(name) or others
    )
    out = tmp_path / "run"
    fit(shards, out, "--export_formats=[pt, onnx]", expected=1)
    said = capsys.readouterr().err
    assert (
        "error: export_formats=onnx needs onnxscript, which is not installed: pip install 'tarn-train[export]'" in said
    )
    assert not out.exists()


def test_an_older_torch_is_told_before_training_begins(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tarn.training.export.formats.version", lambda name: "2.7.1+cpu")
    fit(shards, tmp_path / "run", "--export_formats=[pt2]", expected=1)
    assert "export_formats=pt2 needs torch 2.8 or newer, this is 2.7.1+cpu" in capsys.readouterr().err


@pytest.mark.usefixtures("openvino")
def test_a_format_that_loses_too_much_takes_nothing_from_the_others(
    shards: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = exporting.export_checkpoint

    def refusing(*words: object) -> object:
        if words[4] == (FORMATS["openvino-bf16"],):
            raise TarnError("the export was not published, for it does not load back as it was (it loses 3%).")
        return made(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(exporting, "export_checkpoint", refusing)
    (copy / "model.pt").unlink()
    fit(shards, copy, "--export_formats=[pt, openvino-bf16]", expected=1)
    said = capsys.readouterr().err
    assert f"it loses 3%). {copy / 'model.pt'} stays; run again without it in export_formats." in said
    assert told(copy)["model.pt"] == checkpoint.sha256(copy / "model.pt")


@pytest.mark.usefixtures("openvino")
def test_a_dataset_without_validation_split_is_told_before_training_begins(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = without_validation(shards, tmp_path / "alone")
    fit(alone, tmp_path / "run", "--export_formats=[openvino-bf16]", expected=2)
    assert "export_formats=openvino-bf16 follows the validation" in capsys.readouterr().err
