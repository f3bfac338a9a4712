"""Networks of torchvision and timm, by name."""

import importlib.util
import sys

import pytest
import torch
from torch import nn

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.model.fitting import check_fits
from tarn.training.model.head import head_of, head_parameters
from tarn.training.model.libraries import torchvision_names
from tarn.training.model.network import Network

HEADS = {
    "resnet18": "fc",
    "shufflenet_v2_x0_5": "fc",
    "regnet_y_400mf": "fc",
    "squeezenet1_1": "classifier.1",
    "mobilenet_v3_small": "classifier.3",
    "mnasnet0_5": "classifier.1",
    "efficientnet_b0": "classifier.1",
    "densenet121": "classifier",
    "convnext_tiny": "classifier.2",
    "swin_t": "head",
    "vit_b_32": "heads.head",
}
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


def network(arch: str, **more: object) -> Network:
    return Network(**{"arch": arch, "num_classes": 5, "side": 64, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HEADS)
def test_torchvisions_classifiers_take_pictures_give_classes_and_show_their_head(name: str) -> None:
    model = network(f"torchvision/{name}").build(seed=1)
    check_fits(model, 5, 64, name)
    assert head_of(model) == (HEADS[name],)
    assert model.get_parameter(head_parameters(model)[0]).shape[0] == 5


@needs_timm
@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("test_resnet", ("fc",)),
        ("test_vit", ("head",)),  # made for 160 px, here for 64
        ("test_convnext", ("head.fc",)),
        ("levit_128s", ("head", "head_dist")),
    ],
)
def test_timms_classifiers_do_so_too(name: str, head: tuple[str, ...]) -> None:
    side = 224 if name.startswith("levit") else 64
    model = network(f"timm/{name}", side=side).build(seed=1)
    check_fits(model, 5, side, name)
    assert head_of(model) == head


@pytest.mark.parametrize("arch", ["torchvision/squeezenet1_1", pytest.param("timm/test_resnet", marks=needs_timm)])
def test_a_seed_fixes_their_weights_and_leaves_the_global_generator_alone(arch: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (network(arch).build(seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("arch", "more", "told"),
    [
        ("vgg16", {}, r"'vgg16' is unknown: choose one of resnet18.*did you mean .*torchvision/vgg16"),
        ("torchvision/resnet51", {}, r"unknown to torchvision: did you mean torchvision/resnet5"),
        ("torchvision/", {}, r"'torchvision/' is unknown"),
        ("torchvision/fcn_resnet50", {}, r"no classifier of pictures"),
        ("torchvision/r3d_18", {}, r"no classifier of pictures"),
        ("torchvision/quantized_resnet18", {}, r"no classifier of pictures"),
        ("torchvision/inception_v3", {}, r"auxiliary logits"),
        ("torchvision/googlenet", {}, r"auxiliary logits"),
        ("torchvision/vit_b_32", {"side": 63}, r"cannot be built for 5 classes and pictures of 63 px"),
        ("torchvision/resnet18", {"stochastic_depth": 0.1}, r"takes no model\.stochastic_depth=0\.1"),
        ("torchvision/resnet18", {"small_stem": True}, r"model\.small_stem is of our own ResNets"),
        ("torchvision/resnet18", {"blurpool": True}, r"model\.blurpool is of our own ResNets"),
    ],
)
def test_what_does_not_go_is_told_in_one_sentence(arch: str, more: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        network(arch, **more).build()
    assert "\n" not in str(raised.value)


@needs_timm
@pytest.mark.parametrize(
    ("arch", "more", "told"),
    [
        ("timm/resnet51d", {}, r"unknown to timm: did you mean timm/resnet5"),
        ("timm/hf-hub:timm/resnet50", {}, r"unknown to timm"),  # would be fetched from elsewhere
        ("timm/vgg11", {"stochastic_depth": 0.1}, r"takes no model\.stochastic_depth=0\.1"),
    ],
)
def test_so_is_what_does_not_go_with_timm(arch: str, more: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        network(arch, **more).build()
    assert "\n" not in str(raised.value)


def test_without_timm_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # what an import finds where there is none
    with pytest.raises(
        TarnError, match=r"needs timm, which is not installed: .*uv pip install --editable '\.\[timm\]'"
    ) as raised:
        network("timm/resnet18").build()
    assert "\n" not in str(raised.value)


def test_stochastic_depth_reaches_those_that_take_it() -> None:
    from torchvision.ops import StochasticDepth

    model = network("torchvision/convnext_tiny", stochastic_depth=0.3).build()
    chances = [module.p for module in model.modules() if isinstance(module, StochasticDepth)]
    assert chances[0] == 0
    assert chances[-1] == pytest.approx(0.3)


@needs_timm
def test_stochastic_depth_reaches_timms() -> None:
    model = network("timm/test_convnext", stochastic_depth=0.3).build()
    chances = [float(module.drop_prob) for module in model.modules() if type(module).__name__ == "DropPath"]
    assert max(chances) == pytest.approx(0.3)


class Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> object:
        return {"logits": x.mean((2, 3))} if self.training else x.mean((2, 3))


def test_a_network_that_answers_with_something_else_is_refused_before_it_trains() -> None:
    with pytest.raises(
        UsageError, match=r"N: the network makes a dict of two pictures where 2 x 3 logits are expected"
    ):
        check_fits(Doubled(), 3, 8, "N")
    with pytest.raises(UsageError, match=r"N: the network makes 2 x 3 of two pictures where 2 x 4 logits are expected"):
        check_fits(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 4, 8, "N")
    with pytest.raises(UsageError, match=r"N: the network does not take such pictures"):
        check_fits(network("torchvision/vit_b_32").build(), 5, 96, "N")


def test_whether_it_fits_is_found_without_touching_the_network() -> None:
    model = network("torchvision/squeezenet1_1").build(seed=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.random.get_rng_state()
    check_fits(model, 5, 64, "N")
    assert model.training
    assert torch.equal(generator, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_names_of_torchvision_are_those_of_its_classifiers() -> None:
    from torchvision import models

    assert set(torchvision_names()) | {"googlenet", "inception_v3"} == set(models.list_models(module=models))
