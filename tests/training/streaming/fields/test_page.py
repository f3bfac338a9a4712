"""Every program in docs/samples.md runs, in their order, as it stands there."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from support.checkout import ROOT
from support.foreign_tars import write
from support.membered import parts_of
from support.pages import blocks
from tarn.sharding.__main__ import main
from tarn.training.streaming import WHERE, Mask, ShardLoader
from tarn.training.streaming import __all__ as public

PAGE = "docs/samples.md"
COMMAND = ".venv/bin/python -m tarn.sharding "


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that the page speaks of."""
    write(tmp_path / "tars" / "train-0.tar", {f"s{number:03d}": parts_of(number) for number in range(16)})
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_every_snippet_runs(place: Path) -> None:
    names = dict[str, object]()
    commands, modules, programs = 0, list[str](), 0
    for block in blocks((ROOT / PAGE).read_text()):
        if block.startswith(COMMAND):
            assert main(shlex.split(block.removeprefix(COMMAND))) == 0
            commands += 1
        elif named := re.match(r"# (\w+)\.py\n", block):
            (place / f"{named[1]}.py").write_text(block)
            modules.append(named[1])
        elif not block.startswith(".venv"):
            block = block.replace("ShardLoader(", "ShardLoader(num_workers=0, url=").replace("url=\n    ", "url=")
            exec(compile(block, PAGE, "exec"), names)
            programs += 1
    assert (commands, modules, programs) == (2, ["augment", "spots"], 4)
    assert names["samples"] == 16
    assert [sorted({text.lower() for text in names["captions"]})[0][:6]] == ["number"]  # type: ignore[attr-defined]
    assert tuple(names["batch"].images.shape) == (8, 96, 96, 3)  # type: ignore[attr-defined]
    for module in modules:
        sys.modules.pop(module, None)


def test_albumentations_gives_the_same_when_it_is_seeded_in_every_call(place: Path) -> None:
    pytest.importorskip("albumentations")
    (block,) = [block for block in blocks((ROOT / PAGE).read_text()) if block.startswith("# spots.py")]
    (place / "spots.py").write_text(block)
    main(["index", "tars", "--label", "none", "--picture", "jpg"])
    settings: dict[str, Any] = {"global_batch": 8, "image_size": 64, "num_workers": 0}
    plain, *runs = [
        next(iter(ShardLoader("tars", fields={"masks": Mask("seg.png")}, picture_hook=hook, **settings)))
        for hook in (None, "spots:spotted", "spots:spotted")
    ]
    assert torch.equal(runs[0].images, runs[1].images)
    assert torch.equal(runs[0].masks, runs[1].masks)
    assert not torch.equal(plain.images, runs[0].images)
    sys.modules.pop("spots", None)


def test_the_page_names_every_field() -> None:
    page = (ROOT / PAGE).read_text()
    kinds = [name for name in public if "streaming.fields" in WHERE[name]]
    assert len(kinds) == 13
    assert [name for name in kinds if f"{name}(" not in page and name != "Label"] == []
