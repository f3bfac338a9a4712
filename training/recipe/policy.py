"""RandAugment and TrivialAugment on the device: each sample has its own operations, alike ones go together."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tarn.training.recipe.moment import POLICY, Moment, sent
from tarn.training.recipe.policy_ops import KERNELS, parameters
from tarn.training.recipe.policy_space import BINS, OPERATIONS, SIGNED, magnitudes

IS_SIGNED = np.isin(OPERATIONS, SIGNED)


@dataclass(frozen=True, slots=True)
class Choice:
    """One operation for each sample. operations: B int64, of OPERATIONS; amounts: B float64, magnitudes with signs."""

    operations: NDArray[np.int64]
    amounts: NDArray[np.float64]


class Policy:
    """RandAugment (Cubuk et al. 2019, arXiv 1909.13719): `rounds` operations one after the other, each at `magnitude`
    (0 to 30). TrivialAugment (Müller and Hutter 2021, arXiv 2103.10158), the wide one: a single operation at any
    magnitude.

    Operations, magnitudes and px are torchvision's. What is drawn depends on a sample's position, not on its batch.
    """

    def __init__(self, kind: str, rounds: int, magnitude: int, seed: int) -> None:
        is_trivial = kind == "trivialaugment"
        self.kind, self.seed = kind, seed
        self.rounds = 1 if is_trivial else rounds
        self.magnitude = None if is_trivial else magnitude

    def __call__(self, images: Tensor, moment: Moment) -> Tensor:
        """images: B x H x W x 3 uint8, left alone. Returns the same kind."""
        for choice in self.draw(moment, *images.shape[1:3]):
            images = apply(images, choice)
        return images

    def draw(self, moment: Moment, height: int, width: int) -> list[Choice]:
        """Of each round. height, width: of the pictures, which RandAugment's shifts depend on."""
        table = magnitudes(self.kind, height, width)
        uniforms = moment.of_samples(self.seed, 3 * self.rounds, POLICY)
        choices = []
        for which, bins, sign in zip(*(uniforms[:, start::3].T for start in range(3)), strict=True):
            operations = (which * len(OPERATIONS)).astype(np.int64)
            numbers = (bins * BINS).astype(np.int64) if self.magnitude is None else self.magnitude
            amounts = table[operations, numbers]
            choices.append(Choice(operations, np.where(IS_SIGNED[operations] & (sign < 0.5), -amounts, amounts)))
        return choices


def apply(images: Tensor, choice: Choice) -> Tensor:
    """Samples are sorted by operation, so that each is done once, on a slice; they return to their places."""
    order = np.argsort(choice.operations, kind="stable")
    params = parameters(choice.operations[order], choice.amounts[order], *images.shape[1:3])
    places, device = sent(np.stack([order, np.argsort(order)]), images.device), images.device
    given, table = images.index_select(0, places[0]), sent(params, device)
    planes = given.permute(0, 3, 1, 2)
    first = 0
    names = (OPERATIONS[number] for number in choice.operations[order])
    for kernel, alike in groupby(names, KERNELS.get):
        end = first + sum(1 for _ in alike)
        if kernel is not None:
            planes[first:end] = kernel(planes[first:end], table[first:end])
        first = end
    return given.index_select(0, places[1])
