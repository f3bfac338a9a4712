"""Batches of tar shards, for any trainer: exact, elastic, resumable.

loader = ShardLoader("s3://bucket/imagenet", global_batch=1024, image_size=224)
for epoch in range(loader.epoch, 90):
    loader.set_epoch(epoch)
    for batch in loader:
        ...                                  # batch.images: uint8, B x H x W x 3; batch.labels: int64, B
        state = loader.state_dict()          # a few plain values, for the checkpoint
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.sizes import parse_size
from tarn.sharding.storage.clients import build_client
from tarn.training.pixels.decode import check_decode, check_fidelity
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.access import DEADLINE, resolve_access
from tarn.training.streaming.bad_samples import BadSamplesConfig, Ledger
from tarn.training.streaming.iteration import Batch, EpochIteration
from tarn.training.streaming.plan import PREFETCH, StreamPlan, start_state
from tarn.training.streaming.processes.crew import Crew
from tarn.training.streaming.remote.fetching import Fetching
from tarn.training.streaming.remote.opening import Start, early_start, read_opening
from tarn.training.streaming.sources import Opening
from tarn.training.streaming.state import StreamState
from tarn.training.streaming.workers.batches import BatchMaker, Place, build_source, slot_arrays, slot_layout
from tarn.training.streaming.workers.device_decode import chosen_decoder
from tarn.training.streaming.workers.memory_limit import check_room, memory_limit
from tarn.training.streaming.workers.page_locked import build_registrar
from tarn.training.streaming.workers.pool import Lent, WorkerPool
from tarn.training.streaming.workers.worker import Done
from tarn.training.world.ranks import Ranks


class ShardLoader(EpochIteration):
    """One rank's batches of a packed dataset, made ahead of time by worker processes that outlive epochs.

    url: a folder, file://, s3://, gs://, az://, http(s)://. global_batch: over all ranks; this rank's batches hold its
    share. train: shuffled, cropped and flipped at random, the last partial global batch left out (drop_last); else
    in the manifest's order, resized and centre-cropped, nothing left out. rank, world_size: of the process group, or
    of torchrun's environment, by default. num_workers: auto (this rank's part of the host's cores), or a number, 0 for
    none. storage_options: in fsspec's words. cache, cache_limit, deadline: see access.py. bad_samples: raise, replace.
    fidelity: of training crops, exact, default or fast (decode.py). prefetch: memory for batches made ahead.
    pin_memory: page-locked for a GPU; copy such batches on the stream that is current where they are dropped. decode:
    cpu, or cuda: batches come on `device` (the current CUDA device by default), decoded there.

    Batches depend on (data, seed, epoch, global_batch, lanes, active_shards) and, but for rounding of pixels by
    decode=cuda, on nothing else. Raises UsageError for settings that do not fit together, TarnError for data that
    cannot be read.
    """

    plan: StreamPlan
    state: StreamState

    def __init__(
        self,
        url: str,
        split: str = "train",
        global_batch: int = 256,
        seed: int = 0,
        image_size: int = 224,
        train: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
        num_workers: int | str = "auto",
        keys: bool = False,
        *,
        drop_last: bool | None = None,
        micro_batch: int | None = None,
        augment: Augmentation | None = None,
        eval_resize: int | None = None,
        lanes: int = 8,
        active_shards: int = 32,
        storage_options: Mapping[str, Any] | None = None,
        client: str = "auto",
        cache: str = "auto",
        cache_limit: str | int = "80%",
        deadline: float = DEADLINE,
        bad_samples: str = "raise",
        bad_sample_budget: int = 100,
        bad_sample_ledger: str | Path | None = None,
        fidelity: str = "default",
        prefetch: str | int = PREFETCH,
        pin_memory: bool = False,
        decode: str = "cpu",
        device: torch.device | str | None = None,
    ) -> None:
        check_fidelity(fidelity, "fidelity")
        check_decode(decode, fidelity, "decode")
        ranks, options = ranks_of(rank, world_size), dict(storage_options or {})
        crew = Crew(worker_count(num_workers, ranks))
        try:
            start = early_start(url, split, options, client, deadline)
            manifest = read_manifest(url, options, start.reader.client if start else None)
            tars = manifest.shards_root(url)
            access = resolve_access(tars, options, client, cache, cache_limit, deadline)
            shards = manifest.split(split).shards
            plan = StreamPlan(
                root=url,
                tars=tars,
                shards=shards,
                seed=seed,
                global_batch=global_batch,
                lanes=lanes,
                active_shards=active_shards,
                ranks=ranks,
                part_size=micro_batch or global_batch,
                image_size=image_size,
                preprocessing=Preprocessing(resize=eval_resize or image_size * 256 // 224, crop=image_size),
                augmentation=(augment or Augmentation()) if train else None,
                drop_last=train if drop_last is None else drop_last,
                access=access,
                bad_samples=BadSamplesConfig(policy=bad_samples, budget=bad_sample_budget),
                keys=keys,
                fidelity=fidelity,
                prefetch=parse_size(str(prefetch), "prefetch"),
                decode=decode,
            )
            ledger = Path(bad_sample_ledger) if bad_sample_ledger else None
            where = torch.device(device) if device is not None else None
            self.setup(plan, manifest, split, crew, pin_memory, ledger, where, start)
        except BaseException:
            crew.close()
            raise

    @classmethod
    def of_plan(
        cls,
        plan: StreamPlan,
        manifest: Manifest,
        split: str,
        workers: int,
        pin_memory: bool = False,
        ledger: Path | None = None,
        device: torch.device | None = None,
    ) -> "ShardLoader":
        """For those who made the plan themselves."""
        loader = cls.__new__(cls)
        loader.setup(plan, manifest, split, Crew(workers), pin_memory, ledger, device)
        return loader

    def setup(
        self,
        plan: StreamPlan,
        manifest: Manifest,
        split: str,
        crew: Crew,
        pin_memory: bool,
        ledger: Path | None,
        device: torch.device | None,
        start: Start | None = None,
    ) -> None:
        if not plan.is_local:
            build_client(plan.tars, plan.access.options, plan.access.client)  # a mistake is told here, in one sentence
        plan, self.decoder, self.warnings = chosen_decoder(plan, device)
        registrar, complaints = build_registrar(device) if pin_memory else (None, [])
        self.warnings += complaints
        self.plan, self.crew, self.pin_memory = plan, crew, registrar is not None
        self.classes = manifest.classes
        self.state = start_state(plan, manifest.fingerprint(split))
        self.ledger = Ledger(ledger, plan.bad_samples.budget)
        self.counters: Counter[str] = Counter()
        self.fetching = Fetching(plan, crew) if plan.access.cache is not None else None
        self.start, self.is_open = start, plan.is_local or not crew.workers
        traffic = self.fetching.traffic if self.fetching else None
        self.pool = WorkerPool(plan, crew, traffic, self.note, registrar) if crew.workers else None
        if self.pool is not None:
            self.warnings += check_room(self.pool.bytes_ahead, plan.ranks.local_size, memory_limit())
        self.maker = (
            None if crew.workers else BatchMaker(plan, build_source(plan, traffic, 1, start.reader if start else None))
        )

    def __len__(self) -> int:
        """Batches of a whole epoch; equal on all ranks, unless a micro_batch divides their shares unequally."""
        steps = self.plan.steps
        return (steps - 1) * self.parts(0) + self.parts(steps - 1) if steps else 0

    def parts(self, step: int) -> int:
        return len(self.plan.positions(step))

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Every part of every step from first_step to the epoch's end; the state is left alone."""
        self.look()
        opening = self.opening(epoch, first_step)
        if self.fetching is not None:
            self.fetching.stand_at(epoch, first_step)
        at = first_step
        for (_, step, part), lent in self.made(epoch, first_step, opening):
            if step != at and self.fetching is not None:
                self.fetching.stand_at(epoch, step)
            at = step
            yield self.batch(lent, step, part == self.parts(step) - 1)

    def places(self, epoch: int, first_step: int = 0) -> Iterator[Place]:
        return ((epoch, step, part) for step in range(first_step, self.plan.steps) for part in range(self.parts(step)))

    def opening(self, epoch: int, step: int) -> Opening | None:
        """Of this loader's very first batch, nothing of others."""
        if self.is_open or step >= self.plan.steps:
            return None
        self.is_open = True
        number = len(self.crew.workers) + 1
        traffic = self.fetching.traffic if self.fetching else None
        opening, counters = read_opening(self.plan, epoch, step, traffic, number, self.start)
        self.counters.update(counters)
        self.start = None
        return opening

    def batch(self, lent: Lent, step: int, last: bool) -> Batch:
        """Raises TarnError for a picture that only the device found bad, or where too many are."""
        if self.decoder is not None:
            images, labels, made = self.decoder.finish(lent)
            self.counters["device_refused"] += len(lent.made.jpegs) - len(made.jpegs)
        else:
            images, labels, made = torch.from_numpy(lent.images), torch.from_numpy(lent.labels), lent.made
        for bad in made.bad:
            self.ledger.enter(bad)
            self.counters["replaced"] += 1
        batch = Batch(images, labels, step, last, made.keys)
        return batch.pin_memory() if self.pin_memory and self.decoder is None else batch

    def made(self, epoch: int, first_step: int, opening: Opening | None) -> Iterator[tuple[Place, Lent]]:
        places = self.places(epoch, first_step)
        if self.pool is not None:
            following = self.places(epoch + 1) if self.plan.train else ()  # who evaluates seldom goes on at once
            ready = self.pool.batches(self.places(epoch, first_step), self.look, opening, following)
            yield from zip(places, ready, strict=False)
            return
        assert self.maker is not None
        rows, side = self.plan.rows, self.plan.image_size
        for place in places:
            memory = bytearray(sum(slot_layout(rows, side)))
            images, labels = slot_arrays(memoryview(memory), rows, side)
            made = self.maker.make(place, images, labels)
            self.look()
            again = partial(self.maker.remake, place, images, labels)
            yield place, Lent(images[: made.samples], labels[: made.samples], made, again)

    def look(self) -> None:
        """Hears the fetcher. Raises TarnError where it has given up."""
        if self.fetching is not None:
            self.fetching.listen()

    def note(self, done: Done) -> None:
        self.counters.update(done.counters)

    def take_counters(self) -> dict[str, int]:
        """What happened on the way so far: requests, bytes, retries, resumed, wrong_bytes, range_samples, replaced,
        device_refused (JPEGs that the CPU decoded after all)."""
        own = self.maker.source.counters if self.maker else Counter()
        return dict(self.counters + own + (self.fetching.counters if self.fetching else Counter()))

    def take_warnings(self) -> list[str]:
        """What a human should know, each once."""
        told = [self.warnings, self.fetching.warnings if self.fetching else []]
        if self.pool is not None:
            told.append(self.pool.slots.warnings)
        taken = [warning for each in told for warning in each]
        for each in told:
            each.clear()
        return taken

    def close(self) -> None:
        """Ends the processes; so does the end of the program, or of the loader's last user."""
        self.crew.close()


def ranks_of(rank: int | None, world_size: int | None) -> Ranks:
    """Raises UsageError where only one is told, or they do not go together."""
    if rank is None and world_size is None:
        ranks = Ranks.from_environment()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return replace(ranks, rank=torch.distributed.get_rank(), size=torch.distributed.get_world_size())
        return ranks
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise UsageError(f"rank={rank} and world_size={world_size}: give both, with 0 <= rank < world_size, or none.")
    return Ranks(rank, world_size)


def worker_count(told: int | str, ranks: Ranks) -> int:
    if told == "auto":
        return ranks.cores()
    if not isinstance(told, int) or told < 0:
        raise UsageError(f"num_workers={told!r} must be auto or a number of at least 0.")
    return told
