"""`training evaluate` on a dataset in a store."""

import json
from pathlib import Path

import pytest

from support.web import served
from tarn.sharding.format.manifest import read_manifest
from tarn.training.__main__ import main
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def model(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifact = Artifact(
        arch="resnet18",
        small_stem=True,
        classes=read_manifest(str(shards)).classes,
        preprocessing=Preprocessing(resize=36, crop=32),
        provenance={},
        state_dict=build_model("resnet18", 10, small_stem=True, seed=1).state_dict(),
    )
    return publish(artifact, tmp_path_factory.mktemp("model"))[0]


def test_a_store_is_evaluated_by_default_and_by_the_options_told_as_a_local_disk(
    model: Path,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TARN_CACHE", str(tmp_path / "cache"))
    words = ["evaluate", "--model", str(model), "--workers=1", "--out", str(tmp_path), "--device=cpu", "--shards"]

    def counts(*more: str) -> dict[str, object]:
        assert main([*words, *more]) == 0, capsys.readouterr().err
        told = json.loads(capsys.readouterr().out)
        return {name: told[name] for name in ("samples", "top1_count", "top5_count", "fingerprint")}

    expected = counts(str(shards))
    with served(shards) as web:
        assert counts(web.url) == expected
    assert list((tmp_path / "cache").glob("*.bin"))
    with served(shards, key="open sesame") as web:
        assert main([*words, web.url]) == 1
        assert "403" in capsys.readouterr().err
        assert counts(web.url, "--storage-option", "client_kwargs.headers.X-Key=open sesame") == expected
        assert counts(web.url, "--storage-option={client_kwargs: {headers: {X-Key: open sesame}}}", "--cache=none") == (
            expected
        )


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_reports_and_models_for_a_url_are_refused_before_anything_is_written(
    command: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = {
        "evaluate": [f"--model={model}", "--shards=nowhere", "--device=cpu"],
        "export": [f"--checkpoint={model}"],
    }
    assert main([command, *words[command], "--out=s3://bucket/reports"]) == 2
    assert "--out='s3:/bucket/reports' is a URL: give a local folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
