"""State dicts that others saved."""

import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tarn.inference.models.load import load
from tarn.inference.models.weights import read_weights
from tarn.sharding.errors import TarnError
from tarn.training.model.resnet import DEPTHS, build_model
from tarn.training.pixels.preprocessing import Preprocessing

State = dict[str, Tensor]


def weights(arch: str, classes: int = 5, **options: Any) -> State:
    return dict(build_model(arch, classes, seed=3, **options).state_dict())


@pytest.mark.parametrize("arch", DEPTHS)
def test_depth_and_classes_are_told_by_the_keys(arch: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        names = build_model(arch, 1).state_dict()
    block = {name: torch.zeros(1) for name in names} | {
        "fc.weight": torch.zeros(5, 8),
        "conv1.weight": torch.zeros(8, 3, 7, 7),
    }
    torch.save(block, tmp_path / "weights.pth")
    read = read_weights(tmp_path / "weights.pth")
    assert (read.arch, read.num_classes, read.small_stem) == (arch, 5, False)
    assert read.preprocessing == Preprocessing()
    assert read.classes[4].name == "class 4"


def prefixed(state: State) -> State:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def shortcuts(state: State) -> State:
    return {name.replace("downsample", "shortcut"): tensor for name, tensor in state.items()}


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "as it is": lambda state: state,
    "of DataParallel": prefixed,
    "with shortcuts": lambda state: prefixed(shortcuts(state)),
    "a checkpoint of the project that Tarn grew from": lambda state: {
        "epoch": 3,
        "model_state_dict": prefixed(state),
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
        "scheduler_state_dict": {"best": np.float64(1.5), "milestones": Counter([3, 5]), "factor": 0.5},
        "loss": 1.5,
    },
    "of Lightning": lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}},
    "half": lambda state: {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()
    },
}


@pytest.mark.parametrize("is_legacy", [False, True])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_state_dict_gives_its_networks_logits_however_it_is_wrapped(
    wrapping: str, is_legacy: bool, tmp_path: Path
) -> None:
    told = WRAPPINGS[wrapping](weights("resnet18"))
    torch.save(told, tmp_path / "weights.pth", _use_new_zipfile_serialization=not is_legacy)
    found = read_weights(tmp_path / "weights.pth").build()
    network = build_model("resnet18", 5, seed=3).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(found(images), network(images), atol=0.05 if wrapping == "half" else 0)


def test_a_pickled_state_dict_and_safetensors_are_read_too(tmp_path: Path) -> None:
    state = weights("resnet18", small_stem=True)
    (tmp_path / "weights.pkl").write_bytes(pickle.dumps(state))
    found = [read_weights(tmp_path / "weights.pkl")]
    library = pytest.importorskip("safetensors.torch", reason="needs the extra `inference`")
    library.save_file(state, tmp_path / "weights.safetensors")
    found.append(read_weights(tmp_path / "weights.safetensors"))
    for read in found:
        assert read.small_stem
        assert all(torch.equal(tensor, state[name]) for name, tensor in read.state_dict.items())
        read.build()


def test_a_thousand_classes_are_imagenets(tmp_path: Path) -> None:
    torch.save(weights("resnet18", 1000), tmp_path / "weights.pth")
    classes = load(tmp_path / "weights.pth", device="cpu").card.classes
    assert [classes[at].name for at in (0, 281, 999)] == ["tench", "tabby", "toilet tissue"]


def test_torchvisions_and_timms_own_networks_are_read(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet50(weights=None, num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "torchvision.pth")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(read_weights(tmp_path / "torchvision.pth").build()(images), theirs(images))
    timm = pytest.importorskip("timm")
    small = timm.create_model("resnet10t", num_classes=7).eval()
    torch.save({"arch": "resnet10t", "epoch": 1, "state_dict": small.state_dict()}, tmp_path / "timm.pth")
    read = read_weights(tmp_path / "timm.pth")
    assert read.arch == "timm/resnet10t"
    with torch.no_grad():
        assert torch.equal(read.build()(images), small(images))


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"a": torch.zeros(2)}, "names tell none of resnet18"),
        ({"epoch": 3}, "holds no weights by name"),
        ({"fc.weight": torch.zeros(5, 8), "layer1.0.conv1.weight": torch.zeros(1)}, "names tell none of resnet18"),
        ({"arch": "../evil", "state_dict": {"a": torch.zeros(2)}}, "names tell none of resnet18"),
        ([1, 2], "holds a list"),
    ],
)
def test_what_tells_no_network_is_refused_in_one_sentence(told: Any, sentence: str, tmp_path: Path) -> None:
    torch.save(told, tmp_path / "weights.pth")
    with pytest.raises(TarnError, match=rf"weights\.pth.*{sentence}") as found:
        read_weights(tmp_path / "weights.pth")
    assert "\n" not in str(found.value)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = weights("resnet18")
    state["fc.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(TarnError, match="not finite"):
        read_weights(tmp_path / "weights.pth")


def test_whole_networks_and_torchscript_are_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2), nn.Tanh())
    torch.save(network, tmp_path / "whole.pth")
    with pytest.raises(
        TarnError, match=r"whole\.pth is refused: it wants .*if it is yours, give the network's state_dict"
    ):
        read_weights(tmp_path / "whole.pth")
    with warnings.catch_warnings(action="ignore"):  # it is to go
        torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3)), tmp_path / "script.pt")
    with pytest.raises(TarnError, match=r"script\.pt is TorchScript, which is code: give the state_dict"):
        read_weights(tmp_path / "script.pt")
