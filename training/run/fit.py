"""A whole run: put together, resume, train, keep checkpoints, export."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.training.run import checkpoint
from tarn.training.run.adoption import adopt
from tarn.training.run.changes import keep_config, rate_jump, settled, warm_up_note
from tarn.training.run.class_counts import class_counts
from tarn.training.run.config import RunConfig
from tarn.training.run.finish import export_once, report_once
from tarn.training.run.interruption import Interruption, Left
from tarn.training.run.journal import Journal
from tarn.training.run.learner import Learner
from tarn.training.run.lock import RunLock
from tarn.training.run.memory import told_of_memory
from tarn.training.run.network import network_of
from tarn.training.run.saving import Keeper, main_does, main_finds
from tarn.training.run.trace import Trace
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.holdout import hold_out
from tarn.training.streaming.plan import eval_plan, train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.streaming.randomness import mixed
from tarn.training.world.numerics import training_numerics
from tarn.training.world.world import World, joined_world


def fit(config: RunConfig) -> int:
    """Trains until the last epoch, going on from the newest checkpoint. Returns the exit code: 0, or 128 + the signal
    that ended the run before."""
    with joined_world(config.device) as world, ExitStack() as stack:
        manifest = read_manifest(config.data.shards, config.data.storage_options)
        stack.enter_context(training_numerics(config.speed.tf32, config.speed.deterministic))
        with told_of(config.out):
            config = settled(config)
        model, begun = network_of(config, len(manifest.classes))
        trainer = build_trainer(config, world, manifest, model)
        torch.manual_seed(mixed(config.seed, world.rank))  # what a network draws itself; a checkpoint has the state
        said = [*begun, *own(config, world, stack)]
        told, complaints = checkpoint.newest(Path(config.out, "checkpoints"))
        check_same_checkpoint(world, told, config.out)
        if told is not None:
            trainer.load_state_dict(told["trainer"])
        with told_of(config.out):
            if config.journal.keys:
                trainer.trace = Trace(Path(config.out, "keys"), world, trainer.step)
            journal = stack.enter_context(Journal(Path(config.out), config.journal, world.is_main, trainer.step))
        stop = stack.enter_context(Interruption(world))
        keeper = Keeper(trainer, manifest, journal, stop, told)
        for sentence in (*said, *complaints):
            journal.say(sentence)
        introduce(trainer, manifest, journal, told, keeper)
        if world.is_main:
            with told_of(config.out):
                keep_config(config, journal, keeper.is_complete)
        try:
            run(trainer, journal, keeper)
            report_once(trainer, manifest, journal, stop)
            main_does(world, lambda: export_once(trainer, journal, stop))
        except Left:
            journal.end_bar()
            journal.say(f"Asked to stop: saved after step {trainer.step}. Run the same command again to go on.")
            return 128 + (stop.asked or signal.SIGTERM)
        except KeyboardInterrupt:  # asked twice: what was saved before stays
            return 128 + signal.SIGINT
    return 0


def own(config: RunConfig, world: World, stack: ExitStack) -> list[str]:
    """The run folder for this run alone, its checkpoints marked and writable. Returns sentences to be said."""
    run, said = Path(config.out), list[str]()

    def take() -> None:
        lock = RunLock(run)
        stack.callback(lock.release)
        said.extend([lock.warning] if lock.warning else [])
        folder = run / "checkpoints"
        with told_of(folder):
            folder.mkdir(exist_ok=True)
            probe = folder / "step-probe.tmp"
            probe.touch()
            probe.unlink()
        said.extend(adopt(folder))

    main_does(world, take)
    return said


@contextmanager
def told_of(folder: str | Path) -> Iterator[None]:
    """What the disk refuses, in one sentence."""
    try:
        yield
    except OSError as error:
        raise TarnError(f"{folder} cannot be written ({error}): make room or check its permissions.") from error


def check_same_checkpoint(world: World, told: dict[str, Any] | None, run: str) -> None:
    """Nobody goes on, and nobody writes, before all ranks have read the same one."""
    steps = world.gather(told["step"] if told is not None else None)
    if len(set(steps)) > 1:
        raise TarnError(
            f"ranks found different newest checkpoints in {run} (steps {steps}): all hosts must see the "
            "run folder, put it on a shared file system."
        )


def build_trainer(config: RunConfig, world: World, manifest: Manifest, model: nn.Module) -> Trainer:
    data, optim = config.data, config.optim
    is_weighted = optim.class_weights == "balanced"
    counts = main_finds(world, lambda: class_counts(data, manifest)) if is_weighted else None
    learner = Learner(config, world, model, len(manifest.classes), counts)
    access = data.access(manifest.shards_root(data.shards))
    left, held = hold_out(data.shards, manifest, data.holdout, access) if data.holdout else (None, None)
    share = world.largest_share(optim.global_batch)
    with told_of_memory(optim.micro_batch):
        part = learner.part_size(share, data.image_size, checkpoint.known_part(Path(config.out, "checkpoints")))
        train = train_plan(data, manifest, world, config.seed, optim.global_batch, part, config.journal.keys, left)
        learner.prepare(part, data.image_size, -(-share // part))
    val = None
    val_split = data.train_split if held else data.val_split
    if held or has_validation(config, manifest):
        crop = data.preprocessing
        val = eval_plan(data.shards, manifest, val_split, crop, world, config.eval_batch, access, held)
    workers, pin = worker_count(data, world), world.device.type == "cuda"
    loader_of = partial(PlannedLoader, pin_memory=pin, device=world.device if pin else None)
    return Trainer(
        config,
        world,
        learner,
        loader_of(train, manifest, data.train_split, start_crew(workers), ledger=ledger_path(config, world)),
        loader_of(val, manifest, val_split, start_crew(workers)) if val else None,
        len(manifest.classes),
    )


def has_validation(config: RunConfig, manifest: Manifest) -> bool:
    """No, where the dataset has nothing but what is trained on; a split that is not there among others is a mistake."""
    if set(manifest.splits) - {config.data.train_split}:
        return True
    if config.data.val_split == config.data.train_split:
        return True
    for is_asked, word, remedy in (
        (config.optim.schedule == "plateau", "optim.schedule='plateau'", "choose cosine, step or constant"),
        (config.optim.early_stop is not None, f"optim.early_stop={config.optim.early_stop}", "set it to null"),
        (config.export == "best", "export='best'", "choose last"),
    ):
        if is_asked:
            raise UsageError(
                f"{word} follows the validation, and {config.data.shards} has the split {config.data.train_split!r} "
                f"alone: {remedy}, or pack a split for validation."
            )
    return False


def worker_count(data: DataConfig, world: World) -> int:
    """One decoding process where the CPU trains too, else one a core."""
    if data.workers is not None:
        return data.workers
    return 1 if world.device.type == "cpu" else world.cores()


def ledger_path(config: RunConfig, world: World) -> Path:
    return Path(config.out, "bad-samples", f"rank-{world.rank}.jsonl")


def run(trainer: Trainer, journal: Journal, keeper: Keeper) -> None:
    """Epoch by epoch to the last step. Raises Left where a signal asked to leave; all is saved then."""
    was_complete = keeper.is_complete
    if not was_complete:
        journal.table_head(trainer.learner.average is not None)
    if keeper.is_validated:
        keeper.end_epoch()
    while not trainer.is_over or keeper.is_pending:
        if not trainer.is_at_end:
            for _ in trainer.steps(journal):
                keeper.after_step()
        keeper.end_epoch()
    if not was_complete and trainer.step < trainer.last_step:
        journal.say(trainer.early_stop.told(trainer.last_epoch))


def introduce(
    trainer: Trainer, manifest: Manifest, journal: Journal, told: dict[str, Any] | None, keeper: Keeper
) -> None:
    config, world, plan = trainer.config, trainer.world, trainer.train_loader.plan
    precision = str(trainer.learner.dtype).removeprefix("torch.") if trainer.learner.dtype else "float32"
    val = trainer.val_loader.plan.samples if trainer.val_loader else "none"
    growth = config.data.growth
    size = growth.in_words(config.optim.epochs) if growth else f"{config.data.image_size} px"
    shown = f"{plan.samples} samples, {plan.repeats} of a picture," if plan.repeats > 1 else str(plan.samples)
    journal.say(
        f"{config.model.arch}, {len(manifest.classes)} classes, {shown} of "
        f"{plan.sizes.sum()} training pictures an epoch at {size}, "
        f"{val} for validation."
    )
    if trainer.learner.problem is not None:
        journal.say(f"Warning: {trainer.learner.problem}")
    if trainer.val_loader is None:
        journal.say(f"The dataset has no split but {config.data.train_split!r}: trained without validation.")
    journal.say(
        f"{world.size} x {world.device.type}, {precision}, global batch {config.optim.global_batch} "
        f"in parts of at most {min(len(plan.share), plan.part_size)}, {trainer.steps_per_epoch} steps an epoch, "
        f"{config.optim.epochs} epochs, run folder {config.out}."
    )
    if trainer.train_loader.decoder is not None:
        journal.say(f"The device decodes training pictures: decode=cuda ({trainer.train_loader.decoder.library.name}).")
    if keeper.is_complete:
        over = f"The run is complete: {trainer.step} steps are done. Raise optim.epochs or choose another run."
        journal.say(over if trainer.step >= trainer.last_step else keeper.early_stop.told(trainer.last_epoch))
        return
    if told is not None:
        done = trainer.stream.samples // config.optim.global_batch
        journal.say(f"Going on after step {trainer.step}: epoch {trainer.stream.epoch}, {done} of its steps done.")
    steps = trainer.steps_per_epoch
    notes = [warm_up_note(config.optim, steps, trainer.last_step)]
    notes += [rate_jump(told["config"], config.optim, trainer.step, steps)] if told and not keeper.is_pending else []
    for note in filter(None, notes):
        journal.say(note)
