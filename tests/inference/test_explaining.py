"""Where a network looked for a class."""

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from tarn.inference.explaining import explains, heat, overlaid
from tarn.inference.models.torch_scorer import TorchScorer
from tarn.sharding.errors import UsageError
from tarn.training.export.card import Card
from tarn.training.pixels.preprocessing import Preprocessing

HOW = Preprocessing(resize=32, crop=32, mean=(0, 0, 0), std=(1, 1, 1))


def scorer(network: nn.Module) -> TorchScorer:
    card = Card(arch="x", small_stem=False, classes=(), preprocessing=HOW, provenance={})
    return TorchScorer(network.eval(), card, torch.device("cpu"))


def colours() -> nn.Module:
    """Class 0 is how much red there is, class 1 how much blue, in places of 8 x 8 px."""
    layer = nn.Conv2d(3, 2, 8, stride=8, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0] = layer.weight[1, 2] = 1 / 64
    return nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_the_heat_lies_where_the_class_is() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :16, 0] = 255
    pixels[16:24, 24:, 2] = 200
    expected = np.zeros((4, 4), np.float32)
    expected[:2, :2] = 1
    network = scorer(colours())
    assert np.allclose(heat(network, pixels, 0), expected)
    blue = np.zeros((4, 4), np.float32)
    blue[2, 3] = 1
    assert np.allclose(heat(network, pixels, 1), blue)
    assert network.logits(pixels[None]).shape == (1, 2)  # nothing of it stays in the network


def test_a_picture_without_anything_of_the_class_has_no_heat() -> None:
    assert not heat(scorer(colours()), np.zeros((32, 32, 3), np.uint8), 0).any()


def test_a_network_without_feature_maps_says_so() -> None:
    with pytest.raises(UsageError, match="no feature maps"):
        heat(scorer(nn.Sequential(nn.Flatten(), nn.Linear(3072, 2))), np.zeros((32, 32, 3), np.uint8), 0)


def test_a_graph_of_another_library_says_what_to_serve() -> None:
    class Graph:
        card = scorer(colours()).card

        def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.zeros((len(pixels), 2), np.float32)

    assert explains(scorer(colours()))
    assert not explains(Graph())
    with pytest.raises(UsageError, match=r"does not tell where it looked: serve its model\.pt"):
        heat(Graph(), np.zeros((32, 32, 3), np.uint8), 0)


def test_the_heat_is_laid_over_the_picture() -> None:
    pixels = np.full((32, 32, 3), 100, np.uint8)
    found = np.zeros((4, 4), np.float32)
    found[0, 0] = 1
    with Image.open(io.BytesIO(overlaid(pixels, found))) as image:
        seen = np.asarray(image)
    assert seen.shape == (32, 32, 3)
    assert tuple(seen[-1, -1]) == (100, 100, 100)
    assert seen[0, 0, 0] > 150 > 100 > seen[0, 0, 2]
