"""Bicubic crops and evaluation pictures against Pillow, by every way that a picture may take."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms

from support.jpegs import jpeg
from support.loaders import shard_loader
from tarn.inference.models.torch_scorer import TorchScorer
from tarn.inference.predictor import Predictor
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.jpeg.structure import tile
from tarn.training.export.card import Card
from tarn.training.model.resnet import build_model
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.formats.baseline import BaselineJpeg
from tarn.training.pixels.geometry import UNIFORMS, Augmentation, resized_crop_box
from tarn.training.pixels.pictures import decode_eval
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.resize.device_resize import resize_crops
from tarn.training.streaming import PictureConfig
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.randomness import sample_uniforms

STRAIGHT = Augmentation(flip=0)
CROP = Preprocessing(resize=72, crop=64, interpolation="bicubic")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def encoded(kind: str) -> bytes:
    if kind == "png":
        buffer = io.BytesIO()
        opened(jpeg(400, 300)).save(buffer, "PNG")
        return buffer.getvalue()
    return tile(jpeg(400, 300))[0] if kind == "tiled" else jpeg(400, 300, "Gray" if kind == "grey" else "420")


@pytest.mark.parametrize("kind", ["tiled", "plain", "grey", "png"])
@pytest.mark.parametrize("size", [48, 224])
def test_exact_training_crops_are_those_of_torchvision_on_pillow_pictures(kind: str, size: int) -> None:
    data, out = encoded(kind), np.empty((size, size, 3), np.uint8)
    for row in sample_uniforms(3, 1, np.arange(12), UNIFORMS):
        left, top, right, bottom = resized_crop_box(400, 300, STRAIGHT, row)
        cut = opened(data).crop((left, top, right, bottom)).resize((size, size), Image.Resampling.BICUBIC)
        PictureDecoder("exact", "bicubic").train(memoryview(data), out, STRAIGHT, row)
        assert np.array_equal(out, np.asarray(cut))


def test_default_training_crops_are_pillows_too_where_no_scaled_decoding_helps() -> None:
    data, out, exact = encoded("tiled"), *(np.empty((224, 224, 3), np.uint8) for _ in range(2))
    for row in sample_uniforms(3, 1, np.arange(12), UNIFORMS):
        PictureDecoder("default", "bicubic").train(memoryview(data), out, STRAIGHT, row)
        PictureDecoder("exact", "bicubic").train(memoryview(data), exact, STRAIGHT, row)
        assert np.array_equal(out, exact)


@pytest.mark.parametrize("kind", ["tiled", "plain", "grey", "png"])
@pytest.mark.parametrize("pair", [(256, 224), (72, 64), (300, 300)])
def test_evaluation_pictures_are_those_of_torchvision_on_pillow_pictures(kind: str, pair: tuple[int, int]) -> None:
    data, out = encoded(kind), np.empty((pair[1], pair[1], 3), np.uint8)
    way = transforms.Compose([transforms.Resize(pair[0], InterpolationMode.BICUBIC), transforms.CenterCrop(pair[1])])
    for fidelity in ("default", "exact"):
        told = Preprocessing(resize=pair[0], crop=pair[1], interpolation="bicubic")
        PictureDecoder(fidelity).evaluate(memoryview(data), out, told)
        assert np.array_equal(out, np.asarray(way(opened(data))))


def test_the_region_path_takes_bicubic_pictures() -> None:
    """So that the tests above are not about Pillow alone."""
    data, out = encoded("tiled"), np.empty((64, 64, 3), np.uint8)
    decoder, row = PictureDecoder("default", "bicubic"), sample_uniforms(3, 1, np.arange(1), UNIFORMS)[0]
    picture = next(decoder.opened(memoryview(data)))
    assert isinstance(picture, BaselineJpeg)
    assert decoder.stretch(picture, resized_crop_box(*picture.size, STRAIGHT, row), out, flip=False)
    assert decoder.centre(picture, out, CROP.resize, CROP.interpolation)


@pytest.mark.parametrize("crop", ["padded", "centre"])
def test_other_crops_are_resized_by_it_as_well(crop: str) -> None:
    data, row = encoded("png"), np.full(UNIFORMS, 0.5)
    out, augmentation = np.empty((64, 64, 3), np.uint8), Augmentation(crop=crop, flip=0)
    PictureDecoder("default", "bicubic").train(memoryview(data), out, augmentation, row)
    assert np.array_equal(out, decode_eval(data, 64, 64, "bicubic"))
    assert not np.array_equal(out, decode_eval(data, 64, 64))


def test_resizing_by_products_is_pillows_within_a_level() -> None:
    rng = np.random.default_rng(0)
    for width, height, side in [(80, 60, 48), (31, 200, 48), (500, 333, 96), (40, 30, 224)]:
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
        picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
        box = (width // 8, height // 8, width // 2, height // 2)
        crop = picture.crop((box[0], box[1], box[0] + box[2], box[1] + box[3]))
        theirs = np.asarray(crop.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
        tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        (ours,) = resize_crops([tensor], np.array([box], np.float32), np.array([False]), side, "bicubic").numpy()
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("train", [True, False])
def test_a_loader_gives_bicubic_batches(shards: Path, train: bool) -> None:
    more = {"global_batch": 8, "image_size": 32, "num_workers": 0, "train": train}
    ours, theirs = (shard_loader(str(shards), interpolation=how, **more) for how in ("bicubic", "bilinear"))
    one, other = next(iter(ours)).images.int(), next(iter(theirs)).images.int()
    assert 0 < (one - other).abs().float().mean() < 20


def test_an_exported_model_names_it_and_an_older_one_is_bilinear() -> None:
    told = CROP.to_dict()
    assert told["interpolation"] == "bicubic antialias"
    assert Preprocessing.from_dict(told, "m.pt") == CROP
    assert Preprocessing().to_dict()["interpolation"] == "bilinear antialias"
    older = {name: value for name, value in told.items() if name != "interpolation"}
    assert Preprocessing.from_dict(older, "m.pt").interpolation == "bilinear"
    with pytest.raises(TarnError, match=r"m\.pt holds no usable preprocessing"):
        Preprocessing.from_dict(told | {"interpolation": "lanczos antialias"}, "m.pt")


def test_inference_sees_pictures_by_the_models_own_interpolation() -> None:
    data = encoded("tiled")
    model = build_model("resnet18", 3, small_stem=True, seed=0).eval()
    card = Card(arch="resnet18", small_stem=True, classes=(), preprocessing=CROP, provenance={})
    predictor = Predictor(TorchScorer(model, card, torch.device("cpu")))
    assert np.array_equal(predictor.prepare(data), decode_eval(data, 72, 64, "bicubic"))


def test_what_is_none_or_does_not_go_with_the_fidelity_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.interpolation='cubic' is unknown: choose one of bilinear, bicubic"):
        DataConfig(interpolation="cubic")
    with pytest.raises(UsageError, match=r"data\.fidelity=fast is bilinear: .*data\.interpolation=bicubic"):
        DataConfig(interpolation="bicubic", fidelity="fast")
    with pytest.raises(UsageError, match="fidelity=fast is bilinear"):
        PictureConfig(interpolation="bicubic", fidelity="fast")
