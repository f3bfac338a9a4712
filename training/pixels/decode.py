"""From a picture's bytes to its pixels in the batch: by whichever way decodes the least of what is not needed."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.kernel import NoCompilerError
from tarn.sharding.pillow import MOST_PIXELS, decoding, open_picture
from tarn.sharding.pillow import upright as turned_upright
from tarn.training.pixels.fidelity import FIDELITIES
from tarn.training.pixels.formats.baseline import BaselineJpegs
from tarn.training.pixels.formats.opened import Opened
from tarn.training.pixels.formats.pillow_picture import PillowPicture
from tarn.training.pixels.formats.png import rows_kernel
from tarn.training.pixels.formats.ways import ways
from tarn.training.pixels.geometry import (
    Augmentation,
    Box,
    centre_start,
    covering_sides,
    fitting_sides,
    is_flipped,
    resized_crop_box,
)
from tarn.training.pixels.pictures import (
    BrokenPictureError,
    Pixels,
    cut_and_resize,
    decode_eval,
    decode_train,
    evaluated,
    moved,
    too_narrow,
)
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.resize.resize import Resizer, exact_filter
from tarn.training.pixels.resize.stretch import LARGEST_SIDE, window_stretch
from tarn.training.pixels.turn import AS_IT_IS, Turn, turn_of


class PictureDecoder:
    """Decodes picture after picture in memory of its own: one for each thread.

    fidelity: that of training crops: exact (torchvision's RandomResizedCrop on Pillow pictures, bit for bit), default
    (antialiased as well, a crop of twice its target's size or more being decoded at half size), fast (bilinear without
    antialiasing). interpolation: of training crops, bilinear or bicubic, the latter always in Pillow's arithmetic.
    Evaluation is always exact, and its interpolation part of the preprocessing.
    """

    def __init__(self, fidelity: str = "default", interpolation: str = "bilinear") -> None:
        self.exact, self.filter, self.interpolation = fidelity == "exact", FIDELITIES[fidelity], interpolation
        try:
            self.baseline, self.resizer = BaselineJpegs(), Resizer()
            rows_kernel()  # compiled now, where it can be told whether anything compiles
            self.native = True
        except NoCompilerError:
            self.native = False

    def train(self, data: memoryview, out: Pixels, augmentation: Augmentation, uniforms: NDArray[np.float64]) -> None:
        """Writes height x width x 3 pixels. uniforms: UNIFORMS numbers in [0, 1) that choose crop and flip.

        Raises BrokenPictureError.
        """
        size, flip = out.shape[:2], is_flipped(augmentation, uniforms)
        if not self.native:
            out[...] = decode_train(
                data, size[0], augmentation, uniforms, self.exact, self.interpolation, width=size[1]
            )
        elif augmentation.crop == "resized":
            for picture in self.opened(data):
                if self.stretch(picture, resized_crop_box(*picture.size, augmentation, uniforms), out, flip):
                    return
        else:
            self.middle(data, out, size[0], self.interpolation)
            made = moved(out, augmentation.padding, uniforms) if augmentation.crop == "padded" else out
            out[...] = made[:, ::-1].copy() if flip else made

    def evaluate(self, data: memoryview, out: Pixels, preprocessing: Preprocessing, upright: bool = False) -> None:
        """Writes height x width x 3 pixels, those of decode_eval; of a crop that is no square the resized picture
        covers it in the proportion of the height to `resize`. Raises BrokenPictureError."""
        self.middle(data, out, preprocessing.resize, preprocessing.interpolation, upright)

    def middle(self, data: memoryview, out: Pixels, resize: int, how: str, upright: bool = False) -> None:
        """The middle of the picture resized by the interpolation `how`, as evaluate() has it."""
        turn = turn_of(data) if upright else AS_IT_IS
        if not self.native:
            out[...] = decode_eval(data, resize, len(out), how, upright=turn is not AS_IT_IS, width=out.shape[1])
            return
        for picture in self.opened(data, whole=True):
            if isinstance(picture, PillowPicture):
                self.middle_of_image(picture.image, out, resize, how, turn is not AS_IT_IS)
                return
            if self.centre(picture, out, resize, how, turn):
                return

    def middle_of_image(self, image: Image.Image, out: Pixels, resize: int, how: str, upright: bool) -> None:
        """The same of a picture that Pillow has opened or made."""
        if not self.native:
            out[...] = evaluated(image, resize, len(out), how, upright, width=out.shape[1])
            return
        if upright:
            with decoding("damaged pixels"):
                image = turned_upright(image)
        self.centre(PillowPicture(image), out, resize, how)

    def whole(self, data: memoryview, room: Pixels, flip: bool = False) -> Pixels:
        """All of a picture, h x w x 3, at the beginning of the room (height x width x 3, contiguous); made smaller, its
        shape kept, where it has more pixels. Raises BrokenPictureError."""
        pictures = self.opened(data, whole=True) if self.native else iter([PillowPicture(open_picture(data))])
        for picture in pictures:
            width, height = picture.size
            across, down = fitting_sides(width, height, room.shape[0] * room.shape[1])
            out = room.reshape(-1)[: 3 * across * down].reshape(down, across, 3)
            box = (0, 0, width, height)
            if self.native and self.stretch(picture, box, out, flip):
                return out
            if isinstance(picture, PillowPicture):
                image = cut_and_resize(picture.image, box, across, down, self.exact, self.interpolation)
                out[...] = np.asarray(image)[:, :: -1 if flip else 1]
                return out
        raise AssertionError("Pillow takes all")

    def opened(self, data: memoryview, whole: bool = False) -> Iterator[Opened]:
        """The picture by one way after the other, fastest first; the last one, Pillow, takes all or raises.

        whole: also what no box shows is to be there, as far as the end of the data tells.
        """
        return (it for it in ways(data, self.baseline, whole) if 0 < it.size[0] * it.size[1] <= MOST_PIXELS)

    def stretch(self, picture: Opened, box: Box, out: Pixels, flip: bool) -> bool:
        """A picture's box, to all of out; whether this way could."""
        left, top, right, bottom = box
        scale = 8 if self.exact else max(dct_scale(right - left, out.shape[1]), dct_scale(bottom - top, len(out)))
        region = picture.region(box, scale)
        if region is None:
            return False
        part = region.scale / 8
        inside = (left * part - region.left, top * part - region.top, (right - left) * part, (bottom - top) * part)
        chosen = self.filter
        if self.exact or self.interpolation == "bicubic":
            rows, columns = region.pixels.shape[:2]
            chosen = exact_filter(columns, rows, out.shape[1], len(out), self.interpolation)
        self.resizer.resize(region.pixels, inside, out, chosen, flip)
        return True

    def centre(self, picture: Opened, out: Pixels, resize: int, how: str, turn: Turn = AS_IT_IS) -> bool:
        """Whether this way could resize the picture's centre as part of the whole. Raises BrokenPictureError."""
        width, height = turn.size(picture.size)
        down_px, across_px = out.shape[:2]
        sides = covering_sides(width, height, across_px * resize // down_px, resize)
        if max(sides) > LARGEST_SIDE:
            raise BrokenPictureError(too_narrow((width, height), sides))
        across, right = window_stretch(width, sides[0], centre_start(sides[0], across_px), across_px, how)
        down, bottom = window_stretch(height, sides[1], centre_start(sides[1], down_px), down_px, how)
        region = picture.region(turn.box((across.origin, down.origin, right, bottom), picture.size), 8)
        if region is None:
            return False
        self.resizer.resample(turn.pixels(region.pixels), across, down, out, exact_filter(width, height, *sides, how))
        return True


def dct_scale(side: int, target: int) -> int:
    """Eighths at which a JPEG's own DCT gives no less than the target's pixels: 8, 4, 2 or 1."""
    scale = 8
    while scale > 1 and side * scale // 2 >= 8 * target:
        scale //= 2
    return scale
