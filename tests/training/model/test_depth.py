import pytest
import torch
from torchvision.ops import stochastic_depth

from tarn.training.model.depth import skipped
from tarn.training.model.resnet import BasicBlock, Bottleneck, build_model


def test_a_branch_is_skipped_as_torchvision_skips_it() -> None:
    branch = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(7)
    wanted = stochastic_depth(branch, 0.4, "row")
    torch.manual_seed(7)
    found = skipped(branch, 0.4)
    assert torch.equal(found, wanted)
    assert {float(row.abs().sum()) == 0 for row in found} == {True, False}


@pytest.mark.parametrize(("arch", "blocks"), [("resnet18", 8), ("resnet50", 16)])
def test_chances_grow_linearly_to_the_last_block(arch: str, blocks: int) -> None:
    model = build_model(arch, 10, stochastic_depth=0.2)
    chances = [each.skip_chance for each in model.modules() if isinstance(each, BasicBlock | Bottleneck)]
    assert chances == pytest.approx([0.2 * (number + 1) / blocks for number in range(blocks)])


def test_it_is_of_training_alone() -> None:
    plain, skipping = (build_model("resnet18", 10, seed=1, stochastic_depth=chance) for chance in (0.0, 0.9))
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(plain.eval()(images), skipping.eval()(images))
        assert not torch.equal(plain.train()(images), skipping.train()(images))
    assert plain.state_dict().keys() == skipping.state_dict().keys()
