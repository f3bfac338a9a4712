"""mixup and CutMix: every sample of a part becomes a mixture with another one, and so does its target."""

from dataclasses import dataclass

import torch
from numpy.random import RandomState
from torch import Tensor

from tarn.training.recipe.moment import MIXING, Moment

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Mix:
    """share: what a sample keeps of itself. shift: how many places before it its partner stands. box: (top, left,
    bottom, right) in px of what comes from the partner; None: all px are blended."""

    share: float
    shift: int
    box: Box | None


class Mixing:
    """mixup (Zhang et al. 2017, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899).

    One draw for all of a part, as torchvision and timm do by default; with both, either by even chance. mixup, cutmix:
    the alphas of Beta(alpha, alpha), 0 for none. probability: that a part is mixed at all. What is drawn stays on the
    host, as numbers that kernels are told: nobody waits for the device.
    """

    def __init__(self, mixup: float, cutmix: float, probability: float, classes: int, seed: int) -> None:
        self.mixup, self.cutmix, self.probability = mixup, cutmix, probability
        self.classes, self.seed = classes, seed

    def __call__(self, images: Tensor, labels: Tensor, moment: Moment) -> tuple[Tensor, Tensor]:
        """images: B x 3 x H x W of floats, which are overwritten; labels: B int64.

        Returns images, and targets: B x classes probabilities, float32, also where nothing was mixed.
        """
        targets = torch.zeros(len(labels), self.classes, device=labels.device).scatter_(1, labels[:, None], 1.0)
        mix = self.draw(moment, *images.shape[-2:])
        if mix is None:
            return images, targets
        targets = targets * mix.share + rolled(targets, mix.shift) * (1 - mix.share)
        if mix.box is None:
            return images.lerp_(rolled(images, mix.shift), 1 - mix.share), targets
        top, left, bottom, right = mix.box
        window = images[:, :, top:bottom, left:right]
        window.copy_(rolled(window, mix.shift))
        return images, targets

    def draw(self, moment: Moment, height: int, width: int) -> Mix | None:
        """None where the part stays as it is; one sample alone has no partner."""
        samples, generator = len(moment.positions), moment.of_part(self.seed, MIXING)
        whether, which, partner = generator.random_sample(3).tolist()
        if samples < 2 or whether >= self.probability:
            return None
        cut = which < 0.5 if self.mixup and self.cutmix else bool(self.cutmix)
        alpha = self.cutmix if cut else self.mixup
        share, shift = float(generator.beta(alpha, alpha)), 1 + int(partner * (samples - 1))
        if not cut:
            return Mix(share, shift, None)
        box = draw_box(generator, share, height, width)
        top, left, bottom, right = box
        return Mix(1 - (bottom - top) * (right - left) / (height * width), shift, box)


def draw_box(generator: RandomState, share: float, height: int, width: int) -> Box:
    """Around a px drawn evenly, with 1 - share of the area before the picture's edges cut it off."""
    side = (1 - share) ** 0.5 / 2
    y, x = (generator.random_sample(2) * (height, width)).astype(int).tolist()
    up, across = int(side * height), int(side * width)
    return max(0, y - up), max(0, x - across), min(height, y + up), min(width, x + across)


def rolled(rows: Tensor, shift: int) -> Tensor:
    """A copy whose row i is row i - shift. torch.roll would give up channels-last memory on a GPU."""
    return torch.cat([rows[-shift:], rows[:-shift]])


def dominating(targets: Tensor) -> Tensor:
    """B int64: of each target the class that has most of it; labels are what they are."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)
