"""Batches whose JPEGs a device decodes, all of a batch at once: data.decode=cuda."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tarn.training.pixels.resize.device_resize import resize_crops
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.workers.batches import Made
from tarn.training.streaming.workers.jpeg_libraries import JpegLibrary, jpeg_libraries, usable_library
from tarn.training.streaming.workers.pool import Lent


class Lane:
    """Where a device's work on batches is queued. On the CPU there is nothing to do for it."""

    @contextmanager
    def work(self) -> Iterator[None]:
        yield

    def hand_over(self, *tensors: Tensor) -> None:
        """The trainer is going to use them."""

    def settle(self) -> None:
        """After work that failed half-way: whatever was begun is done."""


class CudaLane(Lane):
    """A stream beside the trainer's.

    Decoders write pictures into memory that is free as of the current stream's queue, not of its progress (see
    jpeg_libraries.py). Here that queue is this lane's and is empty, so nothing is overwritten that is still to be read.
    Memory that other streams read is known to them by record_stream, and not handed out before they are done.
    TorchCodec decodes on the lane itself and waits for it, torchvision on a stream of its own, which it waits for.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call] # ahead of the trainer's kernels

    @contextmanager
    def work(self) -> Iterator[None]:
        self.stream.synchronize()
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream(self.device).wait_stream(self.stream)

    def hand_over(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            tensor.record_stream(torch.cuda.current_stream(self.device))

    def settle(self) -> None:
        torch.cuda.synchronize(self.device)  # a decoder's own stream, too


class DeviceDecoder:
    """Makes a batch on the device of what decoding processes left in memory."""

    def __init__(self, device: torch.device, library: JpegLibrary, interpolation: str = "bilinear") -> None:
        self.device, self.library, self.interpolation = device, library, interpolation
        self.lane = CudaLane(device) if device.type == "cuda" else Lane()

    def finish(self, lent: Lent) -> tuple[Tensor, Tensor, Made]:
        """Images (n x H x W x 3, uint8) and labels (n, int64) on the device, and what they are made of.

        A JPEG that the device refuses is made again as the CPU does it, or what stands in for it. Raises TarnError.
        """
        with self.lane.work():
            pictures = self.pictures(lent)
            refused = [row for row, picture in pictures.items() if picture is None]
            made = lent.made.mended(refused, lent.remake(refused)) if refused else lent.made
            images = self.uploaded(lent.images, made.jpegs["row"])
            self.show(images, made.jpegs, [picture for picture in pictures.values() if picture is not None])
            labels = torch.empty(len(lent.labels), dtype=torch.int64, device=self.device)
            labels.copy_(torch.from_numpy(lent.labels), non_blocking=True)
        self.lane.hand_over(images, labels)
        return images, labels, made

    def pictures(self, lent: Lent) -> dict[int, Tensor | None]:
        """By row; None where the device refuses."""
        jpegs = lent.made.jpegs
        flat = torch.from_numpy(lent.images.reshape(len(lent.images), -1))
        data = [flat[row, :length] for row, length in zip(jpegs["row"].tolist(), jpegs["length"].tolist(), strict=True)]
        return dict(zip(jpegs["row"].tolist(), self.decoded(data), strict=True))

    def decoded(self, data: list[Tensor]) -> Sequence[Tensor | None]:
        """All at once, or one by one where one of them is refused."""
        if not data:
            return []
        try:
            return self.library.decode(data, self.device)
        except RuntimeError:
            self.lane.settle()  # or a picture would still be written into memory that is free again
            if len(data) == 1:
                return [None]
            return [picture for each in data for picture in self.decoded([each])]

    def uploaded(self, pixels: NDArray[np.uint8], left_out: NDArray[np.int32]) -> Tensor:
        """On the device; the rows left out are not written."""
        images = torch.empty(pixels.shape, dtype=torch.uint8, device=self.device)
        if not len(left_out):
            return images.copy_(torch.from_numpy(pixels), non_blocking=True)
        rows = np.setdiff1d(np.arange(len(pixels)), left_out)
        if len(rows):
            images[torch.from_numpy(rows).to(self.device)] = torch.from_numpy(pixels[rows]).to(self.device)
        return images

    def show(self, images: Tensor, jpegs: NDArray[np.void], pictures: list[Tensor]) -> None:
        if pictures:
            rows = torch.from_numpy(jpegs["row"].astype(np.int64)).to(self.device)
            crops = resize_crops(pictures, jpegs["box"], jpegs["flip"], images.shape[1], self.interpolation)
            images[rows] = crops


def chosen_decoder(plan: StreamPlan, device: torch.device | None) -> tuple[StreamPlan, DeviceDecoder | None, list[str]]:
    """Of what decodes the plan's batches: a device, or else a plan that leaves nothing to it, and a warning.

    device: the current CUDA device where it is None.
    """
    if plan.decode == "cpu":
        return plan, None, []
    if device is None:
        device = torch.device("cuda", torch.cuda.current_device() if torch.cuda.is_available() else 0)
    library, reason = usable_library(device, jpeg_libraries())
    if library is None:
        warning = f"decode=cuda is not usable here ({reason}): pictures are decoded on the CPU."
        return replace(plan, decode="cpu"), None, [warning]
    return plan, DeviceDecoder(device, library, plan.preprocessing.interpolation), []
