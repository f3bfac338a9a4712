"""Samples of any members, as the loader gives them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from support.foreign_tars import write
from support.loaders import shard_loader
from support.membered import encoded, mask_of, membered, parts_of, picture_of, saved
from support.web import served
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.table import Table
from tarn.training.streaming import (
    Array,
    Augmentation,
    Batch,
    Boxes,
    BoxLabels,
    Mask,
    MultiLabel,
    Number,
    Part,
    Raw,
    ShardLoader,
    SoftLabel,
)

ALL: dict[str, Any] = {
    "masks": Mask("seg.png"),
    "boxes": Boxes("json:objects.bbox", written="xywh"),
    "classes": BoxLabels("json:objects.category", boxes="boxes"),
    "tags": MultiLabel("json:tags", classes=5),
    "soft": SoftLabel("npy", classes=3),
    "size": Number("json:size", dtype="int64"),
    "number": "cls",
    "caption": "txt",
    "right": "right.jpg",
    "all": "json",
    "listed": "npy",
    "raw": Raw("txt"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return membered(tmp_path_factory.mktemp("membered"))


def batches(root: Path | str, **settings: Any) -> list[Batch]:
    told = {"global_batch": 6, "image_size": 32, "num_workers": 0, "keys": True, "fields": ALL, **settings}
    loader = shard_loader(str(root), **told)
    try:
        return list(loader)
    finally:
        loader.close()


def plain(value: Any) -> Any:
    """To be compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def numbers_of(batch: Batch) -> list[int]:
    return [int(key[1:]) for key in batch.keys]


def test_whole_pictures_come_with_all_that_was_packed_beside_them(root: Path) -> None:
    found = batches(root, augment=Augmentation(crop="none", flip=0), image_size=100, fidelity="exact")
    assert sum(len(batch.keys) for batch in found) == 24
    for batch in found:
        for row, number in enumerate(numbers_of(batch)):
            stored, mask = np.asarray(Image.open(io.BytesIO(parts_of(number)["jpg"]))), mask_of(number)
            assert np.array_equal(batch.images[row], stored)
            assert np.array_equal(batch.masks[row], mask)
            assert batch.sizes[row].tolist() == list(mask.shape)
            assert np.array_equal(
                batch["right"][row], np.asarray(Image.open(io.BytesIO(parts_of(number)["right.jpg"])))
            )
            height, width = mask.shape
            assert batch.boxes[row].tolist() == [[0, 0, width, height], [20 + number, 10, 50, 40]]
            assert batch.classes[row].tolist() == [7, number % 3]
            assert batch.caption[row] == f"number {number}" == batch.raw[row].decode()
            assert batch.all[row]["size"] == number
            assert batch.listed[row].tolist() == [number] * 3 == batch.soft[row].tolist()
            assert np.flatnonzero(batch.tags[row]).tolist() == [number % 3, 4]
        assert batch.size.tolist() == numbers_of(batch)
        assert batch.number.tolist() == [number % 3 for number in numbers_of(batch)]
        assert (batch.size.dtype, batch.tags.dtype, batch.soft.dtype) == (torch.int64, torch.float32, torch.float32)
        assert next(iter(batch)) is batch.images
        assert [*batch.values] == ["images", *ALL, "sizes"]
        assert batch.labels is None


@pytest.mark.parametrize("crop", ["resized", "padded", "centre", "evaluation"])
def test_masks_and_boxes_lie_where_the_picture_shows_what_they_are_of(root: Path, crop: str) -> None:
    """The picture is bright just where the mask is set, so a wrong place, scale or flip shows."""
    settings = {"train": False} if crop == "evaluation" else {"augment": Augmentation(crop=crop, scale=(0.5, 1))}
    for batch in batches(root, image_size=(64, 48), **settings):
        for row, number in enumerate(numbers_of(batch)):
            bright = batch.images[row].float().mean(2) > 35 + 35 * (1 + number % 3)
            assert (bright == (batch.masks[row] == 1 + number % 3)).float().mean() > 0.93
            for box, label in zip(batch.boxes[row].round().int().tolist(), batch.classes[row].tolist(), strict=True):
                if label != 7:
                    inside = np.zeros((64, 48), bool)
                    inside[box[1] : box[3], box[0] : box[2]] = True
                    assert (inside == (batch.masks[row] > 0).numpy()).mean() > 0.93


def test_worker_processes_give_the_same(root: Path) -> None:
    by_one = batches(root)
    for batch, other in zip(by_one, batches(root, num_workers=2), strict=True):
        assert plain(list(batch)) == plain(list(other))


