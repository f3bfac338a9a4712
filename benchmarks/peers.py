"""Peers that work by torch's DataLoader. Crops are RandomResizedCrop(0.08 to 1) with antialiasing, and a flip."""

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset
from torchvision import datasets, transforms
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from benchmarks.contender import Task

Sample = tuple[torch.Tensor, int]


class Pixels:
    """From a JPEG's bytes to a crop of uint8, by torchvision's own decoder and resizer."""

    def __init__(self, size: int) -> None:
        crop, flip = v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()  # type: ignore[attr-defined]
        self.change: Callable[..., torch.Tensor] = v2.Compose([crop, flip])  # type: ignore[attr-defined]

    def __call__(self, data: bytes) -> torch.Tensor:
        raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return self.change(decode_jpeg(raw, mode=ImageReadMode.RGB))


def endless(loader: Iterable[Any]) -> Iterator[int]:
    for _ in itertools.count():
        for _, labels in loader:
            yield len(labels)


def over(dataset: Dataset[Any], task: Task, shuffle: bool = False) -> Iterator[int]:
    """No worker on one core, where one more process gains nothing; else a worker for each core."""
    workers = task.cores if task.cores > 1 else 0
    options: dict[str, Any] = {"shuffle": True} if shuffle else {}
    return endless(DataLoader(
        dataset, task.batch, num_workers=workers, drop_last=True, persistent_workers=workers > 0, **options
    ))  # fmt: skip


def single_thread() -> None:
    torch.set_num_threads(1)


def seed(task: Task) -> Iterator[int]:
    """The pipeline that this project grew from."""
    single_thread()
    change = transforms.Compose([  # type: ignore[no-untyped-call]
        transforms.RandomResizedCrop(task.size),
        transforms.RandomHorizontalFlip(),  # type: ignore[no-untyped-call]
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # type: ignore[no-untyped-call]
    ])  # fmt: skip
    return over(datasets.ImageFolder(task.pictures, change), task, shuffle=True)


def vision(task: Task) -> Iterator[int]:
    single_thread()
    pixels = Pixels(task.size)
    folder = datasets.ImageFolder(task.pictures, loader=lambda path: pixels(Path(path).read_bytes()))
    return over(folder, task, shuffle=True)


def webdataset(task: Task) -> Iterator[int]:
    """The tars that Tarn packed without tiling."""
    from webdataset.compat import WebDataset

    single_thread()
    tars, pixels = sorted(str(path) for path in Path(task.packed, "plain", "train").glob("*.tar")), Pixels(task.size)
    kept = WebDataset(tars, shardshuffle=len(tars), empty_check=False).shuffle(1000).to_tuple("jpg", "cls")
    made = kept.map_tuple(pixels, int).batched(task.batch, partial=False)
    assert isinstance(made, IterableDataset)  # the library's own hints say less
    return endless(DataLoader(made, batch_size=None, num_workers=task.cores if task.cores > 1 else 0))


def samples(task: Task) -> list[tuple[str, int]]:
    return datasets.ImageFolder(task.pictures).samples


def read_sample(sample: tuple[str, int]) -> dict[str, Any]:
    return {"jpeg": Path(sample[0]).read_bytes(), "label": sample[1]}


def mosaic_dataset(task: Task) -> None:
    from streaming import MDSWriter

    out = Path(task.packed, "mosaic")
    if not (out / "index.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        with MDSWriter(out=str(out), columns={"jpeg": "bytes", "label": "int"}) as writer:
            for sample in samples(task):
                writer.write(read_sample(sample))


def mosaic(task: Task) -> Iterator[int]:
    import streaming

    single_thread()
    pixels = Pixels(task.size)

    class Pictures(streaming.StreamingDataset):  # type: ignore[misc]
        def __getitem__(self, at: int) -> Sample:
            found = super().__getitem__(at)
            return pixels(found["jpeg"]), found["label"]

    streaming.base.util.clean_stale_shared_memory()
    return over(Pictures(local=str(Path(task.packed, "mosaic")), batch_size=task.batch, shuffle=True), task)


def litdata_dataset(task: Task) -> None:
    from litdata import optimize

    out = Path(task.packed, "litdata")
    if not (out / "index.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        optimize(fn=read_sample, inputs=samples(task), output_dir=str(out.resolve()), chunk_bytes="64MB", num_workers=1)


def litdata(task: Task) -> Iterator[int]:
    from litdata import StreamingDataLoader, StreamingDataset

    single_thread()
    pixels = Pixels(task.size)

    class Pictures(StreamingDataset):  # type: ignore[misc]
        def __getitem__(self, at: Any) -> Sample:
            found = super().__getitem__(at)
            return pixels(found["jpeg"]), found["label"]

    data = Pictures(str(Path(task.packed, "litdata").resolve()), shuffle=True, drop_last=True)
    workers = task.cores if task.cores > 1 else 0
    return endless(StreamingDataLoader(data, batch_size=task.batch, num_workers=workers, drop_last=True))
