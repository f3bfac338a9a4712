"""The batches of a plan: where they come from, in which order they are asked for, and what is told about the way."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest
from tarn.sharding.storage.clients import build_client
from tarn.training.streaming.bad_samples import Ledger
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.iteration import EpochIteration
from tarn.training.streaming.plan import StreamPlan, start_state
from tarn.training.streaming.processes.crew import Crew
from tarn.training.streaming.remote.fetching import Fetching
from tarn.training.streaming.remote.opening import Start, read_opening
from tarn.training.streaming.sources import Opening
from tarn.training.streaming.state import StreamState
from tarn.training.streaming.workers.batches import BatchMaker, Place, build_source
from tarn.training.streaming.workers.device_decode import chosen_decoder
from tarn.training.streaming.workers.fielded import BatchHook, with_fields
from tarn.training.streaming.workers.hooks import batch_key
from tarn.training.streaming.workers.layout import slot_arrays, slot_layout
from tarn.training.streaming.workers.memory_limit import check_room, memory_limit
from tarn.training.streaming.workers.page_locked import build_registrar
from tarn.training.streaming.workers.pool import Lent, WorkerPool
from tarn.training.streaming.workers.worker import WORKER, Done


def start_crew(workers: int) -> Crew:
    """Decoding processes, 0 for none. The sooner they are started, the sooner there is a first batch."""
    return Crew(workers, WORKER)


class PlannedLoader(EpochIteration):
    """One rank's batches, for those who made the plan themselves; ShardLoader makes one from settings.

    split: of the manifest, whose samples the plan is about. crew: becomes the loader's own. ledger: a file for the
    names of bad samples. start: what was asked of the store before. batch_hook: import path; pad_to: the multiple that
    whole pictures are padded to. Raises TarnError for data that cannot be read.
    """

    plan: StreamPlan
    state: StreamState

    def __init__(
        self,
        plan: StreamPlan,
        manifest: Manifest,
        split: str,
        crew: Crew,
        *,
        pin_memory: bool = False,
        device: torch.device | None = None,
        ledger: Path | None = None,
        start: Start | None = None,
        batch_hook: str | None = None,
        pad_to: int | None = None,
    ) -> None:
        for origin in plan.sources.each:
            if not origin.is_local:  # a mistake is told here, in one sentence
                build_client(origin.tars, origin.access.options, origin.access.client)
        plan, self.decoder, self.warnings = chosen_decoder(plan, device)
        registrar, complaints = build_registrar(device) if pin_memory else (None, [])
        self.warnings += complaints
        self.plan, self.crew, self.pin_memory = plan, crew, registrar is not None
        self.manifest: Manifest | None = (
            manifest  # held: its files stay while they are read (sharding/format/holding.py)
        )
        self.manifests: tuple[Manifest, ...] = ()  # of several datasets: held as well
        self.classes = manifest.classes
        self.state = start_state(plan, plan.fingerprint(manifest, split))
        self.ledger = Ledger(ledger, plan.bad_samples.budget)
        self.counters: Counter[str] = Counter()
        self.fetching = Fetching(plan, crew) if plan.access.cache is not None else None
        self.batch_hook = BatchHook(batch_hook) if batch_hook is not None else None
        self.pad_to = pad_to
        self.start, self.is_open = start, plan.is_local or not crew.workers or plan.origins is not None
        traffic = self.fetching.traffic if self.fetching else None
        note = partial(count_done, self.counters)  # no method of this: in a circle, slots would outlive the loader
        self.pool = WorkerPool(plan, crew, traffic, note, registrar) if crew.workers else None
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
        self.crew.owner.check()
        self.look()
        opening = self.opening(epoch, first_step)
        if self.fetching is not None:
            self.fetching.stand_at(epoch, first_step)
        at = first_step
        for (_, step, part), lent in self.made(epoch, first_step, opening):
            if step != at and self.fetching is not None:
                self.fetching.stand_at(epoch, step)
            at = step
            yield self.batch(lent, epoch, step, part)

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

    def batch(self, lent: Lent, epoch: int, step: int, part: int) -> Batch:
        """Raises TarnError for a picture that only the device found bad, or where too many are."""
        if self.decoder is not None:
            images, labels, made = self.decoder.finish(lent)
            self.counters["device_refused"] += len(lent.made.jpegs) - len(made.jpegs)
        else:
            images, labels, made = torch.from_numpy(lent.images), torch.from_numpy(lent.labels), lent.made
        for bad in made.bad:
            self.ledger.enter(bad)
            self.counters["replaced"] += 1
        batch = Batch(images, labels, step, part == self.parts(step) - 1, made.keys)
        if self.plan.content.fields is not None:
            batch = with_fields(batch, self.plan.content, lent, self.pad_to)
        if self.batch_hook is not None:
            batch = self.batch_hook(batch, batch_key(self.plan.seed, epoch, step, part, self.plan.ranks.rank))
        return self.pinned(batch) if self.pin_memory and self.decoder is None else batch

    def pinned(self, batch: Batch) -> Batch:
        """Slots mostly are; what could not be locked in place is copied, or left as it is where that fails, too."""
        try:
            return batch.pin_memory()
        except RuntimeError as error:
            self.pin_memory = False
            self.warnings.append(f"batches lie in plain memory ({' '.join(str(error).split())[:200]}).")
            return batch

    def is_ready(self) -> bool:
        """Whether the next batch of the iteration under way is there already. Raises TarnError where a process died."""
        return self.pool is not None and self.pool.is_ready()

    def made(self, epoch: int, first_step: int, opening: Opening | None) -> Iterator[tuple[Place, Lent]]:
        places = self.places(epoch, first_step)
        if self.pool is not None:
            following = self.places(epoch + 1) if self.plan.train else ()  # who evaluates seldom goes on at once
            ready = self.pool.batches(self.places(epoch, first_step), self.look, opening, following)
            yield from zip(places, ready, strict=False)
            return
        assert self.maker is not None
        rows, size = self.plan.rows, self.plan.size_of(epoch)
        columns = self.plan.content.columns(size)
        for place in places:
            self.crew.owner.check()
            memory = memory_of(sum(slot_layout(rows, size, columns)))
            images, labels, others = slot_arrays(memoryview(memory), rows, size, columns)
            made = self.maker.make(place, images, labels, columns=others)
            self.look()
            again = partial(self.maker.remake, place, images, labels)
            others = {name: column[: made.samples] for name, column in others.items()}
            yield place, Lent(images[: made.samples], labels[: made.samples], made, again, others)

    def look(self) -> None:
        """Hears the fetcher. Raises TarnError where it has given up."""
        if self.fetching is not None:
            self.fetching.listen()

    def take_counters(self) -> dict[str, int]:
        """What happened on the way so far: requests, bytes, retries, resumed, wrong_bytes, range_samples, replaced,
        wrong_cached (damaged files found in the cache), device_refused (JPEGs that the CPU decoded after all)."""
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
        self.manifest, self.manifests = None, ()


def memory_of(size: int) -> bytearray:
    """For a batch. Raises TarnError."""
    try:
        return bytearray(size)
    except (MemoryError, OverflowError):
        raise TarnError(f"there is no memory for a batch ({size / 1e6:,.0f} MB): lower the batch size.") from None


def count_done(counters: Counter[str], done: Done) -> None:
    counters.update(done.counters)
