"""Random erasing: a box of a picture becomes the mean colour."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tarn.training.recipe.moment import ERASING, Moment, sent

AREA = (0.02, 0.33)  # least and largest part of the picture
RATIO = (0.3, 3.3)  # least and largest height by width
ATTEMPTS = 10


class Erasing:
    """Zhong et al. 2017 (arXiv 1708.04896), with torchvision's sampling and limits.

    probability: of each sample. A box that is as high or as wide as the picture is drawn again, ten times at most.
    """

    def __init__(self, probability: float, seed: int) -> None:
        self.probability, self.seed = probability, seed

    def __call__(self, images: Tensor, moment: Moment) -> Tensor:
        """images: B x 3 x H x W, normalised, so that 0 is the mean colour; they are overwritten."""
        height, width = images.shape[-2:]
        boxes = self.draw(moment, height, width)
        if not boxes.any():
            return images
        edges = sent(boxes, images.device)[:, :, None]
        rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
        high = (rows >= edges[:, 0]) & (rows < edges[:, 2])
        wide = (columns >= edges[:, 1]) & (columns < edges[:, 3])
        return images.masked_fill_(high[:, None, :, None] & wide[:, None, None, :], 0.0)

    def draw(self, moment: Moment, height: int, width: int) -> NDArray[np.int64]:
        """B x (top, left, bottom, right) in px; all 0 where nothing is erased."""
        uniforms = moment.of_samples(self.seed, 3 + 2 * ATTEMPTS, ERASING)
        areas, ratios = uniforms[:, 3::2], uniforms[:, 4::2]
        area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * areas)
        narrow, high = math.log(RATIO[0]), math.log(RATIO[1])
        ratio = np.exp(narrow + (high - narrow) * ratios)
        h, w = np.rint(np.sqrt(area * ratio)).astype(np.int64), np.rint(np.sqrt(area / ratio)).astype(np.int64)
        fits = (h < height) & (w < width)
        sample, first = np.arange(len(fits)), fits.argmax(axis=1)
        h, w = h[sample, first], w[sample, first]
        top = (uniforms[:, 1] * (height - h + 1)).astype(np.int64)
        left = (uniforms[:, 2] * (width - w + 1)).astype(np.int64)
        boxes = np.stack([top, left, top + h, left + w], axis=1)
        boxes[~fits.any(axis=1) | (uniforms[:, 0] >= self.probability)] = 0
        return boxes
