"""State dicts that others saved (torchvision, timm, the project that Tarn grew from): the keys tell their network.

Names are those that torchvision gave ResNets, which timm and most others keep.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.model.resnet import DEPTHS, Bottleneck
from tarn.training.model.weights import PLACES, follow, unwrapped
from tarn.training.pixels.preprocessing import Preprocessing

IMAGENET = 1000  # classes
BLOCK = re.compile(r"layer([1-4])\.(\d+)\.")
SHORTCUT = re.compile(r"\.shortcut\.")  # as many networks written anew call it
ENDS = {"conv1.weight": 4, "fc.weight": 2}  # dimensions of what every ResNet has
SHARED = 2  # how often numbers may be used: layers may have their weights in common
SMALL = 3  # px of the first filters, for small pictures


def of_others(told: Mapping[str, Any], path: Path) -> Artifact:
    """Classes are numbered, and have ImageNet's names where there are 1,000; preprocessing is torchvision's.

    Raises TarnError where there are no weights by name, or their network is none that the keys tell.
    """
    for place in (*PLACES[:-1], ("model_state_dict",), ()):
        state = follow(told, place)
        if state:
            break
    else:
        raise TarnError(f"{path} holds no weights by name: give a model exported by Tarn, or a state dict.")
    state = {SHORTCUT.sub(".downsample.", name): tensor for name, tensor in unwrapped(state, set(ENDS)).items()}
    arch = arch_of(state)
    if arch is not None:
        return artifact(arch, len(state["fc.weight"]), state, path, state["conv1.weight"].shape[-1] == SMALL)
    arch = told.get("arch")  # as checkpoints of timm's own training tell
    if isinstance(arch, str) and re.fullmatch(r"[a-z0-9_]+", arch):
        return artifact(f"timm/{arch}", len(list(state.values())[-1]), state, path, False)
    raise TarnError(
        f"{path} holds weights whose names tell none of {', '.join(DEPTHS)}, and does not say of which network they "
        "are: give a model exported by Tarn, a ResNet's state dict, or {'arch': a name of timm's, 'state_dict': ...}."
    )


def arch_of(state: Mapping[str, Tensor]) -> str | None:
    """By how many blocks there are in each stage, and whether a block has a third convolution; None: no ResNet's."""
    if any(name not in state or state[name].ndim != dimensions for name, dimensions in ENDS.items()):
        return None
    places = {(int(found[1]), int(found[2])) for name in state if (found := BLOCK.match(name))}
    blocks = tuple(sum(stage == number for stage, _ in places) for number in (1, 2, 3, 4))
    has_three = "layer1.0.conv3.weight" in state
    return next(
        (name for name, (block, wanted) in DEPTHS.items() if (blocks, has_three) == (wanted, block is Bottleneck)), None
    )


def artifact(arch: str, num_classes: int, state: Mapping[str, Tensor], path: Path, small_stem: bool) -> Artifact:
    storages = {each.data_ptr(): each.nbytes() for each in (tensor.untyped_storage() for tensor in state.values())}
    if sum(tensor.nbytes for tensor in state.values()) > SHARED * sum(storages.values()):
        raise TarnError(f"{path} is refused: many of its names stand for the same numbers, which no model needs.")
    if any(not math.isfinite(float(tensor.sum())) for tensor in state.values()):
        raise TarnError(f"{path} holds numbers that are not finite: take other weights.")
    names = imagenet_names() if num_classes == IMAGENET else [f"class {label}" for label in range(num_classes)]
    return Artifact(
        arch=arch,
        small_stem=small_stem,
        classes=tuple(ClassInfo(str(label), name) for label, name in enumerate(names)),
        preprocessing=Preprocessing(),
        provenance={"weights": "of others", "file": path.name},
        state_dict={name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()},
    )


def imagenet_names() -> list[str]:
    """In the order of the sorted synsets, in which everybody numbers them; torchvision has them at hand."""
    from torchvision.models import ResNet50_Weights

    return list(ResNet50_Weights.DEFAULT.meta["categories"])
