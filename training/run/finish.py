"""The end of a run: the report and the export of its last checkpoint, each made once for that very checkpoint."""

import json
from pathlib import Path
from typing import Any

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest
from tarn.sharding.storage.local import write_whole
from tarn.training.evaluation.evaluate import write_report
from tarn.training.run import checkpoint
from tarn.training.run.interruption import Interruption
from tarn.training.run.journal import Journal
from tarn.training.run.saving import main_does
from tarn.training.run.snapshot import export_checkpoint
from tarn.training.run.trainer import Trainer


def report_once(trainer: Trainer, manifest: Manifest, journal: Journal, stop: Interruption) -> None:
    """evaluation.json and the table per class of the final weights, unless they tell of this checkpoint and split."""
    run, split, world = Path(trainer.config.out), trainer.config.data.val_split, trainer.world
    if trainer.val_loader is None:
        return
    context: dict[str, object] = {"step": trainer.step, "split": split, "fingerprint": manifest.fingerprint(split)}
    if trainer.config.eval_flip:
        context["flip"] = True
    if world.is_main:
        context["checkpoint"] = last_marker(trainer).get("sha256")
    if not world.any(world.is_main and not tells(run / "evaluation.json", context)):
        return
    score = trainer.last_score or trainer.validate(journal, stop.leave_if_any_asked)

    def write() -> None:
        try:
            path = write_report(run, score, manifest.classes, context)
        except OSError as error:
            raise TarnError(f"the report in {run} cannot be written ({error}): make room and run again.") from error
        journal.say(
            f"Evaluated: top-1 {score.top1:.2%}, top-5 {score.top5:.2%}, loss {score.loss:.4f} "
            f"over {score.samples} pictures, each once: {path}."
        )

    main_does(world, write)


def export_once(trainer: Trainer, journal: Journal, stop: Interruption) -> None:
    """model.pt and model.pkl of the last checkpoint, unless exported.json tells that they are just that."""
    run, marker = Path(trainer.config.out), last_marker(trainer)
    names, told = ("model.pt", "model.pkl"), run / "exported.json"
    belongs = {"checkpoint": marker["path"].name, "sha256": marker.get("sha256")}
    if tells(told, belongs) and all(tells(told, {name: digest(run / name)}) for name in names):
        journal.say(f"Exported before: {run / names[0]} and {run / names[1]}.")
        return
    journal.say("Exporting: the files are loaded back and compared before they are published.")
    try:
        told.unlink(missing_ok=True)  # two files cannot be replaced at once: until both are, none is told of
        paths = export_checkpoint(marker["path"], run, stop.leave_if_asked)
        exported = belongs | {name: digest(run / name) for name in names}
        write_whole(told, json.dumps(exported) + "\n")
    except OSError as error:
        raise TarnError(f"{run} cannot receive the export ({error}): make room or check permissions.") from error
    journal.say(f"Exported, loaded back and compared: {paths[0]} and {paths[1]}.")


def last_marker(trainer: Trainer) -> dict[str, Any]:
    """Of the checkpoint of the step where the trainer stands."""
    found = checkpoint.markers(Path(trainer.config.out, "checkpoints"))
    marker = next((marker for marker in found if marker["step"] == trainer.step), None)
    if marker is None:
        raise TarnError(f"the checkpoint of step {trainer.step} is gone from {trainer.config.out}: run again.")
    return marker


def tells(path: Path, wanted: dict[str, Any]) -> bool:
    """Whether a JSON file says all that is wanted."""
    try:
        told = json.loads(path.read_text("utf-8"))
        return all(value is not None and told.get(name) == value for name, value in wanted.items())
    except (OSError, ValueError, AttributeError):
        return False


def digest(path: Path) -> str | None:
    try:
        return checkpoint.sha256(path)
    except OSError:
        return None
