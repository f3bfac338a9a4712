"""The end of a run: the export of the chosen weights, made once for their very checkpoint."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.local import write_whole
from tarn.sharding.storage.told import Store
from tarn.sharding.storage.told import told as heard
from tarn.training.export.artifact import Artifact
from tarn.training.export.formats import DEFAULT, Format
from tarn.training.export.trial import SCORED, Trial, noise, trial_of
from tarn.training.export.verdict import Verdict
from tarn.training.run import checkpoint
from tarn.training.run.chosen import choose
from tarn.training.run.config import RunConfig
from tarn.training.run.finish import tells
from tarn.training.run.interruption import Interruption
from tarn.training.run.journal import Journal
from tarn.training.run.snapshot import export_checkpoint
from tarn.training.run.trainer import Trainer


def export_once(trainer: Trainer, journal: Journal, stop: Interruption) -> None:
    """The chosen weights in config.export_formats, unless exported.json tells that the files are just that."""
    config, run, chosen = trainer.config, Path(trainer.config.out), choose(trainer, journal.say)
    told, formats = run / "exported.json", config.formats
    belongs = {"checkpoint": chosen.path.name, "sha256": chosen.marker.get("sha256"), "export": chosen.kind}
    names = [format.file for format in formats]
    if tells(told, belongs) and all(tells(told, {name: digest(run / name)}) for name in names):
        journal.say(f"Exported before: {listed(run / name for name in names)}.")
        return
    journal.say("Exporting: the files are loaded back and compared before they are published.")
    exact = tuple(format for format in formats if not format.is_scored)
    lossy = tuple(format for format in formats if format.is_scored)
    paths: list[Path] = []

    def export(some: tuple[Format, ...], trial: Callable[[Artifact], Trial] = noise) -> None:
        paths.extend(
            export_checkpoint(
                chosen.path, run, stop.leave_if_asked, chosen.is_averaged, some, trial, partial(tell_of, journal)
            )
        )
        write_whole(told, json.dumps(belongs | {path.name: digest(path) for path in paths}) + "\n")

    try:
        told.unlink(missing_ok=True)  # two files cannot be replaced at once: until all are, none is told of
        if exact:
            export(exact)
        if lossy:
            export_lossy(lambda: export(lossy, partial(pictures_of, config, stop)), paths)
    except OSError as error:
        raise TarnError(f"{run} cannot receive the export ({error}): make room or check permissions.") from error
    journal.say(f"Exported{chosen.words}, loaded back and compared: {listed(paths)}.")


def export_lossy(export: Callable[[], None], paths: Sequence[Path]) -> None:
    """After the others: what fails here takes nothing from them."""
    try:
        export()
    except TarnError as error:
        others = f"{listed(paths)} {'stay' if len(paths) > 1 else 'stays'}; " if paths else ""
        raise TarnError(f"{error} {others}run again without it in export_formats.") from error


def pictures_of(config: RunConfig, stop: Interruption, artifact: Artifact) -> Trial:
    """For formats of fewer bits."""
    data = config.data
    with heard(Store(options=data.storage_options, client=data.client, deadline=data.deadline)):
        return trial_of(artifact, data.shards, data.val_split, SCORED, stop.leave_if_asked)


def tell_of(journal: Journal, verdict: Verdict) -> None:
    """Of what everybody expects, nothing."""
    if verdict.file not in (format.file for format in DEFAULT):
        journal.say(f"{verdict}.")


def listed(paths: Iterable[Path]) -> str:
    """a, b and c."""
    *most, last = map(str, paths)
    return f"{', '.join(most)} and {last}" if most else last


def digest(path: Path) -> str | None:
    try:
        return checkpoint.sha256(path)
    except OSError:
        return None
