"""From a picture's bytes to its pixels in the batch: of a JPEG what the crop needs, of anything else all."""

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.sharding.jpeg.structure import Reason, is_whole, picture_size
from tarn.sharding.kernel import NoCompilerError
from tarn.sharding.pillow import MOST_BYTES, MOST_PIXELS, open_picture
from tarn.training.pixels.geometry import (
    Augmentation,
    Box,
    centre_start,
    covering_sides,
    fitting_sides,
    is_flipped,
    resized_crop_box,
)
from tarn.training.pixels.jpeg.region import Region, RegionDecoder
from tarn.training.pixels.pictures import Pixels, cut_and_resize, decode_eval, decode_train
from tarn.training.pixels.preprocessing import Preprocessing, check_interpolation
from tarn.training.pixels.resize.resize import Filter, Resizer, exact_filter
from tarn.training.pixels.resize.stretch import LARGEST_SIDE, window_stretch
from tarn.training.pixels.turn import AS_IT_IS, Turn, turn_of

FIDELITIES = {"exact": Filter.EXACT, "default": Filter.ANTIALIAS, "fast": Filter.BILINEAR}


def check_fidelity(told: str, interpolation: str, prefix: str = "") -> None:
    """Raises UsageError, naming the key, for what is no fidelity or interpolation, or none that goes with the other.

    prefix: of the settings' names.
    """
    check_interpolation(interpolation, f"{prefix}interpolation")
    if told not in FIDELITIES:
        raise UsageError(f"{prefix}fidelity={told!r} is unknown: choose one of {', '.join(FIDELITIES)}.")
    if told == "fast" and interpolation != "bilinear":
        raise UsageError(
            f"{prefix}fidelity=fast is bilinear: choose default or exact for {prefix}interpolation={interpolation}."
        )


def check_decode(told: str, fidelity: str, key: str) -> None:
    """Raises UsageError, naming the key, for what is no way to decode, or none to that fidelity."""
    if told not in ("cpu", "cuda"):
        raise UsageError(f"{key}={told!r} is unknown: choose cpu or cuda.")
    if told == "cuda" and fidelity == "exact":
        raise UsageError(f"{key}=cuda cannot give fidelity=exact: choose the fidelity default or fast, or {key}=cpu.")


