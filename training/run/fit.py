"""A whole run: put together, resume, train, keep checkpoints, export."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.export.formats import chosen_formats
from tarn.training.run import checkpoint
from tarn.training.run.adoption import adopt
from tarn.training.run.building import build_trainer
from tarn.training.run.changes import keep_config, settled
from tarn.training.run.config import RunConfig
from tarn.training.run.exporting import export_once
from tarn.training.run.finish import report_once
from tarn.training.run.interruption import Interruption, Left
from tarn.training.run.introduction import introduce
from tarn.training.run.journal import Journal
from tarn.training.run.lock import RunLock
from tarn.training.run.network import network_of
from tarn.training.run.saving import Keeper, main_does
from tarn.training.run.trace import Trace
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.plan import check_classes
from tarn.training.streaming.randomness import mixed
from tarn.training.world.numerics import training_numerics
from tarn.training.world.world import World, joined_world


def fit(config: RunConfig) -> int:
    """Trains until the last epoch, going on from the newest checkpoint. Returns the exit code: 0, or 128 + the signal
    that ended the run before."""
    chosen_formats(config.export_formats, "export_formats")  # what is missing is told now, and not after the last epoch
    with joined_world(config.device) as world, ExitStack() as stack:
        manifest = read_manifest(config.data.shards, config.data.storage_options)
        check_classes(config.data, manifest)
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
            check_same_network(config, told)
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
        if told is not None and not keeper.is_complete and told["trainer"].get("view", trainer.view) != trainer.view:
            keeper.measure_anew()
            journal.say("Validation sees other pictures than before, or sees them otherwise: scores are measured anew.")
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
        except (Exception, KeyboardInterrupt):  # torch turns an interrupt of its saving into an error of its own
            if not stop.insists:
                raise
            return 128 + signal.SIGINT  # what was saved before stays
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


def check_same_network(config: RunConfig, told: dict[str, Any]) -> None:
    """Raises UsageError where the run has begun with another one."""
    for key, now, before in (
        ("arch", config.model.arch, told["arch"]),
        ("blurpool", config.model.blurpool, told.get("blurpool", False)),  # it changes no name and no shape
    ):
        if now != before:
            raise UsageError(
                f"model.{key}={now!r}, and {config.out} was begun with {before!r}: give that, or another run folder by "
                "--out."
            )


def check_same_checkpoint(world: World, told: dict[str, Any] | None, run: str) -> None:
    """Nobody goes on, and nobody writes, before all ranks have read the same one."""
    steps = world.gather(told["step"] if told is not None else None)
    if len(set(steps)) > 1:
        raise TarnError(
            f"ranks found different newest checkpoints in {run} (steps {steps}): all hosts must see the "
            "run folder, put it on a shared file system."
        )


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
