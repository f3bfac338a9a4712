"""Tarn as a contender: the public loader class, workers chosen by itself."""

import itertools
from collections.abc import Iterator

from benchmarks.contender import Task
from tarn.training.streaming import PictureConfig, ShardLoader


def tarn(task: Task, variant: str = "tiled", fidelity: str = "default") -> Iterator[int]:
    loader = ShardLoader(
        f"{task.packed}/{variant}",
        global_batch=task.batch,
        image_size=task.size,
        num_workers="auto",
        pictures=PictureConfig(fidelity=fidelity),
    )
    for epoch in itertools.count():
        loader.set_epoch(epoch)
        for batch in loader:
            yield len(batch.labels)
