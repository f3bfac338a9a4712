"""A whole run: put together, resume, train, keep checkpoints, export."""

import json
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.storage.local import write_whole
from tarn.training.coercion import to_yaml
from tarn.training.evaluation.evaluate import write_report
from tarn.training.model.resnet import build_model
from tarn.training.run import checkpoint
from tarn.training.run.config import RunConfig
from tarn.training.run.interruption import Interruption
from tarn.training.run.journal import Journal
from tarn.training.run.snapshot import export_checkpoint
from tarn.training.run.trace import Trace
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.plan import eval_plan, train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.world import World, joined_world


def fit(config: RunConfig) -> int:
    """Trains until the last epoch, going on from the newest checkpoint. Returns the exit code: 0, or 128 + the signal
    that ended the run before."""
    with joined_world(config.device) as world:
        manifest = read_manifest(config.data.shards, config.data.storage_options)
        told, complaints = checkpoint.newest(Path(config.out, "checkpoints"))
        check_same_checkpoint(world, told, config.out)
        trainer = build_trainer(config, world, manifest)
        if told is not None:
            trainer.load_state_dict(told["trainer"])
        if config.journal.keys:
            trainer.trace = Trace(Path(config.out, "keys"), world, trainer.step)
        with Journal(Path(config.out), config.journal, world.is_main, trainer.step) as journal, Interruption() as stop:
            for complaint in complaints:
                journal.say(complaint)
            introduce(trainer, manifest, journal, resumed=told is not None)
            if world.is_main:
                keep_config(config, journal)
            finished = run(trainer, manifest, journal, stop)
            if finished:
                report_once(trainer, manifest, journal)
                if world.is_main:
                    export_once(config, journal)
        world.barrier()
    return 0 if finished else 128 + (stop.asked or signal.SIGTERM)


def check_same_checkpoint(world: World, told: dict[str, Any] | None, run: str) -> None:
    """Nobody goes on, and nobody writes, before all ranks have read the same one."""
    steps = world.gather(told["step"] if told is not None else None)
    if len(set(steps)) > 1:
        raise TarnError(
            f"ranks found different newest checkpoints in {run} (steps {steps}): all hosts must see the "
            "run folder, put it on a shared file system."
        )


def build_trainer(config: RunConfig, world: World, manifest: Manifest) -> Trainer:
    data, optim = config.data, config.optim
    train = train_plan(data, manifest, world, config.seed, optim.global_batch, optim.micro_batch, config.journal.keys)
    val = eval_plan(data.shards, manifest, data.val_split, data.preprocessing, world, config.eval_batch, train.access)
    model = build_model(
        config.model.arch,
        len(manifest.classes),
        config.model.small_stem,
        config.model.zero_init_last_gamma,
        seed=config.seed,
    )
    workers, pin = worker_count(data, world), world.device.type == "cuda"
    loader_of = partial(PlannedLoader, pin_memory=pin, device=world.device if pin else None)
    return Trainer(
        config,
        world,
        model,
        loader_of(train, manifest, data.train_split, start_crew(workers), ledger=ledger_path(config, world)),
        loader_of(val, manifest, data.val_split, start_crew(workers)),
    )


def worker_count(data: DataConfig, world: World) -> int:
    """One decoding process where the CPU trains too, else one a core."""
    if data.workers is not None:
        return data.workers
    return 1 if world.device.type == "cpu" else world.cores()


def ledger_path(config: RunConfig, world: World) -> Path:
    return Path(config.out, "bad-samples", f"rank-{world.rank}.jsonl")


def run(trainer: Trainer, manifest: Manifest, journal: Journal, stop: Interruption) -> bool:
    """Epoch by epoch to the last step. Returns False where a signal asked to leave; all is saved then."""
    config, world = trainer.config, trainer.world
    if trainer.step < trainer.last_step:
        journal.table_head()
    while trainer.step < trainer.last_step:
        for _ in trainer.steps(journal):
            if world.any(stop.asked is not None):
                journal.end_bar()
                save(trainer, manifest, journal)
                journal.say(f"Asked to stop: saved after step {trainer.step}. Run the same command again to go on.")
                return False
            every = config.checkpoint.every_steps
            inside = trainer.stream.samples < trainer.train_loader.plan.samples
            if every and trainer.step % every == 0 and inside and trainer.step < trainer.last_step:
                save(trainer, manifest, journal)
        figures = trainer.end_epoch(journal)
        save(trainer, manifest, journal, figures)
    return True