@pytest.mark.parametrize("cache", ["none", "here"])
def test_a_store_gives_the_same_by_ranges_and_from_the_cache(root: Path, tmp_path: Path, cache: str) -> None:
    with served(root) as web:
        told = batches(web.url, num_workers=1, cache=cache if cache == "none" else str(tmp_path / cache))
        for batch, other in zip(batches(root), told, strict=True):
            assert plain(list(batch)) == plain(list(other))
        asked = [span for path, span in web.asked if path.endswith(".tar") and span]
    assert asked


def test_several_datasets_and_parts_of_them_have_fields_too(root: Path, tmp_path: Path) -> None:
    other = membered(tmp_path / "other", count=8)
    parts = [Part(str(root), weight=2), Part(str(other), weight=1, fraction=(0.0, 1.0))]
    loader = ShardLoader(parts, global_batch=6, image_size=32, num_workers=0, keys=True, fields=ALL)
    for batch in loader:
        assert batch.caption == [f"number {number}" for number in numbers_of(batch)]
        assert batch.size.tolist() == numbers_of(batch)
    loader.close()


def test_boxes_out_of_sight_are_left_out_with_their_labels_or_kept_where_that_is_said(tmp_path: Path) -> None:
    told = b'{"boxes": [[0, 0, 5, 5], [60, 0, 90, 60], [-9, -9, 0, 0]], "kinds": [1, 2, 3]}'
    write(tmp_path / "train-0.tar", {"a": {"jpg": encoded(picture_of(0)), "json": told}})
    index(tmp_path, IndexConfig(label="none"))
    settings: dict[str, Any] = {"global_batch": 1, "image_size": 60, "train": False, "eval_resize": 60}
    fields = {"boxes": Boxes("json:boxes"), "kinds": BoxLabels("json:kinds", boxes="boxes")}
    (batch,) = batches(tmp_path, fields=fields, **settings)
    assert batch.boxes[0].tolist() == [[45, 0, 60, 60]]  # of 60 x 90 px the middle 60 are seen
    assert batch.kinds[0].tolist() == [2]
    fields["boxes"] = Boxes("json:boxes", least=None)
    (batch,) = batches(tmp_path, fields=fields, **settings)
    assert batch.kinds[0].tolist() == [1, 2, 3]
    assert batch.boxes[0][2].tolist() == [0, 0, 0, 0]


def test_padded_pictures_and_masks_are_one_tensor_of_multiples(root: Path) -> None:
    whole = batches(root, augment=Augmentation(crop="none"), image_size=100)
    padded = batches(root, augment=Augmentation(crop="none"), image_size=100, pad_to=32)
    for batch, other in zip(whole, padded, strict=True):
        assert batch.sizes.tolist() == other.sizes.tolist()
        assert other.images.shape[1:] == (96, 96, 3)
        assert other.masks.shape == (6, 96, 96)
        for row, (height, width) in enumerate(batch.sizes.tolist()):
            assert torch.equal(other.images[row, :height, :width], batch.images[row])
            assert other.images[row, height:].sum() == other.images[row, :, width:].sum() == 0


def test_a_whole_picture_of_more_pixels_than_there_is_room_for_is_made_smaller(root: Path) -> None:
    for batch in batches(root, augment=Augmentation(crop="none", flip=0), image_size=(30, 40)):
        for row, number in enumerate(numbers_of(batch)):
            height, width = batch.sizes[row].tolist()
            stored = mask_of(number).shape
            assert 1000 < height * width <= 1200
            assert abs(height / width - stored[0] / stored[1]) < 0.06
            assert tuple(batch.masks[row].shape) == (height, width) == tuple(batch.images[row].shape[:2])


def test_classification_is_what_it_was_and_its_batches_unpack(root: Path, shards: Path) -> None:
    loader = ShardLoader(shards, global_batch=8, image_size=32, num_workers=0)
    told = ShardLoader(shards, global_batch=8, image_size=32, num_workers=0, fields={"labels": "label"})
    for batch, other in zip(loader, told, strict=True):
        images, labels = batch
        assert torch.equal(images, other.images)
        assert torch.equal(labels, other.labels)
        assert labels is batch["labels"]
    with pytest.raises(AttributeError, match="has no 'masks', it has images, labels"):
        _ = batch.masks


