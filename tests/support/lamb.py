"""LAMB by the paper's algorithm in NumPy, a layer at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class ByThePaper:
    """Algorithm 2 of You et al. 2019, arXiv 1904.00962: m, v, both corrected, r = m / (root v + eps), and a step as
    long as the layer; of a layer without decay, as long as r."""

    x: Array
    decay: float
    rate: float
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-6

    def __post_init__(self) -> None:
        self.m, self.v, self.t = np.zeros_like(self.x), np.zeros_like(self.x), 0

    def step(self, g: Array) -> None:
        self.t += 1
        (beta1, beta2), t = self.betas, self.t
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g**2
        r = (self.m / (1 - beta1**t)) / (np.sqrt(self.v / (1 - beta2**t)) + self.eps)
        update = r + self.decay * self.x
        lengths = np.linalg.norm(self.x), np.linalg.norm(update)
        ratio = lengths[0] / lengths[1] if self.decay and min(lengths) > 0 else 1.0
        self.x = self.x - self.rate * ratio * update
