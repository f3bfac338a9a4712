"""The end of a run: the report of the chosen weights, made once for their very checkpoint."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest
from tarn.training.evaluation.evaluate import write_report
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.run.building import loader_of, validated_split
from tarn.training.run.chosen import Chosen, choose, model_of
from tarn.training.run.interruption import Interruption
from tarn.training.run.journal import Journal
from tarn.training.run.saving import main_does, main_finds
from tarn.training.run.trainer import Trainer


def report_once(trainer: Trainer, manifest: Manifest, journal: Journal, stop: Interruption) -> None:
    """evaluation.json and the table per class of the chosen weights, unless they tell of them and this split."""
    run, data, world = Path(trainer.config.out), trainer.config.data, trainer.world
    if trainer.val_loader is None:
        return
    chosen = main_finds(world, lambda: choose(trainer, journal.say))
    split, fingerprint = data.holdout.name if data.holdout else data.val_split, trainer.val_loader.state.fingerprint
    context: dict[str, object] = {
        "step": chosen.marker["step"],
        "split": split,
        "fingerprint": fingerprint,
        "checkpoint": chosen.marker.get("sha256"),
        "export": chosen.kind,
    }
    if trainer.config.eval_flip:
        context["flip"] = True
    seen = context | {"flip": trainer.config.eval_flip}
    if not world.any(world.is_main and not tells(run / "evaluation.json", seen)):
        return
    model = model_of(chosen, trainer)
    see_as(chosen, trainer, manifest)
    score = trainer.scores.get(model) or trainer.validate(journal, stop.leave_if_any_asked, model)

    def write() -> None:
        try:
            path = write_report(run, score, manifest.classes, context)
        except OSError as error:
            raise TarnError(f"the report in {run} cannot be written ({error}): make room and run again.") from error
        journal.say(
            f"Evaluated{chosen.words}: top-1 {score.top1:.2%}, top-5 {score.top5:.2%}, loss {score.loss:.4f} "
            f"over {score.samples} pictures, each once: {path}."
        )

    main_does(world, write)


def see_as(chosen: Chosen, trainer: Trainer, manifest: Manifest) -> None:
    """Pictures are scored as the exported model will see them: as they were when its checkpoint was validated."""
    loader, told = trainer.val_loader, chosen.marker.get("view")
    if loader is None or told is None:
        return
    crop = Preprocessing.from_dict(told, str(chosen.path))
    if crop == loader.plan.preprocessing:
        return
    plan = replace(loader.plan, preprocessing=crop, image_size=crop.crop)
    split = validated_split(trainer.config.data)
    trainer.scores, trainer.val_loader = {}, loader_of(plan, manifest, split, trainer.config, trainer.world)
    loader.close()


def tells(path: Path, wanted: dict[str, Any]) -> bool:
    """Whether a JSON file says all that is wanted; one that does not say of which weights it is is of the last, and
    where it speaks of no mirror images there were none."""
    try:
        told = {"export": "last", "flip": False} | json.loads(path.read_text("utf-8"))
        return all(value is not None and told.get(name) == value for name, value in wanted.items())
    except (OSError, ValueError, AttributeError):
        return False
