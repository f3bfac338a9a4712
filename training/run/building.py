"""A run's trainer, put together: learner, plans, loaders."""

from pathlib import Path

from torch import nn

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import Manifest
from tarn.training.model.freezing import freeze
from tarn.training.run import checkpoint
from tarn.training.run.class_counts import class_counts
from tarn.training.run.config import RunConfig
from tarn.training.run.learner import Learner
from tarn.training.run.memory import Room, told_of_memory
from tarn.training.run.network import build_network
from tarn.training.run.saving import main_finds
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.holdout import hold_out
from tarn.training.streaming.parts.opened import open_blend
from tarn.training.streaming.plan import StreamPlan, eval_plan, train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.world import World


def build_trainer(config: RunConfig, world: World, manifest: Manifest, model: nn.Module) -> Trainer:
    data, optim = config.data, config.optim
    access = data.access(manifest.shards_root(data.shards))
    left, held = hold_out(data.shards, manifest, data.holdout, access) if data.holdout else (None, None)
    if optim.class_weights == "balanced" and data.blend:
        raise UsageError("optim.class_weights='balanced' counts one dataset, data.blend names others: set it to null.")
    blend = open_blend(data, manifest.classes, config.seed, optim.global_batch)
    is_weighted = optim.class_weights == "balanced"
    counts = main_finds(world, lambda: class_counts(data, manifest, left)) if is_weighted else None
    learner = Learner(config, world, model, len(manifest.classes), counts)
    is_validated = held is not None or has_validation(config, manifest)  # told before anything is compiled
    share = world.largest_share(optim.global_batch)
    known = main_finds(world, lambda: known_room(Path(config.out, "checkpoints")))  # for all ranks alike
    with told_of_memory(optim.micro_batch):
        part = learner.part_size(share, data.image_size, known)
        parts = blend.data if blend else None
        train = train_plan(
            data, manifest, world, config.seed, optim.global_batch, part, config.journal.keys, left, parts
        )
        learner.prepare(part, data.image_size, -(-share // part))
    val = None
    if is_validated:
        split, crop = validated_split(data), data.preprocessing
        val = eval_plan(data.shards, manifest, split, crop, world, config.eval_batch, access, held)
    train_loader = loader_of(train, manifest, data.train_split, config, world, ledger_path(config, world))
    if blend is not None:
        train_loader.manifests = blend.manifests
        train_loader.warnings += blend.notes
    return Trainer(
        config,
        world,
        learner,
        train_loader,
        loader_of(val, manifest, validated_split(data), config, world) if val else None,
        len(manifest.classes),
    )


def validated_split(data: DataConfig) -> str:
    """Of the manifest: what is held out is a part of another one."""
    return data.train_split if data.holdout else data.val_split


def loader_of(
    plan: StreamPlan, manifest: Manifest, split: str, config: RunConfig, world: World, ledger: Path | None = None
) -> PlannedLoader:
    pin = world.device.type == "cuda"
    device, crew = world.device if pin else None, start_crew(worker_count(config.data, world))
    return PlannedLoader(plan, manifest, split, crew, pin_memory=pin, device=device, ledger=ledger)


def known_room(folder: Path) -> Room | None:
    """Of the run so far, for optim.micro_batch=auto; None where it was not asked for, or by an older Tarn."""
    found = checkpoint.markers(folder)
    told = found[-1].get("room") if found else None
    return Room(*told) if told else None


def buildable(config: RunConfig, classes: int, manifest: Manifest | None) -> nn.Module:
    """The network as a run would train it. Raises what a run would for a network or, where there is a manifest, a
    validation that is not to be had. Weights to begin from are not read, and the device is not asked for: both may be
    another machine's."""
    model = build_network(config, classes)
    freeze(model, config.model.freeze)
    if manifest is not None and config.data.holdout is None:
        has_validation(config, manifest)
    return model


def has_validation(config: RunConfig, manifest: Manifest) -> bool:
    """No, where the dataset has nothing but what is trained on; a split that is not there among others is a mistake."""
    splits, val_split = set(manifest.splits), config.data.val_split
    if val_split in splits:
        return True
    if splits - {config.data.train_split}:
        raise UsageError(
            f"data.val_split={val_split!r} is not in {config.data.shards}: choose one of {', '.join(sorted(splits))}."
        )
    for is_asked, word, remedy in (
        (config.optim.schedule == "plateau", "optim.schedule='plateau'", "choose cosine, step or constant"),
        (config.optim.early_stop is not None, f"optim.early_stop={config.optim.early_stop}", "set it to null"),
        (config.export == "best", "export='best'", "choose last"),
        (bool(scored := config.scored_formats), f"export_formats={','.join(scored)}", "leave it out"),
    ):
        if is_asked:
            raise UsageError(
                f"{word} follows the validation, and {config.data.shards} has the split {config.data.train_split!r} "
                f"alone: {remedy}, hold pictures out by data.val_fraction, or pack a split for validation."
            )
    return False


def worker_count(data: DataConfig, world: World) -> int:
    """One decoding process where the CPU trains too, else one a core."""
    if data.workers is not None:
        return data.workers
    return 1 if world.device.type == "cpu" else world.cores()


def ledger_path(config: RunConfig, world: World) -> Path:
    return Path(config.out, "bad-samples", f"rank-{world.rank}.jsonl")
