"""python -m tarn.training plan: the forecast of a run as text."""

from dataclasses import replace

from torch import nn

from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.sizes import counted
from tarn.training.forecast.assumptions import Assumptions
from tarn.training.forecast.duration import Epoch, lines
from tarn.training.forecast.forecast import Forecast, forecast
from tarn.training.forecast.pace import pace_of
from tarn.training.run.building import buildable
from tarn.training.run.config import RunConfig
from tarn.training.streaming.holdout import hold_out
from tarn.training.streaming.parts.opened import open_blend
from tarn.training.streaming.plan import StreamPlan, train_plan
from tarn.training.world.ranks import Ranks


def plan_text(config: RunConfig, told: Assumptions, model: nn.Module | None = None) -> str:
    """model: as the run trains it, where it was built already. Raises UsageError for numbers that do not go together
    and what building raises, TarnError where there is no manifest."""
    manifest, plan = plan_of(config, told.ranks)
    limit = plan.access.cache_limit if plan.access.cache is not None else None
    pace = pace_of(config, model or buildable(config, len(manifest.classes), manifest), told)
    found = forecast(plan, limit, told, pace.cores)
    network = tuple(epoch.bytes / (told.bandwidth * 1e6) for epoch in found.epochs)
    epoch = Epoch(plan.samples, plan.steps, (network[0], network[1]))
    return "\n".join(
        [
            *head(config, manifest, plan, told),
            *sizes(config),
            *body(found, plan, told, limit),
            *lines(config, epoch, told, pace),
        ]
    )


def plan_of(config: RunConfig, ranks: int) -> tuple[Manifest, StreamPlan]:
    """The manifest, and the first rank's stream."""
    manifest, optim = read_manifest(config.data.shards, config.data.storage_options), config.optim
    part = None if optim.micro_batch == "auto" else optim.micro_batch
    blend = open_blend(config.data, manifest.classes, config.seed, optim.global_batch)
    told = blend.data if blend else None
    plan = train_plan(config.data, manifest, Ranks(0, ranks), config.seed, optim.global_batch, part, blended=told)
    if config.data.holdout is not None:
        plan = replace(plan, subset=hold_out(plan.root, manifest, config.data.holdout, plan.access)[0])
    return manifest, plan


def head(config: RunConfig, manifest: Manifest, plan: StreamPlan, told: Assumptions) -> list[str]:
    pictures, length = sum(shard.samples for shard in plan.shards), sum(shard.bytes for shard in plan.shards)
    whole = Ranks(0, told.ranks).has_whole_lanes(plan.global_batch, plan.lanes)
    lanes = "the shards of its own lanes" if whole else "every shard (lanes or batch do not divide by the ranks)"
    held = pictures - int(plan.sizes.sum())
    where = plan.tars if plan.blend is None else counted(len(plan.blend.weights), "dataset")
    return [
        f"{where}: {counted(pictures, 'picture')}, {counted(len(plan.shards), 'shard')}, {size(length)}; "
        f"{plan.samples:,} served in an epoch of {counted(plan.steps, 'step')} of {plan.global_batch}"
        f"{f', {plan.repeats} samples of a picture' if plan.repeats > 1 else ''}"
        f"{held_out(held, plan)}",
        f"{counted(told.ranks, 'rank')} on {counted(told.hosts, 'host')}; a rank reads {lanes}",
    ]


def held_out(held: int, plan: StreamPlan) -> str:
    """What is said of the pictures that are not trained on."""
    why = "held out for validation" if plan.blend is None else "not chosen by the parts"
    return f"; {held:,} are {why}" if held else ""


def sizes(config: RunConfig) -> list[str]:
    growth = config.data.growth
    return [f"pictures grow          {growth.in_words(config.optim.epochs)}"] if growth else []


def body(found: Forecast, plan: StreamPlan, told: Assumptions, limit: int | None) -> list[str]:
    return [
        f"shards of a host       {size(found.working_set)} in use at a time, {size(found.all_shards)} in an epoch",
        *([] if plan.is_local else traffic_lines(found, plan, told, limit)),
        f"first batch after      {found.first_batch:.2f} s",
        f"shuffle span           {found.shuffle_span:,} pictures, of shards shuffled over the whole epoch",
    ]


def traffic_lines(found: Forecast, plan: StreamPlan, told: Assumptions, limit: int | None) -> list[str]:
    epochs = zip(("first epoch, a host", "later epochs, a host"), found.epochs, strict=True)
    return [
        f"cache of a host        {'none' if limit is None else f'{size(limit)} at {plan.access.cache}'}",
        *(
            f"{name:<22} {size(epoch.bytes)} in {epoch.requests:,} GET requests at most; egress to all hosts "
            f"{size(epoch.bytes * told.hosts)}"
            for name, epoch in epochs
        ),
    ]


def size(count: int) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"
