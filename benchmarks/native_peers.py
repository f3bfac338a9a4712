"""Peers with engines of their own: DALI, SPDL, FFCV. The same crops and flips; uint8 out."""

import itertools
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contender import Task

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def dali(task: Task) -> Iterator[int]:
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=task.batch, num_threads=task.cores, device_id=None, seed=0)
    def pipeline():  # type: ignore[no-untyped-def]
        jpegs, labels = fn.readers.file(file_root=task.pictures, random_shuffle=True)
        images = fn.decoders.image_random_crop(
            jpegs, device="cpu", output_type=types.RGB, random_area=list(SCALE), random_aspect_ratio=list(RATIO)
        )
        images = fn.resize(images, size=[task.size, task.size], interp_type=types.INTERP_LINEAR, antialias=True)
        return fn.flip(images, horizontal=fn.random.coin_flip()), labels

    made = pipeline()
    made.build()
    while True:
        images, _ = made.run()
        yield len(images)


def spdl(task: Task) -> Iterator[int]:
    from spdl import io as media
    from spdl.pipeline import PipelineBuilder

    paths = [str(path) for path in sorted(Path(task.pictures).rglob("*")) if path.is_file()]
    draw = random.Random(0)

    def endless() -> Iterator[str]:
        while True:
            yield from draw.sample(paths, len(paths))

    def crop(path: str) -> object:
        packets = media.demux_image(path)
        width, height = packets.codec.width, packets.codec.height
        box = random_box(draw, width, height)
        flip = ",hflip" if draw.random() < 0.5 else ""
        scale = f"scale={task.size}:{task.size}:flags=bilinear"
        return media.decode_packets(packets, filter_desc=f"crop={box},{scale}{flip},format=pix_fmts=rgb24")

    def collate(frames: list[object]) -> object:
        return media.to_numpy(media.convert_frames(frames))

    made = (
        PipelineBuilder().add_source(endless()).pipe(crop, concurrency=task.cores).aggregate(task.batch, drop_last=True)
        .pipe(collate).add_sink(2).build(num_threads=task.cores)
    )  # fmt: skip
    with made.auto_stop():
        for images in made.get_iterator():
            yield len(images)


def random_box(draw: random.Random, width: int, height: int) -> str:
    """w:h:x:y of a random resized crop; the whole picture after ten vain attempts."""
    for _ in range(10):
        area, ratio = width * height * draw.uniform(*SCALE), math.exp(draw.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return f"{w}:{h}:{draw.randint(0, width - w)}:{draw.randint(0, height - h)}"
    return f"{width}:{height}:0:0"


def ffcv_file(task: Task) -> Path:
    return Path(task.packed, "ffcv.beton")


def ffcv_dataset(task: Task) -> None:
    """As FFCV's own ImageNet recipe writes it (write_imagenet.py: 500, 0.5, 90)."""
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter
    from torchvision.datasets import ImageFolder

    path = ffcv_file(task)
    if path.exists():
        return
    part = path.with_suffix(".part")
    image = RGBImageField(write_mode="proportion", max_resolution=500, compress_probability=0.5, jpeg_quality=90)
    writer = DatasetWriter(str(part), {"image": image, "label": IntField()}, num_workers=os.cpu_count() or 1)
    writer.from_indexed_dataset(ImageFolder(task.pictures))
    part.rename(path)


def ffcv(task: Task) -> Iterator[int]:
    from ffcv.fields.basics import IntDecoder
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor, ToTorchImage

    decoder = RandomResizedCropRGBImageDecoder((task.size, task.size), SCALE, RATIO)
    loader = Loader(
        str(ffcv_file(task)),
        batch_size=task.batch,
        num_workers=task.cores,
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=True,
        pipelines={
            "image": [decoder, RandomHorizontalFlip(), ToTensor(), ToTorchImage()],
            "label": [IntDecoder(), ToTensor()],
        },
    )
    for _ in itertools.count():
        for images, _ in loader:
            yield len(images)
