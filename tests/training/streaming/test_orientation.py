"""What training and evaluation make of pictures that a camera stored turned: what torchvision's loader does."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets.folder import default_loader
from torchvision.transforms import v2 as transforms

from support.jpegs import texture
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.training.pixels.geometry import Augmentation
from tarn.training.streaming import PictureConfig, ShardLoader

TURNED = Image.Exif()
TURNED[0x0112] = 6
CHAIN = transforms.Compose([transforms.Resize(73), transforms.CenterCrop(64)])


def batch(root: Path, train: bool) -> NDArray[np.uint8]:
    pictures = PictureConfig(augment=Augmentation(crop="centre", flip=0))
    loader = ShardLoader(
        str(root), global_batch=1, image_size=64, train=train, num_workers=0, drop_last=False, pictures=pictures
    )
    (pixels,) = (each.images.numpy()[0].copy() for each in loader)
    return pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_training_and_evaluation_leave_a_turned_picture_as_it_is_stored(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "tree" / "train" / "all"
    folder.mkdir(parents=True)
    path = folder / "one.JPEG"
    Image.fromarray(texture(120, 90)).save(path, kind, exif=TURNED.tobytes())
    pack(tmp_path / "tree", tmp_path / "shards", PackConfig(split="train"))
    theirs = default_loader(str(path))
    assert theirs.getexif()[0x0112] == 6
    assert np.array_equal(batch(tmp_path / "shards", train=False), np.asarray(CHAIN(theirs)))
    whole = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(64)])
    assert np.array_equal(batch(tmp_path / "shards", train=True), np.asarray(whole(theirs)))


def test_packing_with_normalise_turns_it_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "tree" / "train" / "all"
    folder.mkdir(parents=True)
    Image.fromarray(texture(120, 90)).save(folder / "one.JPEG", exif=TURNED.tobytes())
    pack(tmp_path / "tree", tmp_path / "shards", PackConfig(split="train", preparation=Preparation(normalise=True)))
    upright = default_loader(str(folder / "one.JPEG")).transpose(Image.Transpose.ROTATE_270)
    seen = batch(tmp_path / "shards", train=False)
    assert np.abs(seen.astype(int) - np.asarray(CHAIN(upright))).mean() < 4


def test_a_tiff_is_turned_by_pillow_and_so_by_every_loader(tmp_path: Path) -> None:
    folder = tmp_path / "tree" / "train" / "all"
    folder.mkdir(parents=True)
    path = folder / "one.JPEG"
    Image.fromarray(texture(120, 90)).save(path, "TIFF", exif=TURNED.tobytes())
    pack(tmp_path / "tree", tmp_path / "shards", PackConfig(split="train"))
    theirs = default_loader(str(path))
    assert theirs.size == (90, 120)
    assert np.array_equal(batch(tmp_path / "shards", train=False), np.asarray(CHAIN(theirs)))
