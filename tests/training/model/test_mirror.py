import pytest
import torch

from tarn.sharding.errors import UsageError
from tarn.training.model.mirror import Mirrored, seen_at
from tarn.training.model.network import Network
from tarn.training.model.resnet import build_model


def test_a_picture_and_its_mirror_image_get_the_mean_of_their_logits() -> None:
    model = build_model("resnet18", 5, seed=1).eval()
    images = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = Mirrored(model)(images)
        torch.testing.assert_close(seen, torch.stack([model(images), model(images.flip(3))]).mean(0))
        torch.testing.assert_close(seen, Mirrored(model)(images.flip(3)))


def test_evaluating_a_mirrored_network_leaves_it_in_the_mode_it_was_in() -> None:
    model = build_model("resnet18", 5, seed=1)
    mirrored = Mirrored(model)
    before = mirrored.training
    mirrored.eval()
    assert not model.training
    mirrored.train(before)
    assert model.training


def test_a_network_that_is_made_for_one_size_says_so_when_it_is_asked_for_another() -> None:
    model = Network(arch="torchvision/vit_b_32", num_classes=5, side=64).build().eval()
    with pytest.raises(UsageError, match=r"--image-size=96: the network does not take such pictures"):
        seen_at(model, 5, 96, flip=False)
    assert seen_at(model, 5, 64, flip=False) is model
    assert not model.training