def test_what_pack_kept_beside_a_picture_is_a_field(tmp_path: Path) -> None:
    rows = ["path,label,author,label2"]
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(picture_of(number)))
        rows.append(f"{number}.jpg,c{number % 2},author {number},x")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    pack(tmp_path / "list.csv", str(tmp_path / "out"), PackConfig(table=Table(keep=("author",))))
    (batch,) = batches(tmp_path / "out", global_batch=4, fields={"labels": "label", "author": "json:author"})
    assert sorted(batch.author) == [f"author {number}" for number in range(4)]
    assert sorted(batch.labels.tolist()) == [0, 0, 1, 1]


def bomb() -> bytes:
    """An npz that says of itself that it takes 600 MB."""
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(9))
    raw = bytearray(buffer.getvalue())
    at = raw.index(b"PK\x01\x02") + 24  # a central directory's header, its uncompressed size
    raw[at : at + 4] = (600_000_000).to_bytes(4, "little")
    return bytes(raw)


def changed(**parts: bytes | None) -> dict[str, bytes]:
    found = {**parts_of(1), **parts}
    return {ending: data for ending, data in found.items() if data is not None}


WRONG: dict[str, tuple[dict[str, bytes | None], Any, str]] = {
    "missing": ({"txt": None}, "txt", r"s001: it \(txt\) is not there, its sample has cls, jpg, .*optional=True"),
    "no json": ({"json": b"{"}, "json:tags", r"it \(json:tags\) is no JSON"),
    "no key": ({"json": b'{"other": 1}'}, "json:tags", "has no 'tags', only other"),
    "pickled": ({"npy": saved(np.array([{}], object))}, "npy", "no plain array"),
    "bomb": ({"npz": bomb()}, "npz:a", "takes 600,000,000 bytes unpacked"),
    "colours": (
        {"seg.png": encoded(picture_of(1), "PNG")},
        Mask("seg.png"),
        "has the mode RGB: a mask has one channel",
    ),
    "other shape": (
        {"seg.png": encoded(mask_of(1)[:20], "PNG")},
        Mask("seg.png"),
        r"20 x 89 px of a picture of 61 x 89",
    ),
    "too large": ({"npy": saved(np.full((61, 89), 999))}, Mask("npy"), "holds 999, beyond uint8"),
    "other class": ({"json": b'{"tags": [7]}'}, MultiLabel("json:tags", classes=5), "class 7, which is none of the 5"),
    "other length": ({}, SoftLabel("npy", classes=4), r"is 3 of float32, expected 4 numbers, one for each class"),
    "no box": ({"json": b'{"boxes": [[1, 2]]}'}, Boxes("json:boxes"), "expected N x 4 numbers"),
    "box": (
        {"json": b'{"b": [[21, 10, 9, 30]]}'},
        Boxes("json:b"),
        r"has the box 21 10 9 30, .*begins, read as xyxy: .* xywh",
    ),
    "named box": ({"json": b'{"o": ["cat"]}'}, BoxLabels("json:o", boxes="all"), "label 'cat': give classes=, the na"),
    "other name": (
        {"json": b'{"o": ["cat"]}'},
        BoxLabels("json:o", boxes="all", classes=("dog",)),
        "label 'cat', which is none of the 1 in classes",
    ),
    "no number": ({"txt": b"many"}, Number("txt"), "is 'many', expected one number"),
    "no shape": ({}, Array("npy", shape=(2, 2)), "expected 2x2 numbers"),
    "latin": ({"txt": "\xe9".encode("latin-1")}, "txt", "is no UTF-8"),
    "broken picture": ({"right.jpg": b"\xff\xd8broken"}, "right.jpg", "is not a readable picture"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_member_is_one_sentence_that_names_sample_and_field(mistake: str, tmp_path: Path) -> None:
    parts, field, told = WRONG[mistake]
    write(tmp_path / "train-0.tar", {"s001": changed(**parts)})
    index(tmp_path, IndexConfig(label="none", picture="jpg"))
    with pytest.raises(TarnError, match=told) as caught:
        batches(tmp_path, global_batch=1, fields={"all": Boxes("none.json", optional=True), "it": field})
    assert "train-0.tar: s001: it (" in str(caught.value)
    assert "BadSamplesConfig(policy='replace')" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sample_with_a_wrong_member_is_replaced_where_that_is_the_policy(tmp_path: Path) -> None:
    write(tmp_path / "train-0.tar", {"s000": parts_of(0), "s001": changed(txt=None)})
    index(tmp_path, IndexConfig(label="none", picture="jpg"))
    (batch,) = batches(tmp_path, global_batch=2, fields={"it": "txt"}, policy="replace")
    assert batch.it == ["number 0", "number 0"]
    assert batch.keys == ("s000", "s000")


def test_optional_members_may_be_missing(tmp_path: Path) -> None:
    write(tmp_path / "train-0.tar", {"s000": {"jpg": encoded(picture_of(0))}})
    index(tmp_path, IndexConfig(label="none"))
    fields = {
        "masks": Mask("png", optional=True, fill=255),
        "boxes": Boxes("json", optional=True),
        "kinds": BoxLabels("json", optional=True, boxes="boxes"),
        "tags": MultiLabel("cls", optional=True, classes=2),
    }
    (batch,) = batches(tmp_path, global_batch=1, fields=fields)
    assert (batch.masks == 255).all()
    assert tuple(batch.boxes[0].shape) == (0, 4)
    assert len(batch.kinds[0]) == batch.tags.sum() == 0


def test_labels_of_boxes_may_be_names(tmp_path: Path) -> None:
    told = b'{"objects": [{"bbox": [0, 0, 80, 50], "kind": "dog"}, {"bbox": [5, 5, 30, 30], "kind": "cat"}]}'
    write(tmp_path / "train-0.tar", {"s001": changed(json=told)})
    index(tmp_path, IndexConfig(label="none", picture="jpg"))
    boxes = Boxes("json:objects.bbox", written="xywh", least=None)
    kinds = BoxLabels("json:objects.kind", boxes="boxes", classes=["cat", "dog"])  # type: ignore[arg-type]
    (batch,) = batches(tmp_path, global_batch=1, fields={"boxes": boxes, "kinds": kinds})
    assert batch.kinds[0].tolist() == [1, 0]


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "names": ({"fields": {"it": "cls", "b": None}}, "must be a text such as txt"),
    "pickle": ({"fields": {"it": "pkl"}}, "holds pickled objects, which run code .* take Raw"),
    "unknown": ({"fields": {"it": "mp4"}}, "has no decoder of its own: take Raw"),
    "name": ({"fields": {"images": "txt"}}, "a field's name is a word of its own"),
    "no field": ({"fields": {"it": 3}}, "must be a text such as txt"),
    "no mapping": ({"fields": ["txt"]}, "must be a mapping of names"),
    "boxes": ({"fields": {"it": BoxLabels("json", boxes="there")}}, "no field of Boxes before it has that name"),
    "path": ({"fields": {"it": "json:"}}, "names no member of a sample"),
    "size": ({"image_size": (1, 2, 3)}, "must be a side in px, or two"),
    "pad": ({"pad_to": 32}, "is of whole pictures"),
    "growth": ({"image_size": (8, 16), "first_size": 4, "ramp": (0, 1)}, "first_size is of square crops"),
    "cuda": ({"decode": "cuda"}, "choose decode=cpu for fields"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_settings_that_make_no_fields_are_refused(mistake: str, root: Path) -> None:
    settings, told = MISTAKES[mistake]
    with pytest.raises(UsageError, match=told):
        batches(root, **settings)


def test_a_dataset_without_classes_asks_for_fields(root: Path) -> None:
    with pytest.raises(UsageError, match=r"has no classes .*say by fields="):
        ShardLoader(root, num_workers=0)


@pytest.mark.parametrize(
    "make", [lambda: MultiLabel("cls"), lambda: SoftLabel("npy"), lambda: Number("cls", dtype="x")]
)
def test_a_field_says_what_it_needs(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"needs classes=|is unknown"):
        make()


def test_a_field_takes_what_the_page_tells_in_that_order() -> None:
    """`optional` is named: else Boxes("json", "xywh") would be an optional field of corners."""
    assert Boxes("json:b", "xywh", True) == Boxes("json:b", written="xywh", relative=True)
    assert Mask("png", 255, "int32") == Mask("png", fill=255, dtype="int32")
    assert MultiLabel("json:tags", 5) == MultiLabel("json:tags", classes=5)
    assert BoxLabels("json:o", "boxes") == BoxLabels("json:o", boxes="boxes")
    assert not any(field.optional for field in (Boxes("json:b", "xywh"), Number("txt", "int64"), SoftLabel("npy", 3)))


@pytest.mark.parametrize(
    "made",
    [
        lambda: MultiLabel("json:tags", classes="cat"),  # type: ignore[arg-type]
        lambda: SoftLabel("npy", classes=["cat"]),  # type: ignore[arg-type]
        lambda: BoxLabels("json", boxes="boxes", classes="cat"),  # type: ignore[arg-type]
    ],
)
def test_classes_that_are_no_list_and_no_number_are_refused(made: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"classes="):
        made()
