"""Ray Train: the stream's state lies in the checkpoint that a training loop reports."""

import json
from pathlib import Path
from typing import Any

from ray import train

from tarn.sharding.storage.local import write_whole
from tarn.training.streaming.iteration import EpochIteration

NAME = "stream.json"  # in the checkpoint's folder, beside what the loop writes


def go_on(loader: EpochIteration) -> train.Checkpoint | None:
    """Puts a loader behind the last batch of the checkpoint that this worker is to go on from, which it returns."""
    checkpoint: train.Checkpoint | None = train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            loader.load_state_dict(json.loads((Path(folder) / NAME).read_text()))
    return checkpoint


def report(metrics: dict[str, Any], loader: EpochIteration, folder: Path | None = None) -> None:
    """train.report() of every worker, with a checkpoint of the folder that rank 0 wrote; others give none.

    The state is that of any rank: the workers that go on may be more or fewer.
    """
    if folder is None:
        train.report(metrics)
        return
    write_whole(folder / NAME, json.dumps(loader.state_dict()))
    train.report(metrics, checkpoint=train.Checkpoint.from_directory(str(folder)))
