"""Members that hold something else than their field expects: a sentence with sample and field, never other numbers."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.foreign_tars import write
from support.loaders import shard_loader
from support.membered import encoded, mask_of, picture_of, saved
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.training.pixels.geometry import Size
from tarn.training.streaming import (
    Array,
    Augmentation,
    Batch,
    BoxLabels,
    Json,
    Mask,
    MultiLabel,
    Number,
    Picture,
)
from tarn.training.streaming.fields.field import Column, Field, Shown


def packed(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


MEMBERS = {
    "300.cls": b"300",
    "less.cls": b"-1",
    "large.cls": str(2**63).encode(),
    "json": json.dumps({"huge": 1e30, "beyond": 1e40, "half": [1.5], "truth": [True], "word": ["1"]}).encode(),
    "endless.json": b'{"inf": [1e999], "whole": [1' + b"0" * 400 + b"]}",
    "deep.json": b"[" * 900 + b"]" * 900,
    "complex.npy": saved(np.full(2, 1 + 1j)),
    "texts.npz": packed(a=np.array(["a"])),
    "two.npz": packed(a=np.arange(2, dtype=">i4"), b=np.ones(3)),
    "single.npy": saved(np.array(2)),
    "swapped.npy": saved(np.arange(6, dtype=">f4").reshape(2, 3)),
    "empty.npy": saved(np.zeros((0, 0), np.uint8)),
    "other.png": encoded(picture_of(0)[:10, :80], "PNG"),
}
TOO_MUCH = {
    "a number beyond": (Number("300.cls", dtype="uint8"), "holds 300, expected one number .uint8."),
    "a negative number": (Number("less.cls", dtype="uint8"), "holds -1, expected one number .uint8."),
    "more than 63 bits": (Number("large.cls", dtype="int64"), "holds 9223372036854775808, expected one number"),
    "a large float": (Number("json:huge", dtype="int64"), r"holds 1e\+30, expected one number .int64."),
    "a float beyond": (Number("json:beyond"), r"holds 1e\+40, expected one number .float32."),
    "an imaginary part": (Array("complex.npy", shape=(2,)), "is 2 of complex128, expected 2 numbers"),
    "texts": (Array("texts.npz"), "is <U1, expected numbers"),
    "half a class": (MultiLabel("json:half", classes=4), r"has the class 1\.5, which is none of the 4"),
    "a truth value": (MultiLabel("json:truth", classes=4), "has the class True, which is none of the 4"),
    "a number for a name": (MultiLabel("json:word", classes=("a", "b")), "has the class '1', which is none of the 2"),
    "infinity": (MultiLabel("endless.json:inf", classes=4), "has the class inf, which is none"),
    "an endless number": (MultiLabel("endless.json:whole", classes=4), "has the class 10*, which is none"),
    "no pixels": (Mask("empty.npy"), "is 0 x 0 px of a picture of 60 x 90"),
}
WRONG: dict[str, Any] = {
    "Number": lambda: Number("cls", dtype="int64", missing=float("nan")),
    "missing=-1": lambda: Number("cls", dtype="uint8", missing=-1),
    "shape=5": lambda: Array("npy", shape=5),  # type: ignore[arg-type]
    r"shape=\(2, -1\)": lambda: Array("npy", shape=(2, -1)),
    "dtype='foo'": lambda: BoxLabels("json", boxes="boxes", dtype="foo"),
    "fill=-1": lambda: Mask("png", fill=-1),
    "classes='dog' must be a number": lambda: MultiLabel("cls", classes="dog"),  # type: ignore[arg-type]
    "each once": lambda: MultiLabel("cls", classes=("dog", "dog")),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six samples of one size, all of them with these members."""
    folder = tmp_path_factory.mktemp("hostile")
    own = {"jpg": encoded(picture_of(0)), "seg.png": encoded(mask_of(0), "PNG")}
    write(folder / "train-0.tar", {f"s{number}": {**own, **MEMBERS} for number in range(6)})
    index(folder, IndexConfig(label="none", picture="jpg"))
    return folder


