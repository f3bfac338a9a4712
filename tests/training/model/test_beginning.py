"""Training that begins from files which we, torchvision, timm and others write."""

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from support.web import served
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.model.beginning import begin_from
from tarn.training.model.network import Network
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing

HEAD = {"fc.weight", "fc.bias"}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return torchvision.models.resnet18(num_classes=20).state_dict()  # type: ignore[no-any-return]


def assert_begun(model: nn.Module, theirs: dict[str, Tensor], new: set[str] = HEAD) -> None:
    """All but what is new is the file's, and what is new is what the seed draws."""
    own, drawn = model.state_dict(), build_model("resnet18", model.fc.out_features, seed=1).state_dict()  # type: ignore[arg-type, union-attr]
    for name, value in own.items():
        assert torch.equal(value, drawn[name] if name in new else theirs[name]), name


def in_our_checkpoint(weights: dict[str, Tensor]) -> dict[str, Any]:
    return {"format": 1, "step": 3, "trainer": {"model": weights, "optimizer": {}}, "config": "seed: 1"}


def in_our_export(weights: dict[str, Tensor]) -> dict[str, Any]:
    return Artifact(
        arch="resnet18",
        small_stem=False,
        classes=tuple(ClassInfo(f"n{label}", str(label)) for label in range(20)),
        preprocessing=Preprocessing(),
        provenance={},
        state_dict=weights,
    ).to_payload()


