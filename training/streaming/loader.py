"""Batches of tar shards, for any trainer: exact, elastic, resumable.

loader = ShardLoader("s3://bucket/imagenet", global_batch=1024, image_size=224)
for epoch in range(loader.epoch, 90):
    loader.set_epoch(epoch)
    for batch in loader:
        ...                                  # batch.images: uint8, B x H x W x 3; batch.labels: int64, B
        state = loader.state_dict()          # a few plain values, for the checkpoint
"""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tarn.sharding.errors import UsageError
from tarn.sharding.sizes import parse_size
from tarn.training.pixels.fidelity import check_decode
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.bad_samples import BadSamplesConfig
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.config import DeliveryConfig, OrderConfig, PictureConfig, check_kind, check_number
from tarn.training.streaming.contents import check_labels, checked_content, checked_size
from tarn.training.streaming.part import Part, parts_of
from tarn.training.streaming.parts.opened import open_parts
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.group import check_against_group, ranks_of
from tarn.training.world.ranks import Ranks

if TYPE_CHECKING:
    from tarn.training.streaming.fields.field import Field

PARTS: dict[str, type] = {
    "order": OrderConfig,
    "pictures": PictureConfig,
    "access": AccessConfig,
    "bad_samples": BadSamplesConfig,
    "delivery": DeliveryConfig,
}


class ShardLoader(PlannedLoader):
    """One rank's batches of a packed dataset, made ahead of time by worker processes that outlive epochs.

    url: a folder, file://, s3://, gs://, az://, http(s)://; a Part of it; or a list of several (part.py, blend.py), of
    which an evaluation shows one behind the other. global_batch: over all ranks; this rank's batches hold its
    share. train: shuffled, cropped and flipped at random, the last partial global batch left out (drop_last); else
    in the manifest's order, resized and centre-cropped, nothing left out. rank, world_size: by default those of the
    process group, or of the launcher (torchrun, Slurm, MPI). num_workers: auto (this rank's part of the host's cores),
    or a number, 0 for none. keys: batches tell their samples' keys. micro_batch: the most samples of a batch, where a
    rank's share is to come in several. image_size: px of the side, or height and width; of pictures that come whole
    (Augmentation(crop="none")) the most pixels, as height and width. fields: what batches hold beside pictures, by name
    (docs/samples.md); the class's number, `labels`, where none are told. picture_hook, batch_hook: import paths of
    augmentation of one's own (workers/hooks.py). order, pictures, delivery: see config.py; access: access.py;
    bad_samples: bad_samples.py, and bad_sample_ledger: a file of this rank for their names. Where iterating begins:
    iteration.py.

    Batches depend on (data, seed, epoch, global_batch, order, pictures) and, but for rounding of pixels by decode=cuda,
    on nothing else. Raises UsageError for settings that do not fit together, TarnError for data that cannot be read.
    """

    def __init__(
        self,
        url: str | PathLike[str] | Part | Sequence[Part | str | PathLike[str]],
        split: str = "train",
        global_batch: int = 256,
        seed: int = 0,
        image_size: int | tuple[int, int] = 224,
        train: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
        num_workers: int | str = "auto",
        keys: bool = False,
        *,
        fields: "Mapping[str, str | Field] | None" = None,
        picture_hook: str | None = None,
        batch_hook: str | None = None,
        drop_last: bool | None = None,
        micro_batch: int | None = None,
        order: OrderConfig = OrderConfig(),
        pictures: PictureConfig = PictureConfig(),
        access: AccessConfig = AccessConfig(),
        bad_samples: BadSamplesConfig = BadSamplesConfig(),
        bad_sample_ledger: str | Path | None = None,
        delivery: DeliveryConfig = DeliveryConfig(),
    ) -> None:
        parts = parts_of(url)
        check_numbers(seed, global_batch, micro_batch)
        size = checked_size(image_size)
        check_parts(order=order, pictures=pictures, access=access, bad_samples=bad_samples, delivery=delivery)
        check_decode(delivery.decode, pictures.fidelity, "decode")
        content = checked_content(fields, picture_hook, batch_hook, size, pictures, delivery)
        self.ranks_told = rank is not None
        ranks = ranks_of(rank, world_size)
        crew = start_crew(worker_count(num_workers, ranks))
        try:
            found = open_parts(parts, split, access, order, train, int(seed), int(global_batch))
            check_labels(content, parts, found.manifests, split)
            plan = StreamPlan(
                **found.data,
                seed=int(seed),
                global_batch=int(global_batch),
                ranks=ranks,
                part_size=int(micro_batch or global_batch),
                drop_last=found.blended or (train if drop_last is None else drop_last),
                bad_samples=bad_samples,
                keys=keys,
                content=content,
                **planned_settings(order, pictures, delivery, size, train),
            )
            device = torch.device(delivery.device) if delivery.device is not None else None
            super().__init__(
                plan,
                found.manifests[0],
                found.split,
                crew,
                pin_memory=delivery.pin_memory,
                device=device,
                ledger=Path(bad_sample_ledger) if bad_sample_ledger else None,
                start=found.start,
                batch_hook=batch_hook,
                pad_to=pictures.pad_to,
            )
            self.classes, self.manifests = found.classes, found.manifests
            self.warnings += found.notes
        except BaseException:
            crew.close()
            raise

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Raises TarnError where a process group says another rank than this loader was made for."""
        if not self.ranks_told:
            check_against_group(self.plan.ranks)
        return super().batches(epoch, first_step)


def check_numbers(seed: int, global_batch: int, micro_batch: int | None) -> None:
    """Raises UsageError naming the setting."""
    check_number(seed, "seed", -(2**63))
    check_number(global_batch, "global_batch", 1)
    check_number(1 if micro_batch is None else micro_batch, "micro_batch", 1)


def planned_settings(
    order: OrderConfig, pictures: PictureConfig, delivery: DeliveryConfig, size: Size, train: bool
) -> dict[str, Any]:
    """What a StreamPlan is told of the order, of pictures and of how they are decoded. size: height and width."""
    return {
        "lanes": order.lanes,
        "active_shards": order.active_shards,
        "repeats": order.repeats if train else 1,
        "image_size": size[0],
        "preprocessing": pictures.preprocessing(size[0]),
        "augmentation": pictures.augment if train else None,
        "growth": pictures.growth(size[0]) if train else None,
        "fidelity": pictures.fidelity,
        "prefetch": parse_size(str(delivery.prefetch), "prefetch"),
        "decode": delivery.decode,
    }


def check_parts(**parts: object) -> None:
    """Raises UsageError for whatever was given in place of a part of the settings."""
    for name, part in parts.items():
        check_kind(part, PARTS[name], name)


def worker_count(told: int | str, ranks: Ranks) -> int:
    if told == "auto":
        return ranks.cores()
    if not isinstance(told, int) or told < 0:
        raise UsageError(f"num_workers={told!r} must be auto or a number of at least 0.")
    return told