def batches(root: Path, field: Any, **settings: Any) -> list[Batch]:
    told = {"global_batch": 3, "image_size": 32, "num_workers": 0, "fields": {"told": field}, **settings}
    loader = shard_loader(str(root), **told)
    try:
        return list(loader)
    finally:
        loader.close()


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_a_field_cannot_hold_is_refused_by_sample_and_field(root: Path, what: str) -> None:
    field, sentence = TOO_MUCH[what]
    with pytest.raises(TarnError, match=rf"s\d: told \(.*\) {sentence}") as caught:
        batches(root, field)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("told", WRONG)
def test_a_field_that_cannot_be_is_refused_where_it_is_made(told: str) -> None:
    with pytest.raises(UsageError, match=told):
        WRONG[told]()


def test_a_batch_that_has_no_room_is_one_sentence(root: Path) -> None:
    with pytest.raises(TarnError, match=r"there is no memory for a batch \(12,000,000,000,000 MB\)"):
        batches(root, Array("single.npy", shape=(10**9, 10**9)))


@pytest.mark.parametrize("name", ["values", "changed"])
def test_a_field_is_not_named_as_what_a_batch_has_itself(root: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a field's name is a word of its own"):
        batches(root, "txt", fields={name: "txt"})


def test_pixels_without_a_mask_have_any_number_that_the_dtype_holds(root: Path) -> None:
    settings = {"augment": Augmentation(crop="padded", padding=16), "keys": True}
    plain = batches(root, Mask("seg.png", fill=9), **settings)
    filled = batches(root, Mask("seg.png", fill=-100, dtype="int64"), **settings)
    for batch, other in zip(plain, filled, strict=True):
        assert torch.equal(batch.told == 9, other.told == -100)
        assert torch.equal(batch.told[batch.told != 9].long(), other.told[batch.told != 9])
    assert any((batch.told == -100).any() for batch in filled)


@pytest.mark.parametrize("hook", [None, "support.hooks:unchanged"])
def test_arrays_of_any_byte_order_are_tensors_with_or_without_workers_and_hook(root: Path, hook: str | None) -> None:
    for workers in (0, 1):
        for batch in batches(root, Array("swapped.npy"), num_workers=workers, picture_hook=hook):
            assert [each.tolist() for each in batch.told] == [[[0, 1, 2], [3, 4, 5]]] * 3
    for batch in batches(root, Array("two.npz"), picture_hook=hook):
        assert [each["a"].tolist() + each["b"].tolist() for each in batch.told] == [[0, 1, 1, 1, 1]] * 3
    for batch in batches(root, MultiLabel("single.npy", classes=3)):
        assert batch.told.tolist() == [[0, 0, 1]] * 3


def test_a_share_without_samples_has_tensors_of_the_same_kinds(root: Path) -> None:
    """Of an evaluation's last batch: one sample, two ranks."""
    fields = {"mask": Mask("seg.png", dtype="int32"), "again": Picture("jpg")}
    settings = {"fields": fields, "train": False, "global_batch": 5, "augment": Augmentation(crop="none"), "pad_to": 8}
    for rank in range(2):
        whole, rest = batches(root, None, **settings, rank=rank, world_size=2, image_size=100)
        for name, value in rest.values.items():
            assert (value.dtype, value.shape[3:]) == (whole[name].dtype, whole[name].shape[3:])
            assert len(value) == rank


def test_another_picture_of_other_shape_is_padded_by_itself(root: Path) -> None:
    settings = {"augment": Augmentation(crop="none", flip=0), "pad_to": 8, "image_size": 100}
    for batch in batches(root, Picture("other.png"), **settings):
        assert batch.images.shape == (3, 64, 96, 3)
        assert batch.told.shape == (3, 16, 80, 3)
        assert np.array_equal(batch.told[0, :10], picture_of(0)[:10, :80])


@dataclass(frozen=True)
class Careless(Field):
    """A field of somebody's own."""

    def column(self, size: Size, whole: bool) -> Column:
        return Column((), "float32")

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        raise KeyError("no such thing")


def test_a_field_of_ones_own_that_fails_is_named_with_its_sample(root: Path) -> None:
    with pytest.raises(TarnError, match=r"s\d: told \(jpg\) raised KeyError \('no such thing'\)"):
        batches(root, Careless("jpg"))


def test_what_cannot_travel_from_a_worker_is_one_sentence(root: Path) -> None:
    with pytest.raises(TarnError, match=r"a field of the batch cannot be sent .* \(RecursionError: .*not nested deep"):
        batches(root, Json("deep.json"), num_workers=1)
