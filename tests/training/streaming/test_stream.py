from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.access import Access
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.plan import StreamPlan, eval_plan, start_state, train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.streaming.sources import LocalSource
from tarn.training.world.ranks import Ranks

CROP = Preprocessing(resize=32, crop=32)
Step = list[bytes]


def world(rank: int = 0, size: int = 1) -> Ranks:
    return Ranks(rank, size, rank, size)


def loader_of(plan: StreamPlan, workers: int) -> PlannedLoader:
    return PlannedLoader(plan, read_manifest(plan.root), "train" if plan.train else "val", start_crew(workers))


def plan(shards: Path, at: Ranks, batch: int = 24, micro: int | None = None, lanes: int = 4) -> StreamPlan:
    data = DataConfig(
        shards=str(shards), image_size=16, eval_resize=16, lanes=lanes, active_shards=4, augment=Augmentation()
    )
    return train_plan(data, read_manifest(str(shards)), at, 3, batch, micro)


def steps(loader: PlannedLoader, epoch: int, first: int = 0) -> list[Step]:
    """The samples of each step, as bytes of pixels and label, in their order."""
    found: list[Step] = [[]]
    for batch in loader.batches(epoch, first):
        for image, label in zip(batch.images, batch.labels, strict=True):
            found[-1].append(image.numpy().tobytes() + bytes([int(label)]))
        if batch.last:
            found.append([])
    assert found.pop() == []
    return found


@pytest.mark.parametrize(("ranks", "lanes"), [(2, 4), (3, 4), (4, 4), (5, 1)])
def test_any_number_of_ranks_sees_the_global_batches_of_one_process(shards: Path, ranks: int, lanes: int) -> None:
    alone = steps(loader_of(plan(shards, world(), lanes=lanes), workers=0), epoch=1)
    assert len(alone) == 5
    shares = [steps(loader_of(plan(shards, world(r, ranks), lanes=lanes), 0), epoch=1) for r in range(ranks)]
    for step, whole in enumerate(alone):
        assert Counter(sample for share in shares for sample in share[step]) == Counter(whole)


def test_neither_workers_nor_micro_batches_change_what_a_step_holds(shards: Path) -> None:
    alone = steps(loader_of(plan(shards, world()), workers=0), epoch=0)
    assert steps(loader_of(plan(shards, world(), micro=7), workers=2), epoch=0) == alone


def test_resume_mid_epoch_gives_the_same_batches(shards: Path) -> None:
    loader = loader_of(plan(shards, world()), workers=0)
    whole = steps(loader, epoch=2)
    for first in range(len(whole)):
        assert steps(loader, 2, first) == whole[first:]
    assert steps(loader, epoch=3) != whole


def test_an_abandoned_epoch_does_not_leak_into_the_next(shards: Path) -> None:
    loader = loader_of(plan(shards, world()), workers=2)
    whole = steps(loader, epoch=1)
    next(loader.batches(0))
    assert steps(loader, epoch=1) == whole


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_evaluation_serves_every_picture_exactly_once(shards: Path, ranks: int) -> None:
    manifest = read_manifest(str(shards))
    labels: Counter[int] = Counter()
    for rank in range(ranks):
        loader = loader_of(eval_plan(str(shards), manifest, "val", CROP, world(rank, ranks), 7, Access()), workers=0)
        for batch in loader.batches(0):
            labels.update(batch.labels.tolist())
    assert labels == Counter(dict.fromkeys(range(10), 4))


def test_every_training_picture_comes_once_an_epoch_with_its_own_label(shards: Path) -> None:
    loader = loader_of(plan(shards, world()), workers=0)
    labels = Counter(int(label) for batch in loader.batches(0) for label in batch.labels)
    assert labels == Counter(dict.fromkeys(range(10), 12))


def test_a_batch_that_the_data_cannot_fill_is_refused(shards: Path) -> None:
    with pytest.raises(UsageError, match=r"global_batch=121.*120"):
        plan(shards, world(), batch=121)
    with pytest.raises(UsageError, match=r"global_batch=2.*ranks \(3\)"):
        plan(shards, world(0, 3), batch=2)


def test_a_state_of_another_stream_is_refused_with_both_values(shards: Path) -> None:
    mine = start_state(plan(shards, world()), "abc").advanced(48)
    assert start_state(plan(shards, world()), "abc").restored(mine.to_dict()) == mine
    for name, value in (("fingerprint", "xyz"), ("seed", 4), ("global_batch", 8), ("lanes", 2), ("format", 0)):
        with pytest.raises(TarnError, match=rf"{name}={value!r}.*{mine.to_dict()[name]!r}"):
            mine.restored({**mine.to_dict(), name: value})


def copy(shards: Path, to: Path) -> Path:
    for path in shards.rglob("*.*"):
        (to / path.relative_to(shards)).parent.mkdir(parents=True, exist_ok=True)
        (to / path.relative_to(shards)).write_bytes(path.read_bytes())
    return to


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_named_with_shard_and_key(shards: Path, tmp_path: Path, workers: int) -> None:
    root = copy(shards, tmp_path)
    manifest = read_manifest(str(root))
    source = LocalSource(str(root), str(root), manifest.split("train").shards)
    record, key = source.index(1)[3], source.sample(1, 3).key
    path = root / manifest.split("train").shards[1].name
    raw = bytearray(path.read_bytes())
    raw[int(record["offset"]) : int(record["offset"]) + int(record["size"])] = bytes(int(record["size"]))
    path.write_bytes(raw)
    with pytest.raises(TarnError, match=rf"train-000001\.tar: {key} is not a readable picture") as caught:
        steps(loader_of(plan(root, world()), workers), 0)
    assert "Traceback" not in str(caught.value)


def test_a_shard_cut_short_or_missing_is_named(shards: Path, tmp_path: Path) -> None:
    root = copy(shards, tmp_path)
    path = root / read_manifest(str(root)).split("train").shards[0].name
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TarnError, match=r"train-000000\.tar has 2000 bytes.*cut short"):
        steps(loader_of(plan(root, world()), 0), 0)
    path.unlink()
    with pytest.raises(TarnError, match=r"train-000000\.tar cannot be read"):
        steps(loader_of(plan(root, world()), 0), 0)


def test_shares_of_ranks_are_whole_lanes_where_lanes_and_batch_allow_it() -> None:
    for rank in range(4):
        offsets = world(rank, 4).share(32, 8)
        assert set((offsets % 8).tolist()) == {2 * rank, 2 * rank + 1}
    uneven = [world(rank, 3).share(32, 8) for rank in range(3)]
    assert [len(share) for share in uneven] == [10, 11, 11]
    assert np.array_equal(np.concatenate(uneven), np.arange(32))
