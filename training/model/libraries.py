"""Networks of torchvision and of timm by name, without weights: nothing is ever downloaded."""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

from torch import nn

from tarn.sharding.errors import TarnError, UsageError

LIBRARIES = ("torchvision", "timm")
INSTALL = "`make setup` brings it, and so does .venv/bin/uv pip install --editable '.[timm]' in the checkout of Tarn"
AUXILIARY = ("googlenet", "inception_v3")  # of torchvision
SIDES = {"vit_": "image_size", "maxvit_": "input_size"}  # of torchvision: what is made for pictures of one size


def library_of(arch: str) -> str | None:
    """Whose it is; None for what names no library."""
    library, slash, name = arch.partition("/")
    return library if slash and name and library in LIBRARIES else None


def build_of_library(arch: str, num_classes: int, side: int, stochastic_depth: float | None) -> nn.Module:
    """side: px of the pictures, for networks that are made for one size.

    Raises UsageError for a name that is unknown or no classifier of pictures, and for settings that it does not take;
    TarnError where the library is not installed.
    """
    library, _, name = arch.partition("/")
    build = torchvision_network if library == "torchvision" else timm_network
    try:
        return build(name, num_classes, side, stochastic_depth)
    except TarnError:
        raise
    except Exception as error:  # each network raises its own kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if stochastic_depth is not None and ("stochastic_depth_prob" in reason or "drop_path_rate" in reason):
            raise UsageError(
                f"model.arch={arch!r} takes no model.stochastic_depth={stochastic_depth}: leave it at null."
            ) from error
        raise UsageError(
            f"model.arch={arch!r} cannot be built for {num_classes} classes and pictures of {side} px ({reason}): "
            "choose another network or size."
        ) from error


def torchvision_network(name: str, num_classes: int, side: int, stochastic_depth: float | None) -> nn.Module:
    models = torchvision_models()
    known = torchvision_names()
    if name in AUXILIARY:
        raise UsageError(
            f"model.arch='torchvision/{name}' answers with auxiliary logits beside its own in training, which the loss "
            "does not take: choose another network."
        )
    if name not in known and name in models.list_models():
        raise UsageError(
            f"model.arch='torchvision/{name}' is no classifier of pictures (B x 3 x H x W to B x classes): choose one, "
            "such as torchvision/convnext_tiny."
        )
    if name not in known:
        raise unknown("torchvision", name, known)
    options: dict[str, Any] = {"num_classes": num_classes}
    for beginning, word in SIDES.items():
        if name.startswith(beginning):
            options[word] = side if word == "image_size" else (side, side)
    if stochastic_depth is not None:
        options["stochastic_depth_prob"] = stochastic_depth
    return models.get_model(name, weights=None, **options)  # type: ignore[no-any-return]


def torchvision_models() -> Any:
    from torchvision import models  # not before it is asked for: it takes a while

    return models


def torchvision_names() -> list[str]:
    models = torchvision_models()
    return [name for name in models.list_models(module=models) if name not in AUXILIARY]


def timm_network(name: str, num_classes: int, side: int, stochastic_depth: float | None) -> nn.Module:
    try:
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise TarnError(f"model.arch='timm/{name}' needs timm, which is not installed: {INSTALL}.") from error
    if not timm.is_model(name):  # names with a colon, which would be looked up elsewhere, are among them
        raise unknown("timm", name, timm.list_models())
    options: dict[str, Any] = {"num_classes": num_classes}
    usual = timm.get_pretrained_cfg(name)
    if usual is not None and usual.fixed_input_size and usual.input_size[-1] != side:
        options["img_size"] = side
    if stochastic_depth is not None:
        options["drop_path_rate"] = stochastic_depth
    return timm.create_model(name, pretrained=False, **options)  # type: ignore[no-any-return]


def unknown(library: str, name: str, known: Iterable[str]) -> UsageError:
    close = [f"{library}/{other}" for other in difflib.get_close_matches(name, known, 3)]
    advice = f"did you mean {' or '.join(close)}?" if close else f"its own documents list what {library} has."
    return UsageError(f"model.arch='{library}/{name}' is unknown to {library}: {advice}")
