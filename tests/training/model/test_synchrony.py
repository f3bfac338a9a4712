"""Batch statistics over all ranks: the network that computes them is the same one otherwise."""

import importlib.util

import pytest
import torch
from torch import nn

from tarn.sharding.errors import UsageError
from tarn.training.model.network import Network
from tarn.training.model.synchrony import synchronised

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


@pytest.mark.parametrize(
    "arch",
    ["resnet18", *(pytest.param(f"timm/{name}", marks=needs_timm) for name in ("test_efficientnet", "test_byobnet"))],
)
def test_only_the_norms_change_and_what_they_do_beside_stays(arch: str) -> None:
    network = Network(arch=arch, num_classes=5, side=64)
    plain, shared = network.build(seed=1).eval(), synchronised(network.build(seed=1)).eval()
    assert plain.state_dict().keys() == shared.state_dict().keys()
    kinds = [module for module in shared.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(kinds) == sum(isinstance(module, nn.BatchNorm2d) for module in plain.modules()) > 3
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(shared(images), plain(images))


def test_norms_that_nobody_knows_are_refused_by_name() -> None:
    class Squared(nn.BatchNorm2d):
        pass

    with pytest.raises(UsageError, match=r"speed\.sync_batchnorm=true: .*Squared"):
        synchronised(nn.Sequential(nn.Conv2d(3, 4, 1), Squared(4)))
