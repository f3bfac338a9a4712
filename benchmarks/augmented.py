"""Torchvision's v2 transforms in Tarn's hook and in a DataLoader over an ImageFolder: contenders of hooks.py.

Both crop to 224 px and give uint8; what comes behind the crop is the same code on the same kind of picture, a Pillow
one: jitter and RandAugment take two to four times as long on tensors.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2 as typeless

from benchmarks.contender import Task
from tarn.training.streaming import Augmentation, PictureConfig, ShardLoader

v2: Any = typeless
CHAINS = {
    "flip": v2.Compose([v2.RandomHorizontalFlip()]),
    "jitter": v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4, 0.1)]),
    "randaugment": v2.Compose([v2.RandomHorizontalFlip(), v2.RandAugment()]),
}


def augmented(what: str, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(CHAINS[what](Image.fromarray(pixels)))


def flip(pixels: NDArray[np.uint8], fields: Any, generator: Any) -> NDArray[np.uint8]:
    return augmented("flip", pixels)


def jitter(pixels: NDArray[np.uint8], fields: Any, generator: Any) -> NDArray[np.uint8]:
    return augmented("jitter", pixels)


def randaugment(pixels: NDArray[np.uint8], fields: Any, generator: Any) -> NDArray[np.uint8]:
    return augmented("randaugment", pixels)


def tarn(task: Task, what: str) -> Iterator[int]:
    loader = ShardLoader(
        f"{task.packed}/tiled",
        global_batch=task.batch,
        image_size=task.size,
        num_workers=task.cores,
        picture_hook=f"benchmarks.augmented:{what}",
        pictures=PictureConfig(augment=Augmentation(flip=0)),  # the hook flips
    )
    for epoch in itertools.count():
        loader.set_epoch(epoch)
        for batch in loader:
            yield len(batch.labels)


def folder(task: Task, what: str) -> Iterator[int]:
    torch.set_num_threads(1)
    chain = v2.Compose([v2.RandomResizedCrop(task.size, antialias=True), CHAINS[what], v2.PILToTensor()])
    loader = DataLoader(
        ImageFolder(task.pictures, chain), task.batch,
        shuffle=True, drop_last=True, num_workers=task.cores, persistent_workers=True,
    )  # fmt: skip
    while True:
        for images, _ in loader:
            yield len(images)
