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
from tarn.training.streaming import WHERE, Boxes, BoxLabels, Mask, ShardLoader
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
    assert (commands, modules, programs) == (2, ["augment", "tilts", "turns"], 4)
    assert names["samples"] == 16
    assert [sorted({text.lower() for text in names["captions"]})[0][:6]] == ["number"]  # type: ignore[attr-defined]
    assert tuple(names["batch"].images.shape) == (8, 96, 96, 3)  # type: ignore[attr-defined]
    for module in modules:
        sys.modules.pop(module, None)


@pytest.mark.parametrize(("hook", "library"), [("tilts:tilted", "torchvision"), ("turns:turned", "albumentations")])
def test_masks_and_boxes_go_with_the_picture_in_a_hook_that_is_seeded(
    place: Path, hook: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are bright where their masks are told; the last box is drawn around that."""
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    pytest.importorskip(library)
    name = hook.partition(":")[0]
    (block,) = [block for block in blocks((ROOT / PAGE).read_text()) if block.startswith(f"# {name}.py")]
    (place / f"{name}.py").write_text(block)
    main(["index", "tars", "--label", "none", "--picture", "jpg"])
    fields = {
        "masks": Mask("seg.png"),
        "boxes": Boxes("json:objects.bbox", written="xywh"),
        "kinds": BoxLabels("json:objects.category", boxes="boxes"),
    }
    settings: dict[str, Any] = {"global_batch": 8, "image_size": 64, "num_workers": 0, "fields": fields}
    plain, *runs = [next(iter(ShardLoader("tars", picture_hook=each, **settings))) for each in (None, hook, hook)]
    assert torch.equal(runs[0].images, runs[1].images)
    assert torch.equal(runs[0].masks, runs[1].masks)
    assert not torch.equal(plain.masks, runs[0].masks)
    bright = runs[0].images.float().mean(3) > 55
    assert (bright == (runs[0].masks > 0)).float().mean() > 0.97
    for mask, boxes, kinds in zip(runs[0].masks, runs[0].boxes, runs[0].kinds, strict=True):
        assert len(boxes) == len(kinds)
        if mask.any() and kinds[-1] < 3:  # else it is of the whole picture
            rows, columns = torch.nonzero(mask, as_tuple=True)
            left, top, right, bottom = boxes[-1].tolist()
            assert left - 2 <= columns.min() <= columns.max() <= right + 1
            assert top - 2 <= rows.min() <= rows.max() <= bottom + 1
    sys.modules.pop(name, None)


def test_the_page_names_every_field() -> None:
    page = (ROOT / PAGE).read_text()
    kinds = [name for name in public if "streaming.fields" in WHERE[name]]
    assert len(kinds) == 13
    assert [name for name in kinds if f"{name}(" not in page and name != "Label"] == []
