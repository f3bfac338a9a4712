"""Every program in docs/blending.md runs, in their order, as it stands there; so does its configuration."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from support.checkout import ROOT
from support.datasets import picture_tree
from support.pages import blocks
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.coercion import load_config
from tarn.training.run.config import RunConfig
from tarn.training.streaming import Part

PAGE = "docs/blending.md"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that the page speaks of."""
    for name, each in (("photos", 10), ("drawings", 8), ("paintings", 4), ("sketches", 3)):
        pack(picture_tree(tmp_path / name, train=each), str(tmp_path / "build" / name), PackConfig(shard_size=20_000))
    manifest = tmp_path / "build" / "sketches" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["classes"].reverse()
    manifest.write_text(json.dumps(told))
    keys = [f"class{number}/train{picture}" for number in range(3) for picture in range(4)]
    (tmp_path / "keys.txt").write_text("\n".join(keys))
    rows = [{"key": key, "labels": [0, 2], "p": [0.5, 0.25, 0.25]} for key in keys]
    (tmp_path / "real.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "real.json").write_text("[[], [970, 795]]")
    (tmp_path / "corrected.csv").write_text("key,label\nclass0/train1,class2\n")
    monkeypatch.setenv("TARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_snippet_runs(place: Path) -> None:
    names = dict[str, object]()
    programs, configurations, benchmarks = 0, 0, 0
    for block in blocks((ROOT / PAGE).read_text()):
        if block.startswith("data:"):
            (place / "blend.yaml").write_text(block)
            parts = load_config(RunConfig, place / "blend.yaml", []).data.blend
            assert parts[1] == Part("build/drawings", weight=2, fraction=(0.1, 1.0))
            assert [part["url"] for part in yaml.safe_load(block)["data"]["blend"]] == [part.url for part in parts]
            configurations += 1
        elif block.startswith(".venv"):
            benchmarks += 1
        else:
            exec(compile(block.replace("image_size=32", "image_size=32, num_workers=0"), PAGE, "exec"), names)
            programs += 1
    assert (programs, configurations, benchmarks) == (8, 1, 1)
    rows = [json.loads(line) for line in Path("real-val.jsonl").read_text().splitlines()]
    assert rows[1] == {"key": "ILSVRC2012_val_00000002", "labels": [970, 795]}
    assert names["state"]["epoch"] == 1  # type: ignore[index]


def test_the_page_names_every_word_of_a_part() -> None:
    page = (ROOT / PAGE).read_text()
    assert [field.name for field in fields(Part) if field.name not in page] == []
