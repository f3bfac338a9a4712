import pytest

from tarn.sharding.errors import UsageError
from tarn.training.model.freezing import freeze
from tarn.training.model.network import Network
from tarn.training.model.resnet import build_model


def test_parts_are_frozen_by_their_names_and_nothing_else_is() -> None:
    model = build_model("resnet18", 5)
    parts = freeze(model, ["conv1", "bn1", "layer1", "layer2.0"])
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {
        name for name, _ in model.named_parameters() if name.startswith(("conv1.", "bn1.", "layer1.", "layer2.0."))
    }
    assert parts == [model.conv1, model.bn1, model.layer1, model.layer2[0]]


def test_a_parameter_may_be_named_too() -> None:
    model = Network(arch="torchvision/vit_b_32", num_classes=5, side=32).build()
    assert freeze(model, ["class_token"]) == []
    assert [name for name, each in model.named_parameters() if not each.requires_grad] == ["class_token"]


@pytest.mark.parametrize("name", ["layer", "layer1.9", ""])
def test_an_unknown_part_is_told_with_those_that_are_there(name: str) -> None:
    with pytest.raises(UsageError, match=rf"no part '{name}'.*conv1, bn1, .*layer4, fc,"):
        freeze(build_model("resnet18", 5), [name])


def test_something_has_to_be_left_to_train() -> None:
    with pytest.raises(UsageError, match="leaves nothing to train"):
        freeze(build_model("resnet18", 5), ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"])
