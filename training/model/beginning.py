"""Training that begins from weights instead of from chance."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.training.model.blurpool import BlurConv2d
from tarn.training.model.head import head_of
from tarn.training.model.weights import read_weights

TOLD = 4  # names in a sentence, at most
COUNTER = "num_batches_tracked"  # of a BatchNorm; older files have none


def begin_from(model: nn.Module, url: str, options: storage.Options = storage.NONE) -> list[str]:
    """Takes every tensor of the file that the network has too; those of its last layer only where the number of classes
    is the same, else they stay as they were drawn. Returns what was loaded, left and new, a line each.

    Raises UsageError for weights of another network and for numbers that are not finite, TarnError for a file that
    cannot be read.
    """
    own = model.state_dict()
    theirs, is_blurred = read_weights(url, options, set(own))
    if is_blurred is not None and is_blurred != any(isinstance(module, BlurConv2d) for module in model.modules()):
        raise UsageError(
            f"model.init={url} holds weights of a network with model.blurpool={str(is_blurred).lower()}, which answer "
            "wrongly in any other: set the same."
        )
    head = tuple(f"{name}." for name in head_of(model))
    fitting = {name for name in own if name in theirs and fits(theirs[name], own[name])}
    new = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    wrong = [name for name in new if not name.startswith(head)]
    if wrong or not fitting:
        raise UsageError(
            f"model.init={url} holds weights of another network ({contrast(wrong or new, theirs, own)}): set "
            "model.arch and what goes with it to what the weights are of."
        )
    lost = [name for name in fitting if theirs[name].is_floating_point() and not theirs[name].isfinite().all()]
    if lost:
        raise UsageError(
            f"model.init={url} holds numbers that are not finite ({few(sorted(lost))}): take other weights."
        )
    negative = [name for name in fitting if name.endswith("running_var") and bool((theirs[name] < 0).any())]
    if negative:
        raise UsageError(
            f"model.init={url} holds variances below zero ({few(sorted(negative))}): the file is damaged, take other "
            "weights."
        )
    with torch.no_grad():
        model.load_state_dict({**own, **{name: theirs[name] for name in fitting}})
    left = [name for name in theirs if name not in fitting]
    return [
        f"Begun from {url}: {len(fitting)} of {len(own)} tensors are loaded.",
        f"Left in the file: {few(left)}.",
        f"New, drawn from the seed: {few([f'{name} ({shape(own[name])})' for name in new])}.",
    ]


def fits(theirs: Tensor, mine: Tensor) -> bool:
    return theirs.shape == mine.shape and theirs.is_floating_point() == mine.is_floating_point()


def contrast(names: Sequence[str], theirs: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    name = names[0]
    there = f"is {shape(theirs[name])} there" if name in theirs else "is not there"
    more = f", {len(names) - 1} others do not fit either" if len(names) > 1 else ""
    return f"{name}, {shape(own[name])} here, {there}{more}"


def shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def few(names: Sequence[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return (", ".join(names[:TOLD]) or "nothing") + more
