"""Where a run stands in its stream: a few integers, counted where batches are consumed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from tarn.sharding.errors import TarnError

FORMAT = 1
NO_OTHERS: Mapping[str, str] = {}
SINCE = {"repeats": 1}  # what earlier states do not name
REMEDY = {  # where no setting of that name is there to be given
    "fingerprint": "give the dataset and split that it was trained on",
    "format": "use the version of Tarn that wrote it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """The batches to come depend on these and on nothing else: neither on ranks nor on workers."""

    fingerprint: str
    seed: int
    global_batch: int
    lanes: int
    active_shards: int
    repeats: int = 1
    epoch: int = 0
    samples: int = 0
    format: int = FORMAT

    def advanced(self, samples: int) -> "StreamState":
        return replace(self, samples=self.samples + samples)

    def next_epoch(self) -> "StreamState":
        return replace(self, epoch=self.epoch + 1, samples=0)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def restored(
        self, told: dict[str, object], settings: Mapping[str, str] = NO_OTHERS, otherwise: str = "start anew"
    ) -> "StreamState":
        """The position told by a checkpoint, if it belongs to this stream.

        settings: what is called otherwise where the stream's settings are given; otherwise: what else may be done.
        Raises TarnError that names both values where data, seed, batch or order differ.
        """
        mine, told = self.to_dict(), {**SINCE, **told}
        for name in ("format", "fingerprint", "seed", "global_batch", "lanes", "active_shards", "repeats"):
            if told.get(name) != mine[name]:
                key = settings.get(name, name)
                raise TarnError(
                    f"the checkpoint's stream has {key}={told.get(name)!r}, this run has {mine[name]!r}: "
                    f"{REMEDY.get(name, f'give {key}={told.get(name)!r}')} to go on with it, or {otherwise}."
                )
        return replace(self, epoch=int(str(told["epoch"])), samples=int(str(told["samples"])))
