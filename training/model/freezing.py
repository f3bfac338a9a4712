"""Parts of a network that are not trained."""

from collections.abc import Sequence

from torch import nn

from tarn.sharding.errors import UsageError


def freeze(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Takes parts, by the names of modules or parameters, out of training. Returns the modules among them, which stay
    in eval mode while the rest trains: running statistics of norms hold still, nothing is dropped.

    Raises UsageError for a name that is not there, and where nothing is left to train.
    """
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    for name in names:
        if not name or (name not in modules and name not in parameters):
            known = dict.fromkeys(each.partition(".")[0] for each in parameters)
            raise UsageError(
                f"model.freeze: the network has no part {name!r}: choose among {', '.join(known)}, or name what is in "
                "one of them, such as layer1.0."
            )
        for frozen in modules[name].parameters() if name in modules else [parameters[name]]:
            frozen.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(f"model.freeze={list(names)} leaves nothing to train: leave out the last layer at least.")
    return [modules[name] for name in names if name in modules]
