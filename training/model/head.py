"""The part of a network that knows the classes."""

from torch import nn


def head_of(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules that make logits of features: what timm's networks tell, else the last layer with weights,
    which it is in ours and in all of torchvision's. More than one where a network has several (distilled ones)."""
    if hasattr(model, "get_classifier"):
        told = model.get_classifier()  # type: ignore[operator]
        parts = told if isinstance(told, tuple) else (told,)
        names = [name for name, module in model.named_modules() if any(module is part for part in parts)]
        if names:
            return tuple(names)
    return tuple([name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1:])


def head_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters in those modules."""
    beginnings = tuple(f"{name}." for name in head_of(model))
    return [name for name, _ in model.named_parameters() if name.startswith(beginnings)]
