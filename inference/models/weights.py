"""Weights in a file of any kind, read without trust: as plain data, by a list of allowed names."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from tarn.inference.models.foreign import of_others
from tarn.inference.models.kinds import KNOWN, kind_of
from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact
from tarn.training.export.card import FORMAT
from tarn.training.export.program import CARD
from tarn.training.plain.program_file import read_program
from tarn.training.plain.rules import RefusedError, Rules, Thing
from tarn.training.plain.torch_file import guarded, read_legacy, read_pickle, read_torch_zip

NETWORK = "tarn.training.model.resnet.ResNet"
DEEPEST = 12  # modules inside modules


def rebuilt(metadata: Any, weights: Any) -> dict[str, Any]:
    """Stands in for rebuilt() of tarn.training.export.pickling, which would build before anything is checked."""
    if not isinstance(metadata, dict):
        raise RefusedError("it wants to be rebuilt of something that is no card")
    return {**metadata, "state_dict": weights}


# What model.pkl names: our modules and PyTorch's, of which no object is ever made.
RULES = Rules(
    calls={"tarn.training.export.pickling.rebuilt": rebuilt},
    things=frozenset(
        {NETWORK, "tarn.training.model.resnet.BasicBlock", "tarn.training.model.resnet.Bottleneck"}
        | {"tarn.training.model.blurpool.BlurConv2d", "torch.nn.modules.conv.Conv2d"}
        | {"torch.nn.modules.batchnorm.BatchNorm2d", "torch.nn.modules.activation.ReLU"}
        | {"torch.nn.modules.pooling.MaxPool2d", "torch.nn.modules.pooling.AdaptiveAvgPool2d"}
        | {"torch.nn.modules.linear.Linear", "torch.nn.modules.linear.Identity"}
        | {"torch.nn.modules.container.Sequential"}
    ),
    renamed={"training.model": "tarn.training.model.resnet"},  # in files from before 0.2
)


def read_weights(path: Path) -> Artifact:
    """From a file of PyTorch or safetensors: ours, or a state dict of others.

    Raises TarnError for a file that is none, is cut, or wants more than it may.
    """
    kind = kind_of(path)
    if kind == "safetensors":
        return read_safetensors(path)
    if kind == "pt2":
        return read_pt2(path)
    if kind == "pt":
        found = read_torch_zip(path)
    elif kind == "legacy":
        found = read_legacy(path, path.read_bytes())
    elif kind == "pkl":
        found = read_pickle(path, path.read_bytes(), RULES)
    else:
        raise TarnError(f"{path} is a graph, whose weights are no state dict: give a model.pt or .safetensors.")
    if isinstance(found, Thing):
        found = guarded(path, partial(payload_of, found, path))
    if isinstance(found, Mapping) and found.get("format") == FORMAT:
        return Artifact.from_payload(found, str(path))
    if isinstance(found, Mapping):
        return others(found, path)
    raise TarnError(f"{path} holds a {type(found).__name__}, expected a {KNOWN}.")


def others(told: Mapping[str, Any], path: Path) -> Artifact:
    """Raises TarnError, for whatever is not as it is in files of others, too."""
    return guarded(path, lambda: of_others(told, path))  # type: ignore[no-any-return]


def payload_of(network: Thing, path: Path) -> dict[str, Any]:
    """What a pickled network of ours says of itself, and its tensors."""
    metadata = network.state.get("tarn") if isinstance(network.state, dict) else None
    if network.name != NETWORK or not isinstance(metadata, dict):
        raise TarnError(f"{path} holds a {network.name.rpartition('.')[2]}, expected a network exported by Tarn.")
    return {**metadata, "state_dict": dict(tensors_of(network, path))}


def tensors_of(module: Any, path: Path, above: str = "", depth: int = 0) -> dict[str, Tensor]:
    """By the names that a state dict gives them (nn.Module.state_dict)."""
    state = module.state if isinstance(module, Thing) else None
    if not isinstance(state, dict) or depth > DEEPEST:
        raise TarnError(f"{path} holds a network of another shape at {above or 'its top'}: export it again.")
    passing = state.get("_non_persistent_buffers_set") or ()
    found = {}
    for part in ("_parameters", "_buffers"):
        for name, tensor in (state.get(part) or {}).items():
            if isinstance(tensor, Tensor) and name not in passing:
                found[f"{above}{name}"] = tensor
    for name, child in (state.get("_modules") or {}).items():
        if child is not None:
            found |= tensors_of(child, path, f"{above}{name}.", depth + 1)
    return found


def read_pt2(path: Path) -> Artifact:
    weights, card = read_program(path, CARD)
    told = parsed(card, path)
    if told is None:
        raise TarnError(f"{path} is of torch.export, but was not exported by Tarn: give a model.pt or .safetensors.")
    within = {name.removeprefix("network."): tensor for name, tensor in weights.items() if name.startswith("network.")}
    return Artifact.from_payload({**told, "state_dict": within}, str(path))


def read_safetensors(path: Path) -> Artifact:
    from tarn.training.export import safetensors_file

    weights, text = safetensors_file.tensors_in(path)
    told = parsed(text, path)
    return others(weights, path) if told is None else Artifact.from_payload({**told, "state_dict": weights}, str(path))


def parsed(text: str | None, path: Path) -> dict[str, Any] | None:
    """The card, where there is one."""
    try:
        told = None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TarnError(f"{path} tells of itself in no JSON ({error}): export it again.") from error
    return told if isinstance(told, dict) else None