class PictureDecoder:
    """Decodes picture after picture in memory of its own: one for each thread.

    fidelity: that of training crops: exact (torchvision's RandomResizedCrop on Pillow pictures, bit for bit), default
    (antialiased as well, a crop of twice its target's size or more being decoded at half size), fast (bilinear without
    antialiasing). interpolation: of training crops, bilinear or bicubic, the latter always in Pillow's arithmetic.
    Evaluation is always exact, and its interpolation part of the preprocessing.
    """

    def __init__(self, fidelity: str = "default", interpolation: str = "bilinear") -> None:
        self.exact, self.filter, self.interpolation = fidelity == "exact", FIDELITIES[fidelity], interpolation
        self.pixels = np.empty(1 << 20, np.uint8)
        try:
            self.regions, self.resizer = RegionDecoder(), Resizer()
            self.native = True
        except NoCompilerError:
            self.native = False

    def train(self, data: memoryview, out: Pixels, augmentation: Augmentation, uniforms: NDArray[np.float64]) -> None:
        """Writes height x width x 3 pixels. uniforms: UNIFORMS numbers in [0, 1) that choose crop and flip.

        Raises BrokenPictureError.
        """
        if augmentation.crop == "resized" and self.native and self.crop(data, out, augmentation, uniforms):
            return
        out[...] = decode_train(
            data, len(out), augmentation, uniforms, self.exact, self.interpolation, width=out.shape[1]
        )

    def evaluate(self, data: memoryview, out: Pixels, preprocessing: Preprocessing, upright: bool = False) -> None:
        """Writes height x width x 3 pixels, those of decode_eval; of a crop that is no square the resized picture
        covers it in the proportion of the height to `resize`. Raises BrokenPictureError."""
        turn = turn_of(data) if upright else AS_IT_IS
        if self.native and self.centre(data, out, preprocessing, turn):
            return
        how = preprocessing
        out[...] = decode_eval(
            data, how.resize, len(out), how.interpolation, upright=turn is not AS_IT_IS, width=out.shape[1]
        )

    def whole(self, data: memoryview, room: Pixels, flip: bool = False) -> Pixels:
        """All of a picture, h x w x 3, at the beginning of the room (height x width x 3, contiguous); made smaller, its
        shape kept, where it has more pixels. Raises BrokenPictureError."""
        width, height = picture_size(data) if self.native else (0, 0)
        native = 0 < width * height <= MOST_PIXELS and is_whole(data)
        image = None if native else open_picture(data)
        if image is not None:
            width, height = image.size
        across, down = fitting_sides(width, height, room.shape[0] * room.shape[1])
        out = room.reshape(-1)[: 3 * across * down].reshape(down, across, 3)
        box = (0, 0, width, height)
        if native and self.stretch(data, box, out, flip):
            return out
        pixels = np.asarray(
            cut_and_resize(image or open_picture(data), box, across, down, self.exact, self.interpolation)
        )
        out[...] = pixels[:, ::-1] if flip else pixels
        return out

    def crop(self, data: memoryview, out: Pixels, augmentation: Augmentation, uniforms: NDArray[np.float64]) -> bool:
        """Whether this picture could be cropped without decoding all of it."""
        width, height = picture_size(data)
        if not 0 < width * height <= MOST_PIXELS:
            return False
        box = resized_crop_box(width, height, augmentation, uniforms)
        return self.stretch(data, box, out, is_flipped(augmentation, uniforms))

    def stretch(self, data: memoryview, box: Box, out: Pixels, flip: bool) -> bool:
        """A JPEG's box, to all of out; whether the region decoder could."""
        left, top, right, bottom = box
        scale = 8 if self.exact else max(dct_scale(right - left, out.shape[1]), dct_scale(bottom - top, len(out)))
        region = self.region(data, box, scale)
        if region is None:
            return False
        part = scale / 8
        inside = (left * part - region.left, top * part - region.top, (right - left) * part, (bottom - top) * part)
        rows, columns = region.pixels.shape[:2]
        chosen = self.filter
        if self.exact or self.interpolation == "bicubic":
            chosen = exact_filter(columns, rows, out.shape[1], len(out), self.interpolation)
        self.resizer.resize(region.pixels, inside, out, chosen, flip)
        return True

    def centre(self, data: memoryview, out: Pixels, preprocessing: Preprocessing, turn: Turn = AS_IT_IS) -> bool:
        """Whether this picture's centre could be resized as part of the whole without decoding all of it."""
        stored = picture_size(data)
        width, height = turn.size(stored)
        if not 0 < width * height <= MOST_PIXELS or not is_whole(data):
            return False  # it may be cut off where the crop does not show: that is for Pillow to judge
        (down_px, across_px), resize = out.shape[:2], preprocessing.resize
        sides, how = covering_sides(width, height, across_px * resize // down_px, resize), preprocessing.interpolation
        if max(sides) > LARGEST_SIDE:
            return False
        across, right = window_stretch(width, sides[0], centre_start(sides[0], across_px), across_px, how)
        down, bottom = window_stretch(height, sides[1], centre_start(sides[1], down_px), down_px, how)
        region = self.region(data, turn.box((across.origin, down.origin, right, bottom), stored), 8)
        if region is None:
            return False
        self.resizer.resample(turn.pixels(region.pixels), across, down, out, exact_filter(width, height, *sides, how))
        return True

    def region(self, data: memoryview, box: Box, scale: int) -> Region | None:
        """The box at scale / 8, valid until the next one; None where the region decoder leaves it to others."""
        left, top, right, bottom = box
        room = 3 * (-(-(right - left) * scale // 8) + 1) * (-(-(bottom - top) * scale // 8) + 1)
        if len(data) > MOST_BYTES:
            return None
        if room > len(self.pixels):
            self.pixels = np.empty(2 * room, np.uint8)
        reason, (x, y, columns, rows) = self.regions.decode_into(np.frombuffer(data, np.uint8), box, scale, self.pixels)
        if reason != Reason.OK:
            return None
        return Region(self.pixels[: rows * columns * 3].reshape(rows, columns, 3), x, y)


def dct_scale(side: int, target: int) -> int:
    """Eighths at which a JPEG's own DCT gives no less than the target's pixels: 8, 4, 2 or 1."""
    scale = 8
    while scale > 1 and side * scale // 2 >= 8 * target:
        scale //= 2
    return scale
