"""Batches whose JPEGs a device decodes, all of a batch at once (nvJPEG by torchvision): data.decode=cuda."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tarn.training.pixels.resize.device_resize import resize_crops
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.workers.batches import Made
from tarn.training.streaming.workers.pool import Lent

Decode = Callable[[list[Tensor], torch.device], list[Tensor]]  # bytes, uint8; pictures, 3 x H x W, uint8

PROBE = (200, 60, 100)  # a colour that a decoder is asked for at the start
NEAR = 8  # levels that it may be off


def decode_jpegs(data: list[Tensor], device: torch.device) -> list[Tensor]:
    """By torchvision on the CPU, by nvJPEG on a GPU. Raises RuntimeError where one of them is refused."""
    from torchvision.io import ImageReadMode, decode_jpeg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 0.29 says so of its decoders: why_unusable sees it go
        return list(decode_jpeg(data, mode=ImageReadMode.RGB, device=device))


class Lane:
    """Where a device's work on batches is queued. On the CPU there is nothing to do for it."""

    @contextmanager
    def work(self) -> Iterator[None]:
        yield

    def hand_over(self, *tensors: Tensor) -> None:
        """The trainer is going to use them."""


class CudaLane(Lane):
    """A stream beside the trainer's.

    torchvision writes pictures by a stream of its own into memory that is free as of the current stream's queue, not of
    its progress. Here that queue is this lane's and is empty, so nothing is overwritten that is still to be read.
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


class DeviceDecoder:
    """Makes a batch on the device of what decoding processes left in memory."""

    def __init__(self, device: torch.device, decode: Decode = decode_jpegs, interpolation: str = "bilinear") -> None:
        self.device, self.decode, self.interpolation = device, decode, interpolation
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
            return self.decode(data, self.device)
        except RuntimeError:
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


def why_unusable(device: torch.device, decode: Decode = decode_jpegs) -> str:
    """Why JPEGs cannot be decoded there; nothing where they can. A picture is decoded for it."""
    if device.type == "cuda" and not torch.cuda.is_available():
        return "no CUDA device is at hand"
    try:
        (picture,) = decode([probe()], device)
        colour = picture.float().mean(dim=(1, 2)).tolist()
    except (RuntimeError, ImportError, AttributeError, TypeError, ValueError) as error:
        return " ".join(str(error).split())[:200]
    if any(abs(got - want) > NEAR for got, want in zip(colour, PROBE, strict=True)):
        return f"a picture of the colour {PROBE} came out as {tuple(round(level) for level in colour)}"
    return ""


def probe() -> Tensor:
    """A JPEG of one colour, as bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (48, 32), PROBE).save(buffer, "JPEG", quality=95)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def chosen_decoder(plan: StreamPlan, device: torch.device | None) -> tuple[StreamPlan, DeviceDecoder | None, list[str]]:
    """Of what decodes the plan's batches: a device, or else a plan that leaves nothing to it, and a warning.

    device: the current CUDA device where it is None.
    """
    if plan.decode == "cpu":
        return plan, None, []
    if device is None:
        device = torch.device("cuda", torch.cuda.current_device() if torch.cuda.is_available() else 0)
    reason = why_unusable(device)
    if reason:
        warning = f"decode=cuda is not usable here ({reason}): pictures are decoded on the CPU."
        return replace(plan, decode="cpu"), None, [warning]
    return plan, DeviceDecoder(device, interpolation=plan.preprocessing.interpolation), []
