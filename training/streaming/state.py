"""Where a run stands in its stream: a few integers, counted where batches are consumed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

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
    parts: "PartsState | None" = None  # of a stream of several datasets

    def advanced(self, samples: int) -> "StreamState":
        return replace(self, samples=self.samples + samples)

    def next_epoch(self) -> "StreamState":
        return replace(self, epoch=self.epoch + 1, samples=0)

    def to_dict(self) -> dict[str, object]:
        told = {name: value for name, value in asdict(self).items() if name != "parts"}
        return told if self.parts is None else {**told, "parts": self.parts.to_dict()}

    def restored(
        self, told: dict[str, object], settings: Mapping[str, str] = NO_OTHERS, otherwise: str = "start anew"
    ) -> "StreamState":
        """The position told by a checkpoint, if it belongs to this stream.

        settings: what is called otherwise where the stream's settings are given; otherwise: what else may be done.
        Raises TarnError that names both values where data, seed, batch or order differ.
        """
        mine, told = self.to_dict(), {**SINCE, **told}
        self.compare_parts(told.get("parts"), otherwise)
        for name in ("format", "fingerprint", "seed", "global_batch", "lanes", "active_shards", "repeats"):
            if told.get(name) != mine[name]:
                key = settings.get(name, name)
                raise TarnError(
                    f"the checkpoint's stream has {key}={told.get(name)!r}, this run has {mine[name]!r}: "
                    f"{REMEDY.get(name, f'give {key}={told.get(name)!r}')} to go on with it, or {otherwise}."
                )
        return replace(self, epoch=whole("epoch", told.get("epoch")), samples=whole("samples", told.get("samples")))

    def compare_parts(self, told: object, otherwise: str) -> None:
        """Raises TarnError, naming the part, where a checkpoint's stream was put together otherwise."""
        if told is not None and not (isinstance(told, Mapping) and isinstance(told.get("fingerprints"), list | tuple)):
            raise TarnError(f"the checkpoint's stream has parts={told!r}, which are none: it is damaged, {otherwise}.")
        theirs = list(told["fingerprints"]) if isinstance(told, Mapping) else []
        mine = list(self.parts.fingerprints) if self.parts is not None else []
        if len(theirs) != len(mine):
            raise TarnError(
                f"the checkpoint's stream has {parts_in_words(len(theirs))}, this run has "
                f"{parts_in_words(len(mine))}: give those that it was trained on to go on with it, or {otherwise}."
            )
        if self.parts is None or not isinstance(told, Mapping):
            return
        for number, (name, was, now) in enumerate(zip(self.parts.names, theirs, mine, strict=True), 1):
            if was != now:
                raise TarnError(
                    f"part {number} ({name}) has fingerprint={now!r}, the checkpoint's stream has {was!r} there: give "
                    f"the dataset, split and choice of samples that it was trained on to go on with it, or {otherwise}."
                )
        ours = self.parts.to_dict()
        for key in ("weights", "epoch_samples"):
            if told.get(key) != ours[key]:
                raise TarnError(
                    f"the checkpoint's stream has {key}={told.get(key)!r}, this run has {ours[key]!r}: give the parts "
                    f"their earlier shares, and epoch_samples as it was, to go on with it, or {otherwise}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsState:
    """Of a stream of several datasets, in their order. weights: whole numbers without a shared divisor. epoch_samples:
    samples of an epoch. names: for whom an error is told to; a dataset may be moved."""

    fingerprints: tuple[str, ...]
    weights: tuple[int, ...]
    epoch_samples: int
    names: tuple[str, ...] = field(compare=False)

    def to_dict(self) -> dict[str, object]:
        return {
            "fingerprints": list(self.fingerprints),
            "weights": list(self.weights),
            "epoch_samples": self.epoch_samples,
        }


def whole(name: str, told: object) -> int:
    """Raises TarnError for what is no number of epochs or samples."""
    try:
        number = int(str(told))
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise TarnError(
            f"the checkpoint's stream has {name}={told!r}, expected a whole number of at least 0: it is damaged, take "
            "an earlier one."
        )
    return number


def parts_in_words(count: int) -> str:
    return f"{count} parts" if count else "a single dataset"
