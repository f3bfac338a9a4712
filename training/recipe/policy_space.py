"""What RandAugment and TrivialAugment choose from: operations and their magnitudes, those of torchvision."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

POLICIES = ("randaugment", "trivialaugment")
BINS = 31  # magnitudes of an operation

AFFINE = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
BLENDS = ("Brightness", "Color", "Contrast", "Sharpness")
SIGNED = AFFINE + BLENDS  # either way by even chance
OPERATIONS = ("Identity", *SIGNED, "Posterize", "Solarize", "AutoContrast", "Equalize")


def strongest(policy: str, height: int, width: int) -> dict[str, float]:
    """The last magnitude of each operation, the first one being 0: tangents of shears, px, degrees, parts of a blend,
    and bits that posterizing takes."""
    if policy == "randaugment":
        px, shear, degrees, blend, bits = (150 / 331 * width, 150 / 331 * height), 0.3, 30.0, 0.9, 4.0
    else:
        px, shear, degrees, blend, bits = (32.0, 32.0), 0.99, 135.0, 0.99, 6.0
    affine = dict(zip(AFFINE, (shear, shear, *px, degrees), strict=True))
    return affine | dict.fromkeys(BLENDS, blend) | {"Posterize": bits}


@lru_cache(maxsize=32)
def magnitudes(policy: str, height: int, width: int) -> NDArray[np.float64]:
    """OPERATIONS x BINS, without signs; 0 for operations that know none. Posterize: bits that stay. Solarize: the
    threshold, 1 being white. In float32 first, as torchvision has them."""
    import torch  # not before it is asked for: names are checked without

    table = torch.zeros(len(OPERATIONS), BINS)
    for name, last in strongest(policy, height, width).items():
        table[OPERATIONS.index(name)] = torch.linspace(0, last, BINS)
    row = OPERATIONS.index("Posterize")
    table[row] = (8 - torch.arange(BINS) / ((BINS - 1) / table[row, -1])).round()
    table[OPERATIONS.index("Solarize")] = torch.linspace(1, 0, BINS)
    return table.double().numpy()
