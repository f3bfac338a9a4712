"""Settings of the augmentation on the device; checked without torch, which takes seconds to import."""

import math
from dataclasses import dataclass

from tarn.sharding.errors import UsageError
from tarn.training.recipe.policy_space import BINS, POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Augmentation on the device. Crop and flip are the loader's (data.augment)."""

    mixup: float = 0.0
    """Alpha of mixup's Beta(alpha, alpha), such as 0.2; 0: none. With cutmix too, a part of a step gets either by even
    chance (Zhang et al. 2017, arXiv 1710.09412)."""
    cutmix: float = 0.0
    """Alpha of CutMix's Beta(alpha, alpha), such as 1; 0: none (Yun et al. 2019, arXiv 1905.04899)."""
    mix_probability: float = 1.0
    """Chance that a part of a step is mixed at all."""
    policy: str = "none"
    """none, randaugment (Cubuk et al. 2019, arXiv 1909.13719) or trivialaugment (Müller and Hutter 2021, arXiv
    2103.10158): colours and shapes, drawn for each sample."""
    policy_ops: int = 2
    """randaugment: operations for a sample, one after the other."""
    policy_magnitude: int = 9
    """randaugment: how strong they are, 0 to 30."""
    erase: float = 0.0
    """Chance that a box of a sample becomes the mean colour (Zhong et al. 2017, arXiv 1708.04896)."""

    def __post_init__(self) -> None:
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"augment.{name}={getattr(self, name)} must be a finite number of at least 0.")
        for name in ("mix_probability", "erase"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"augment.{name}={getattr(self, name)} must be a chance between 0 and 1.")
        if self.policy not in ("none", *POLICIES):
            raise UsageError(f"augment.policy={self.policy!r} is unknown: choose one of none, {', '.join(POLICIES)}.")
        if self.policy_ops < 1:
            raise UsageError(f"augment.policy_ops={self.policy_ops} must be at least 1, or set augment.policy=none.")
        if not 0 <= self.policy_magnitude < BINS:
            raise UsageError(f"augment.policy_magnitude={self.policy_magnitude} must be between 0 and {BINS - 1}.")
