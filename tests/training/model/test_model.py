import pytest
import torch
import torchvision

from tarn.sharding.errors import UsageError
from tarn.training.model.resnet import DEPTHS, build_model


@pytest.mark.parametrize("arch", DEPTHS)
def test_weights_travel_to_torchvision_and_back_with_equal_logits(arch: str) -> None:
    ours, theirs = build_model(arch, 1000, seed=3).eval(), getattr(torchvision.models, arch)().eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_zero_last_gamma_makes_every_block_start_as_its_shortcut(arch: str) -> None:
    model = build_model(arch, 10, zero_init_last_gamma=True, seed=0).eval()
    block, x = model.layer1[1], torch.rand(1, 64 * model.layer1[1].expansion, 8, 8)
    assert torch.equal(block(x), x)
    assert not torch.equal(build_model(arch, 10, seed=0).eval().layer1[1](x), x)


def test_small_stem_keeps_the_resolution_of_small_pictures() -> None:
    model = build_model("resnet18", 10, small_stem=True, seed=0)
    assert model.maxpool(model.conv1(torch.zeros(1, 3, 32, 32))).shape == (1, 64, 32, 32)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = build_model("resnet18", 10, seed=5), build_model("resnet18", 10, seed=5)
    assert torch.equal(first.fc.weight, second.fc.weight)
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_architecture_is_named_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"resnet51.*resnet50"):
        build_model("resnet51", 10)
