"""python -m tarn.training plan: the forecast of a run as text."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.sizes import counted
from tarn.training.forecast.forecast import Forecast, Speeds, forecast
from tarn.training.streaming.holdout import hold_out
from tarn.training.streaming.plan import StreamPlan, train_plan
from tarn.training.world.ranks import Ranks

if TYPE_CHECKING:
    from tarn.training.run.config import RunConfig  # needs torch, which takes two seconds to import


def add_arguments(parser: argparse.ArgumentParser) -> None:
    speeds = Speeds()
    parser.add_argument("--ranks", type=int, default=1, help="processes, one a GPU (%(default)s)")
    parser.add_argument("--hosts", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--bandwidth", type=float, default=speeds.bandwidth, help="MB/s of a host (%(default)s)")
    parser.add_argument("--latency", type=float, default=speeds.latency, help="ms of a request (%(default)s)")
    parser.add_argument("--decode", type=float, default=speeds.decode, help="images/s of a core (%(default)s)")
    parser.add_argument("--gpu", type=float, default=speeds.gpu, help="images/s of a GPU (%(default)s)")
    parser.add_argument("--cores", type=int, default=speeds.cores, help="of a host (%(default)s)")


def plan_text(config: "RunConfig", args: argparse.Namespace) -> str:
    """Raises UsageError for numbers that do not go together, TarnError where there is no manifest."""
    if not 1 <= args.hosts <= args.ranks or args.ranks % args.hosts:
        raise UsageError(f"--ranks={args.ranks} must be a multiple of --hosts={args.hosts}, both at least 1.")
    speeds = Speeds(**{name: getattr(args, name) for name in ("bandwidth", "latency", "decode", "gpu", "cores")})
    for name in ("bandwidth", "latency", "decode", "gpu", "cores"):
        if getattr(speeds, name) <= 0:
            raise UsageError(f"--{name}={getattr(speeds, name)} must be above 0.")
    manifest, plan = plan_of(config, args.ranks)
    limit = plan.access.cache_limit if plan.access.cache is not None else None
    told, epochs = forecast(plan, args.ranks, args.hosts, limit, speeds), config.optim.epochs
    return "\n".join([*head(config, manifest, plan, args), *sizes(plan, epochs), *body(told, plan, args, limit)])


def plan_of(config: "RunConfig", ranks: int) -> tuple[Manifest, StreamPlan]:
    """The manifest, and the first rank's stream."""
    manifest, optim = read_manifest(config.data.shards, config.data.storage_options), config.optim
    part = None if optim.micro_batch == "auto" else optim.micro_batch
    plan = train_plan(config.data, manifest, Ranks(0, ranks), config.seed, optim.global_batch, part)
    if config.data.holdout is not None:
        plan = replace(plan, subset=hold_out(plan.root, manifest, config.data.holdout, plan.access)[0])
    return manifest, plan


def head(config: "RunConfig", manifest: Manifest, plan: StreamPlan, args: argparse.Namespace) -> list[str]:
    split = manifest.split(config.data.train_split)
    whole = Ranks(0, args.ranks).has_whole_lanes(plan.global_batch, plan.lanes)
    lanes = "the shards of its own lanes" if whole else "every shard (lanes or batch do not divide by the ranks)"
    held = split.samples - int(plan.sizes.sum())
    return [
        f"{plan.tars}: {counted(split.samples, 'picture')}, {counted(len(split.shards), 'shard')}, "
        f"{size(split.bytes)}; "
        f"{plan.samples:,} served in an epoch of {counted(plan.steps, 'step')} of {plan.global_batch}"
        f"{f', {plan.repeats} samples of a picture' if plan.repeats > 1 else ''}"
        f"{f'; {held:,} are held out for validation' if held else ''}",
        f"{counted(args.ranks, 'rank')} on {counted(args.hosts, 'host')}; a rank reads {lanes}",
    ]


def sizes(plan: StreamPlan, epochs: int) -> list[str]:
    return [f"pictures grow          {plan.growth.in_words(epochs)}"] if plan.growth else []


def body(told: Forecast, plan: StreamPlan, args: argparse.Namespace, limit: int | None) -> list[str]:
    lines = [
        f"shards of a host       {size(told.working_set)} in use at a time, {size(told.all_shards)} in an epoch",
        *([] if plan.is_local else traffic_lines(told, plan, args, limit)),
        f"first batch after      {told.first_batch:.2f} s",
        f"shuffle span           {told.shuffle_span:,} pictures, of shards shuffled over the whole epoch",
        "an epoch takes at least:",
    ]
    lines += [f"  {name:<21} {seconds:,.1f} s" for name, seconds in told.seconds.items() if seconds]
    lines.append(f"bottleneck: {told.bottleneck}. {ADVICE[told.bottleneck.split(',')[0]]}")
    lines.append(
        f"assumed: {args.bandwidth:g} MB/s a host, {args.latency:g} ms a request, {args.decode:g} images/s a core on "
        f"{args.cores} cores, {args.gpu:g} images/s a GPU (`plan` takes --bandwidth --latency "
        "--decode --cores --gpu)"
    )
    return lines


def traffic_lines(told: Forecast, plan: StreamPlan, args: argparse.Namespace, limit: int | None) -> list[str]:
    epochs = zip(("first epoch, a host", "later epochs, a host"), told.epochs, strict=True)
    return [
        f"cache of a host        {'none' if limit is None else f'{size(limit)} at {plan.access.cache}'}",
        *(
            f"{name:<22} {size(epoch.bytes)} in {epoch.requests:,} GET requests at most; egress to all hosts "
            f"{size(epoch.bytes * args.hosts)}"
            for name, epoch in epochs
        ),
    ]


ADVICE = {
    "network": "A cache that holds every shard fetches each once; ranks that divide lanes fetch their own part only.",
    "decoding": "More cores a GPU, or smaller pictures.",
    "GPUs": "The data keep up.",
}


def size(count: int) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"
