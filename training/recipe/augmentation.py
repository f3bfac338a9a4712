"""What happens to a training batch on the device, between the loader's pixels and the network."""

from torch import Tensor

from tarn.training.pixels.normalisation import Normalisation
from tarn.training.recipe.augment_config import AugmentConfig
from tarn.training.recipe.erasing import Erasing
from tarn.training.recipe.mixing import Mixing
from tarn.training.recipe.moment import Moment
from tarn.training.recipe.policy import Policy


class DeviceAugmentation:
    """Policy, normalisation, erasing, mixing, in torchvision's order; of what is off there is nothing.

    What is drawn comes from (seed, epoch, step, positions): a run that goes on draws the same, and so does one of other
    ranks, but for mixing, whose partners are of the same part. Nothing waits for the device.
    """

    def __init__(self, config: AugmentConfig, normalisation: Normalisation, seed: int, classes: int | None) -> None:
        self.normalisation = normalisation
        is_on = config.policy != "none"
        self.policy = Policy(config.policy, config.policy_ops, config.policy_magnitude, seed) if is_on else None
        self.erasing = Erasing(config.erase, seed) if config.erase else None
        self.mixing = None
        if config.mix_probability and (config.mixup or config.cutmix):
            assert classes is not None
            self.mixing = Mixing(config.mixup, config.cutmix, config.mix_probability, classes, seed)

    def __call__(self, images: Tensor, labels: Tensor, moment: Moment) -> tuple[Tensor, Tensor]:
        """images: B x H x W x 3 uint8, left alone; labels: B int64; both on the device.

        Returns images, B x 3 x H x W, normalised, in its dtype; and targets: the labels, or where samples are mixed
        B x classes probabilities, float32. Smoothing is the loss's: (1 - s) target + s / classes, timm's formula too.
        """
        if self.policy is not None:
            images = self.policy(images, moment)
        out: Tensor = self.normalisation(images)
        if self.erasing is not None:
            out = self.erasing(out, moment)
        return self.mixing(out, labels, moment) if self.mixing is not None else (out, labels)
