import numpy as np
import torch

from tarn.training.pixels.normalisation import Normalisation
from tarn.training.recipe.augment_config import AugmentConfig
from tarn.training.recipe.augmentation import DeviceAugmentation
from tarn.training.recipe.mixing import Mixing
from tarn.training.recipe.moment import Moment
from tarn.training.recipe.policy import Policy

NORMALISATION = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
IMAGES = torch.randint(0, 256, (16, 20, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % 5
MOMENT = Moment(2, 3, np.arange(48, 64))


def augmented(**told: object) -> tuple[torch.Tensor, torch.Tensor]:
    config = AugmentConfig(**told)  # type: ignore[arg-type]
    return DeviceAugmentation(config, NORMALISATION, seed=7, classes=5)(IMAGES, LABELS, MOMENT)


def test_with_everything_off_pictures_are_normalised_and_labels_are_the_same_tensor() -> None:
    images, targets = augmented()
    assert torch.equal(images, NORMALISATION(IMAGES))
    assert targets is LABELS


def test_the_policy_comes_before_normalisation_and_mixing_last() -> None:
    told = {"policy": "trivialaugment", "erase": 1.0, "mixup": 1.0}
    before = IMAGES.clone()
    images, targets = augmented(**told)
    assert torch.equal(IMAGES, before)
    unmixed, labels = augmented(policy="trivialaugment", erase=1.0)
    assert labels is LABELS
    assert torch.equal(Mixing(1.0, 0, 1.0, 5, seed=7)(unmixed.clone(), LABELS, MOMENT)[0], images)
    unerased, _ = augmented(policy="trivialaugment")
    assert torch.equal(unerased, NORMALISATION(Policy("trivialaugment", 1, 0, seed=7)(IMAGES, MOMENT)))
    assert (unmixed == 0).flatten(1).any(dim=1).all()
    assert torch.equal(unmixed[unmixed != 0], unerased[unmixed != 0])
    assert torch.allclose(targets.sum(dim=1), torch.ones(16))
    assert images.shape == (16, 3, 20, 20)
