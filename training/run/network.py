"""The network that a run trains: built by its settings and, where it is to, begun from weights."""

from pathlib import Path

from torch import nn

from tarn.sharding import storage
from tarn.sharding.storage.urls import kind_of
from tarn.training.model.beginning import begin_from
from tarn.training.model.fitting import check_fits
from tarn.training.model.network import Network
from tarn.training.run.config import RunConfig


def network_of(config: RunConfig, num_classes: int) -> tuple[nn.Module, list[str]]:
    """With the sentences that tell what came from model.init, which a run that goes on from a checkpoint does not read.

    Raises what building and beginning raise.
    """
    told, data = config.model, config.data
    model = build_network(config, num_classes)
    if told.init is None or any(Path(config.out, "checkpoints").glob("step-*.pt")):
        return model, []
    is_same_store = kind_of(told.init) == kind_of(data.shards) or storage.local_path(data.shards) is not None
    return model, begin_from(model, told.init, data.storage_options if is_same_store else storage.NONE)


def build_network(config: RunConfig, num_classes: int) -> nn.Module:
    """Drawn from the seed. Raises UsageError where it does not take the run's pictures, and what building raises."""
    told, data = config.model, config.data
    network = Network(
        arch=told.arch,
        num_classes=num_classes,
        side=data.preprocessing.crop,
        small_stem=told.small_stem,
        blurpool=told.blurpool,
        zero_init_last_gamma=told.zero_init_last_gamma,
        stochastic_depth=told.stochastic_depth,
    )
    model = network.build(config.seed)
    if not network.is_ours:  # ours take all sizes
        growing = {data.growth.size(epoch) for epoch in range(config.optim.epochs)} if data.growth else set[int]()
        for side in sorted({data.image_size, data.preprocessing.crop} | growing):
            check_fits(model, num_classes, side, f"model.arch={told.arch!r} with pictures of {side} px")
    return model
