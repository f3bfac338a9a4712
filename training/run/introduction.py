"""What a run says of itself before it begins."""

from typing import Any

from tarn.sharding.format.manifest import Manifest
from tarn.sharding.sizes import counted
from tarn.training.run.changes import growth_note, rate_jump, warm_up_note
from tarn.training.run.journal import Journal
from tarn.training.run.saving import Keeper
from tarn.training.run.trainer import Trainer

NAMED = 3  # classes, in a sentence


def introduce(
    trainer: Trainer, manifest: Manifest, journal: Journal, told: dict[str, Any] | None, keeper: Keeper
) -> None:
    config, world, plan = trainer.config, trainer.world, trainer.train_loader.plan
    precision = str(trainer.learner.dtype).removeprefix("torch.") if trainer.learner.dtype else "float32"
    val = trainer.val_loader.plan.samples if trainer.val_loader else "none"
    growth = config.data.growth
    size = growth.in_words(config.optim.epochs) if growth else f"{config.data.image_size} px"
    shown = f"{plan.samples} of {plan.sizes.sum()} training pictures an epoch"
    if plan.blend is not None:
        shown = f"{plan.samples} pictures an epoch of {len(plan.blend.weights)} parts that have {plan.sizes.sum()}"
    if plan.repeats > 1:
        shown = f"{plan.samples} crops an epoch ({plan.repeats} of a picture) from {plan.sizes.sum()} training pictures"
    journal.say(f"{config.model.arch}, {len(manifest.classes)} classes, {shown} at {size}, {val} for validation.")
    if (unseen := unvalidated(trainer, manifest)) is not None:
        journal.say(unseen)
    if trainer.learner.problem is not None:
        journal.say(f"Warning: {trainer.learner.problem}")
    if trainer.val_loader is None:
        journal.say(
            f"The dataset has no split but {config.data.train_split!r}: trained without validation "
            "(data.val_fraction=0.1 would hold a tenth of it out)."
        )
    journal.say(
        f"{world.size} x {world.device.type}, {precision}, global batch {config.optim.global_batch} "
        f"in parts of at most {min(len(plan.share), plan.part_size)}, "
        f"{counted(trainer.steps_per_epoch, 'step')} an epoch, {counted(config.optim.epochs, 'epoch')}, "
        f"run folder {config.out}."
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
    notes = [growth_note(config), warm_up_note(config.optim, steps, trainer.last_step)]
    notes += [rate_jump(told["config"], config.optim, trainer.step, steps)] if told and not keeper.is_pending else []
    for note in filter(None, notes):
        journal.say(note)


def unvalidated(trainer: Trainer, manifest: Manifest) -> str | None:
    """One sentence where a class has no picture among those that are held out."""
    subset = trainer.val_loader.plan.subset if trainer.val_loader else None
    if subset is None:
        return None
    names = [info.name for label, info in enumerate(manifest.classes) if label not in subset.labels]
    if not names:
        return None
    some = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return (
        f"Warning: no picture is held out of {len(names)} of {len(manifest.classes)} classes ({some}): "
        f"data.val_fraction={trainer.config.data.val_fraction} draws by picture, not by class; a larger "
        "one reaches more."
    )
