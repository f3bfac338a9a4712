import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
import torchvision
from torch import nn

from tarn.inference.models.weights import read_weights
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.model.blurpool import BlurConv2d
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_every_strided_convolution_but_the_stem_blurs_before_it_skips(arch: str) -> None:
    model = build_model(arch, 10, seed=0, blurpool=True)
    strided = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1
    }
    assert {name for name, module in strided.items() if not isinstance(module, BlurConv2d)} == {"conv1"}
    assert len(strided) == 1 + 3 * 2  # stem; a convolution and a shortcut of each of three stages
    assert [type(module) for module in model.modules()].count(BlurConv2d) == 6


def test_the_blur_is_a_binomial_of_each_channel_alone() -> None:
    convolution = nn.Conv2d(16, 4, 3, stride=2, padding=1)
    x = torch.randn(2, 16, 9, 9, generator=torch.Generator().manual_seed(0))
    line = torch.tensor([0.25, 0.5, 0.25])
    blurred = torch.stack(
        [functional.conv2d(x[:, [c]], (line[:, None] * line)[None, None], padding=1)[:, 0] for c in range(16)], dim=1
    )
    torch.testing.assert_close(BlurConv2d(convolution)(x), convolution(blurred))


def test_weights_travel_to_torchvision_as_without_a_blur() -> None:
    model = build_model("resnet18", 10, seed=0, blurpool=True)
    theirs = torchvision.models.resnet18(num_classes=10)
    theirs.load_state_dict(model.state_dict(), strict=True)
    model.load_state_dict(theirs.state_dict(), strict=True)


def artifact() -> Artifact:
    return Artifact(
        arch="resnet18",
        small_stem=True,
        classes=tuple(ClassInfo(f"n{label}", f"name {label}") for label in range(7)),
        preprocessing=Preprocessing(resize=36, crop=32),
        provenance={},
        state_dict=build_model("resnet18", 7, small_stem=True, seed=3).state_dict(),
        blurpool=True,
    )


def test_an_exported_one_blurs_too_in_either_file(tmp_path: Path) -> None:
    pt, pkl = publish(artifact(), tmp_path)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    trained = build_model("resnet18", 7, small_stem=True, seed=3, blurpool=True).eval()
    plain = build_model("resnet18", 7, small_stem=True, seed=3).eval()
    with torch.no_grad():
        wanted = trained(images)
        assert not torch.allclose(wanted, plain(images), atol=1e-3)
        for path in (pt, pkl):
            assert torch.equal(read_weights(path).build()(images), wanted)
        assert torch.equal(pickle.loads(pkl.read_bytes())(images), wanted)


def test_a_tarn_that_knows_no_blur_refuses_such_a_file_instead_of_answering_wrongly() -> None:
    payload = artifact().to_payload()
    assert payload["version"] == 2
    with pytest.raises(TarnError, match="version 3"):
        Artifact.from_payload({**payload, "version": 3}, "m.pt")
    without = {**payload, "version": 1, "model": {"num_classes": 7, "small_stem": True}}
    assert not Artifact.from_payload(without, "old.pt").blurpool
