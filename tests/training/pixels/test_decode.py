import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms

from tarn.training.pixels.geometry import UNIFORMS, Augmentation, resized_crop_box
from tarn.training.pixels.normalisation import normalise
from tarn.training.pixels.pictures import BrokenPictureError, decode_eval, decode_train, open_picture
from tarn.training.streaming.randomness import sample_uniforms


def picture(width: int, height: int, mode: str = "RGB", kind: str = "JPEG") -> bytes:
    rng = np.random.default_rng(width * 1000 + height)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    buffer = io.BytesIO()
    coarse.convert(mode).save(buffer, kind)
    return buffer.getvalue()


SIZES = [(500, 375), (375, 500), (333, 500), (64, 48), (500, 256), (1200, 300)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (72, 64), (32, 32)])
def test_evaluation_pixels_are_within_one_level_of_torchvision(width: int, height: int, resize: int, crop: int) -> None:
    data = picture(width, height)
    theirs = transforms.Compose(
        [transforms.Resize(resize, InterpolationMode.BILINEAR, antialias=True), transforms.CenterCrop(crop)]
    )(Image.open(io.BytesIO(data)).convert("RGB"))
    ours = decode_eval(data, resize, crop)
    assert ours.shape == (crop, crop, 3)
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - np.asarray(theirs).astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("RGB", "WEBP")]
)
def test_every_mode_becomes_three_channels(mode: str, kind: str) -> None:
    data = picture(90, 70, mode, kind)
    for pixels in (decode_eval(data, 40, 32), decode_train(data, 32, Augmentation(), np.full(UNIFORMS, 0.3))):
        assert pixels.shape == (32, 32, 3)
        assert pixels.std() > 5


@pytest.mark.parametrize("harm", [lambda raw: b"", lambda raw: b"<html>", lambda raw: raw[: len(raw) // 2]])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_broken_picture_is_told_as_such(harm, kind: str) -> None:  # type: ignore[no-untyped-def]
    data = harm(picture(200, 150, kind=kind))
    with pytest.raises(BrokenPictureError):
        decode_eval(data, 64, 64)
    with pytest.raises(BrokenPictureError):
        decode_train(data, 64, Augmentation(), np.zeros(UNIFORMS))


def test_crops_follow_the_distribution_of_torchvision() -> None:
    width, height, augmentation = 500, 375, Augmentation()
    rows = sample_uniforms(0, 0, np.arange(4000), UNIFORMS)
    ours = np.array([resized_crop_box(width, height, augmentation, row) for row in rows], float)
    image = torch.zeros(3, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        crop = transforms.RandomResizedCrop(8)
        drawn = [crop.make_params([image]) for _ in range(4000)]
    theirs = np.array([(d["left"], d["top"], d["left"] + d["width"], d["top"] + d["height"]) for d in drawn], float)
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.abs(np.quantile(ours, quantile, axis=0) - np.quantile(theirs, quantile, axis=0)).max() < 16
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 2] <= width).all()
    assert (ours[:, 3] <= height).all()


def test_a_training_crop_is_close_to_cropping_the_whole_picture() -> None:
    """Decoding at half size by the JPEG's own DCT, where the crop is large, may blur by a few levels, no more."""
    data = picture(800, 600)
    row = sample_uniforms(1, 1, np.array([5]), UNIFORMS)[0]
    row[-1] = 0.9
    left, top, right, bottom = resized_crop_box(800, 600, Augmentation(scale=(0.9, 1.0)), row)
    whole = open_picture(data).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR, (left, top, right, bottom))
    ours = decode_train(data, 64, Augmentation(scale=(0.9, 1.0)), row)
    assert np.abs(ours.astype(int) - np.asarray(whole).astype(int)).mean() < 2


def test_the_flip_mirrors_and_nothing_else() -> None:
    data, row = picture(100, 80), np.full(UNIFORMS, 0.4)
    plain, flipped = row.copy(), row.copy()
    plain[-1], flipped[-1] = 0.6, 0.4
    for crop in ("resized", "padded", "centre"):
        augmentation = Augmentation(crop=crop)
        one, other = decode_train(data, 32, augmentation, plain), decode_train(data, 32, augmentation, flipped)
        assert np.array_equal(one[:, ::-1], other)
        assert not np.array_equal(one, other)


def test_padded_crops_reach_every_offset_and_pad_with_black() -> None:
    data = picture(32, 32, kind="PNG")
    rows = sample_uniforms(0, 0, np.arange(400), UNIFORMS)
    seen = {decode_train(data, 32, Augmentation(crop="padded", padding=1, flip=0), row).tobytes() for row in rows}
    assert len(seen) == 9
    corner = np.zeros(UNIFORMS)
    assert (decode_train(data, 32, Augmentation(crop="padded", padding=4, flip=0), corner)[:4] == 0).all()


def test_normalising_equals_torchvision() -> None:
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = transforms.Normalize(mean, std)(images.permute(0, 3, 1, 2).float() / 255)
    for channels_last in (True, False):
        ours = normalise(images, mean, std, channels_last)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert ours.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