def save(trainer: Trainer, manifest: Manifest, journal: Journal, figures: dict[str, float] | None = None) -> None:
    """Rank 0 writes, all ranks wait: a rank that died in between would otherwise train on beside a lost checkpoint."""
    started = time.perf_counter()
    trainer.log(journal)  # so that the figures of steps since the last line are in the checkpoint
    state = trainer.state_dict()
    problem = None
    if trainer.world.is_main:
        folder = Path(trainer.config.out, "checkpoints")
        payload = {"trainer": state, **describe(trainer, manifest, figures)}
        told = {"epoch": trainer.stream.epoch, "top1": figures["val_top1"] if figures else None}
        try:
            checkpoint.save(folder, trainer.step, payload, told)
            checkpoint.retain(folder, trainer.config.checkpoint.keep_last)
        except TarnError as error:
            problem = error
    if trainer.world.any(problem is not None):
        raise problem or TarnError("rank 0 could not write the checkpoint.")
    journal.record("checkpoint", trainer.step, {"seconds": time.perf_counter() - started})


def describe(trainer: Trainer, manifest: Manifest, figures: dict[str, float] | None) -> dict[str, Any]:
    """What an export needs besides the weights."""
    config = trainer.config
    return {
        "config": to_yaml(config),
        "arch": config.model.arch,
        "small_stem": config.model.small_stem,
        "classes": [[info.wnid, info.name] for info in manifest.classes],
        "preprocessing": config.data.preprocessing.to_dict(),
        "metrics": figures or {},
        "fingerprint": trainer.stream.fingerprint,
    }


def introduce(trainer: Trainer, manifest: Manifest, journal: Journal, resumed: bool) -> None:
    config, world, plan = trainer.config, trainer.world, trainer.train_loader.plan
    precision = str(trainer.dtype).removeprefix("torch.") if trainer.dtype else "float32"
    journal.say(
        f"{config.model.arch}, {len(manifest.classes)} classes, {plan.samples} of "
        f"{manifest.split(config.data.train_split).samples} training pictures an epoch at {config.data.image_size} px, "
        f"{trainer.val_loader.plan.samples} for validation."
    )
    journal.say(
        f"{world.size} x {world.device.type}, {precision}, global batch {config.optim.global_batch} "
        f"in parts of at most {min(len(plan.share), plan.part_size)}, {trainer.steps_per_epoch} steps an epoch, "
        f"{config.optim.epochs} epochs, run folder {config.out}."
    )
    if trainer.step >= trainer.last_step:
        journal.say(f"The run is complete: {trainer.step} steps are done. Raise optim.epochs or choose another run.")
    elif resumed:
        done = trainer.stream.samples // config.optim.global_batch
        journal.say(f"Going on after step {trainer.step}: epoch {trainer.stream.epoch}, {done} of its steps done.")


def keep_config(config: RunConfig, journal: Journal) -> None:
    """config.yaml, the merged configuration; what changed since an earlier start of the run is told."""
    path, text = Path(config.out, "config.yaml"), to_yaml(config)
    if path.exists() and path.read_text("utf-8") != text:
        before, now = path.read_text("utf-8").splitlines(), text.splitlines()
        changed = [line.strip() for line in now if line not in before]
        journal.say(f"The configuration changed since this run was last started: now {'; '.join(changed)}.")
    write_whole(path, text)


def report_once(trainer: Trainer, manifest: Manifest, journal: Journal) -> None:
    """evaluation.json and the table per class of the final weights, unless they were written for this very step."""
    run, split = Path(trainer.config.out), trainer.config.data.val_split
    context = {"step": trainer.step, "split": split, "fingerprint": manifest.fingerprint(split)}
    if not trainer.world.any(trainer.world.is_main and not is_reported(run / "evaluation.json", trainer.step)):
        return
    score = trainer.last_score or trainer.validate(journal)
    if trainer.world.is_main:
        path = write_report(run, score, manifest.classes, context)
        journal.say(
            f"Evaluated: top-1 {score.top1:.2%}, top-5 {score.top5:.2%}, loss {score.loss:.4f} "
            f"over {score.samples} pictures, each once: {path}."
        )


def is_reported(path: Path, step: int) -> bool:
    try:
        return bool(json.loads(path.read_text("utf-8")).get("step") == step)
    except (OSError, ValueError, AttributeError):
        return False


def export_once(config: RunConfig, journal: Journal) -> None:
    """model.pt and model.pkl of the last checkpoint, unless they are there already."""
    newest = checkpoint.markers(Path(config.out, "checkpoints"))[-1]["path"]
    marker, run = Path(config.out, "exported.json"), Path(config.out)
    if marker.exists() and marker.read_text("utf-8").strip() == newest.name and (run / "model.pt").exists():
        journal.say(f"Exported before: {run / 'model.pt'} and {run / 'model.pkl'}.")
        return
    paths = export_checkpoint(newest, run)
    write_whole(marker, newest.name + "\n")
    journal.say(f"Exported, loaded back and compared: {paths[0]} and {paths[1]}.")