def wrapped(*beginnings: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda weights: {"".join(beginnings) + name: value for name, value in weights.items()}


def spoilt(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros_like(value) for name, value in weights.items()}


KINDS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "a state dict": dict,
    "our checkpoint": in_our_checkpoint,
    "our checkpoint with an average": lambda told: {"trainer": {"model": spoilt(told), "average": {"model": told}}},
    "our export": in_our_export,
    "of torchvision's scripts": lambda told: {"model": told, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
    "their average": lambda told: {
        "model": spoilt(told),
        "model_ema": {"n_averaged": torch.tensor(9), **wrapped("module.")(told)},
    },
    "timm's average": lambda told: {"state_dict": spoilt(told), "state_dict_ema": told, "arch": "resnet18"},
    "of DDP": wrapped("module."),
    "of torch.compile": wrapped("_orig_mod."),
    "of both": wrapped("module.", "_orig_mod."),
    "Lightning's": lambda told: {"state_dict": wrapped("model.")(told), "global_step": 7},
    "older, without counters": lambda told: {k: v for k, v in told.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_its_weights_and_a_new_head(
    kind: str, theirs: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(KINDS[kind](theirs), tmp_path / "weights.pth")
    model = build_model("resnet18", 5, seed=1)
    begun, left, new = begin_from(model, str(tmp_path / "weights.pth"))
    assert_begun(model, theirs)
    assert f"{tmp_path / 'weights.pth'}: " in begun
    assert left == "Left in the file: fc.weight, fc.bias."
    assert new == "New, drawn from the seed: fc.weight (5 x 512), fc.bias (5)."


def test_the_head_comes_along_where_the_number_of_classes_is_the_same(
    theirs: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(theirs, tmp_path / "weights.pt")
    model = build_model("resnet18", 20, seed=1)
    lines = begin_from(model, str(tmp_path / "weights.pt"))
    assert_begun(model, theirs, new=set())
    assert lines[0].endswith("122 of 122 tensors are loaded.")
    assert lines[1:] == ["Left in the file: nothing.", "New, drawn from the seed: nothing."]


def test_half_precision_becomes_our_precision(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    half = {name: value.half() if value.is_floating_point() else value for name, value in theirs.items()}
    torch.save(half, tmp_path / "weights.pt")
    model = build_model("resnet18", 20, seed=1)
    begin_from(model, str(tmp_path / "weights.pt"))
    assert_begun(model, {name: value.to(theirs[name].dtype) for name, value in half.items()}, new=set())


@pytest.mark.skipif(importlib.util.find_spec("safetensors") is None, reason="safetensors is not installed")
def test_safetensors_come_by_a_url_with_the_options_of_the_store(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(theirs, tmp_path / "weights.safetensors")
    torch.save(theirs, tmp_path / "weights.pth")
    options = {"client_kwargs": {"headers": {"X-Key": "open sesame"}}}
    with served(tmp_path, key="open sesame") as web:
        for name in ("weights.safetensors", "weights.pth"):
            model = build_model("resnet18", 5, seed=1)
            begin_from(model, f"{web.url}/{name}", options)
            assert_begun(model, theirs)
        with pytest.raises(TarnError, match=r"weights\.pth"):
            begin_from(build_model("resnet18", 5), f"{web.url}/weights.pth")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"cut\.safetensors is not a whole \.safetensors file"):
        begin_from(build_model("resnet18", 5), str(tmp_path / "cut.safetensors"))


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_timms_weights_begin_timms_network_and_ours_of_the_same_names(tmp_path: Path) -> None:
    import timm

    source = timm.create_model("resnet18", num_classes=20)
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    ours = build_model("resnet18", 20, seed=1).eval()
    same = Network(arch="timm/resnet18", num_classes=20).build(seed=1).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = source.eval()(images)
        for model in (ours, same):
            begin_from(model, str(tmp_path / "weights.pt"))
            torch.testing.assert_close(model(images), wanted)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (self.path,))


def test_what_is_no_file_of_this_networks_weights_is_told_in_one_sentence_and_runs_nothing(
    theirs: dict[str, Tensor], tmp_path: Path
) -> None:
    bottleneck = build_model("resnet50", 20).state_dict()
    files: dict[str, tuple[Any, str]] = {
        "deeper.pt": (
            bottleneck,
            r"another network \(layer1\.0\.conv1\.weight, 64 x 64 x 3 x 3 here, is 64 x 64 x 1 x",
        ),
        "other.pt": ({"features.0.weight": torch.zeros(3)}, r"another network \(conv1\.weight.* is not there"),
        "empty.pt": ({"epoch": 3}, "holds no weights by name"),
        "list.pt": ([torch.zeros(3)], "holds no weights by name"),
        "lost.pt": ({**theirs, "layer1.0.bn1.bias": torch.full((64,), float("nan"))}, r"not finite \(layer1\.0\.bn1"),
        "evil.pt": ({**theirs, "evil": Evil(tmp_path / "ran")}, "cannot be read as weights alone"),
    }
    for name, (payload, told) in files.items():
        torch.save(payload, tmp_path / name)
        model = build_model("resnet18", 5, seed=1)
        with pytest.raises(UsageError, match=rf"{name}.*{told}") as raised:
            begin_from(model, str(tmp_path / name))
        assert "\n" not in str(raised.value)
        assert_begun(model, {}, new=set(model.state_dict()))
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UsageError, match=r"text\.pt cannot be read as weights alone"):
        begin_from(build_model("resnet18", 5), str(tmp_path / "text.pt"))
    torch.save(build_model("resnet18", 5), tmp_path / "module.pkl", pickle_protocol=4)
    with pytest.raises(UsageError, match=r"module\.pkl cannot be read as weights alone \(Weights only load failed\)"):
        begin_from(build_model("resnet18", 5), str(tmp_path / "module.pkl"))
    with pytest.raises(UsageError, match=r"is a folder: give a checkpoint, a model\.pt"):
        begin_from(build_model("resnet18", 5), str(tmp_path))
    with pytest.raises(UsageError, match=r"nowhere\.pt is not there"):
        begin_from(build_model("resnet18", 5), str(tmp_path / "nowhere.pt"))
    assert not (tmp_path / "ran").exists()


def test_weights_of_a_network_that_blurs_begin_no_other_one(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    blurred = {**in_our_export(theirs), "model": {"num_classes": 20, "small_stem": False, "blurpool": True}}
    saved = {"blurred": blurred, "plain": in_our_export(theirs), "theirs": theirs}
    for name, payload in saved.items():
        torch.save(payload, tmp_path / f"{name}.pt")
    plain = build_model("resnet18", 20, seed=1)
    with pytest.raises(UsageError, match=r"blurred\.pt holds weights of a network with model\.blurpool=true"):
        begin_from(plain, str(tmp_path / "blurred.pt"))
    blurs = build_model("resnet18", 20, seed=1, blurpool=True)
    with pytest.raises(UsageError, match=r"plain\.pt holds weights of a network with model\.blurpool=false"):
        begin_from(blurs, str(tmp_path / "plain.pt"))
    for network, name in ((blurs, "blurred"), (plain, "plain"), (blurs, "theirs")):  # others' files say nothing
        assert "122 of 122" in begin_from(network, str(tmp_path / f"{name}.pt"))[0]


def test_variances_below_zero_are_refused(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({**theirs, "bn1.running_var": -theirs["bn1.running_var"]}, tmp_path / "odd.pt")
    with pytest.raises(UsageError, match=r"variances below zero \(bn1\.running_var\)"):
        begin_from(build_model("resnet18", 20, seed=1), str(tmp_path / "odd.pt"))
