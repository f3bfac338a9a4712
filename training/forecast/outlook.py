"""python -m tarn.training fit --dry-run: the recipe as it would be trained, its schedule as a plot, and its cost."""

from collections.abc import Iterator

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import MissingManifestError, read_manifest
from tarn.training.coercion import to_yaml
from tarn.training.forecast.absent import known_of, note, served
from tarn.training.forecast.assumptions import Assumptions
from tarn.training.forecast.curve import schedule
from tarn.training.forecast.duration import Epoch, lines
from tarn.training.forecast.pace import pace_of
from tarn.training.forecast.planning import plan_of, plan_text
from tarn.training.run.building import buildable
from tarn.training.run.changes import growth_note
from tarn.training.run.config import RunConfig


def outlook(config: RunConfig, told: Assumptions) -> Iterator[str]:
    """Its parts, as soon as they are known. Nothing is written. Data that are not there yet are assumed, where their
    name tells which they are. Raises what buildable and plan_text raise."""
    yield to_yaml(config).rstrip()
    if (growing := growth_note(config)) is not None:
        yield f"Warning: {growing}"
    try:
        manifest = read_manifest(config.data.shards, config.data.storage_options)
    except MissingManifestError as error:
        known = known_of(config.data.shards)
        yield note(config, error, known)
        if known is None:
            yield schedule(config.optim, None)
            return
        model = buildable(config, known.classes, None)
        pictures, steps = served(known, config)
        if not steps:
            raise UsageError(
                f"optim.global_batch={config.optim.global_batch} is more than the pictures of {known.name}: choose a "
                "smaller one."
            ) from error
        yield schedule(config.optim, steps)
        yield "\n".join(lines(config, Epoch(pictures, steps), told, pace_of(config, model, told)))
        return
    model = buildable(config, len(manifest.classes), manifest)
    yield schedule(config.optim, plan_of(config, ranks=1)[1].steps)
    yield plan_text(config, told, model)
