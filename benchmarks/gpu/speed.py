"""ResNet-50 at 224 px in bf16: images/s of the trainer streaming, of batches kept on the device, of a bare loop.

One network, and a trainer for each contender; they take turns, and ratios are of the same rounds. A turn begins with
steps that are not counted, for its loader had the others' turns to prepare batches in.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

import torch

from benchmarks.gpu.stage import Stage, read_stage
from benchmarks.machine import tree
from benchmarks.trainer import bare, build_learner, resident_trainer, train
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.config import ModelConfig, RunConfig
from tarn.training.run.interruption import Interruption
from tarn.training.run.journal import Journal, JournalConfig
from tarn.training.run.learner import Learner
from tarn.training.run.saving import Keeper
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.plan import train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.world import World, joined_world

TICKS = os.sysconf("SC_CLK_TCK")
WARM_UP, STEPS, ROUNDS = 12, 40, 3
WORKERS = (2, 4, 6, 8, 12)


class Watched(PlannedLoader):
    """Counts the seconds that were waited for its batches."""

    waited = 0.0

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        made = super().batches(epoch, first_step)
        while True:
            asked = time.perf_counter()
            batch = next(made, None)
            self.waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch


@dataclass(slots=True)
class Contender:
    """steps: endless. rates: images/s; waits: share of time; cores: of all processes; one of each a round."""

    steps: Iterator[None]
    loader: Watched | None = None
    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)

    def turn(self, steps: int, warm_up: int, batch: int, device: torch.device) -> None:
        take(self.steps, warm_up, device)
        waited, spent, started = self.loader.waited if self.loader else 0.0, cpu_seconds(), time.perf_counter()
        take(self.steps, steps, device)
        seconds = time.perf_counter() - started
        self.rates.append(steps * batch / seconds)
        self.waits.append((self.loader.waited - waited) / seconds if self.loader else 0.0)
        self.cores.append((cpu_seconds() - spent) / seconds)


def take(steps: Iterator[None], count: int, device: torch.device) -> None:
    for _ in islice(steps, count):
        pass
    if device.type == "cuda":
        torch.cuda.synchronize()


def cpu_seconds() -> float:
    """Of this process and all that it started."""
    spent = 0
    for process in tree(os.getpid()):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        spent += int(fields[11]) + int(fields[12])
    return spent / TICKS


def main() -> None:
    stage = read_stage("speed")
    data = stage.dataset("photographs") or stage.dataset("drawn")
    if data is None:
        stage.verdicts.failed("images/s", "no dataset, run the stage `data` first")
        return
    with joined_world(stage.device) as world, tempfile.TemporaryDirectory() as folder:
        config = settings(stage, data, folder)
        manifest = read_manifest(str(data))
        with Journal(Path(folder), config.journal, speaks=False) as journal, Interruption(world) as stop:
            learner = build_learner(config, world, manifest)
            contenders = build_contenders(stage, learner, manifest, journal, stop)
            rounds, steps, warm_up = (1, 2, 1) if stage.rehearsal else (ROUNDS, STEPS, WARM_UP)
            for number in range(rounds):
                order = list(contenders.values())
                for contender in order if number % 2 == 0 else reversed(order):
                    contender.turn(steps, warm_up, config.optim.global_batch, world.device)
    tell(stage, contenders, learner.problem)


def settings(stage: Stage, data: Path, folder: str) -> RunConfig:
    side = 32 if stage.rehearsal else 224
    return RunConfig(
        out=folder,
        amp="bf16",
        model=ModelConfig(arch="resnet18" if stage.rehearsal else "resnet50"),
        data=DataConfig(shards=str(data), image_size=side, eval_resize=side, prefetch="300MB"),
        optim=OptimConfig(global_batch=16 if stage.rehearsal else 256, micro_batch=None, epochs=10**6, lr=0.01),
        journal=JournalConfig(tensorboard=False),
    )


def build_contenders(
    stage: Stage, learner: Learner, manifest: Manifest, journal: Journal, stop: Interruption
) -> dict[str, Contender]:
    resident = resident_trainer(learner, manifest)

    def steps(trainer: Trainer) -> Iterator[None]:
        return train(trainer, journal, Keeper(trainer, manifest, journal, stop, None))

    found = {"resident": Contender(steps(resident)), "bare": Contender(bare(resident, len(manifest.classes)))}
    kinds = [("cpu", workers) for workers in ((1,) if stage.rehearsal else WORKERS)]
    for decode, workers in [*kinds, *([] if stage.rehearsal else [("cuda", 2)])]:
        loader = streaming(learner.config, learner.world, manifest, workers, decode)
        for warning in loader.take_warnings():
            stage.verdicts.failed(f"decode={decode}, {workers} workers", warning)
        trainer = Trainer(learner.config, learner.world, learner, loader, None, len(manifest.classes))
        found[f"decode={decode}, {workers} workers"] = Contender(steps(trainer), loader)
    return found


def streaming(config: RunConfig, world: World, manifest: Manifest, workers: int, decode: str) -> Watched:
    data = DataConfig(
        shards=config.data.shards,
        image_size=config.data.image_size,
        eval_resize=config.data.eval_resize,
        prefetch=config.data.prefetch,
        decode=decode,
    )
    plan = train_plan(data, manifest, world, config.seed, config.optim.global_batch, None)
    pin = world.device.type == "cuda"
    return Watched(plan, manifest, "train", start_crew(workers), pin_memory=pin, device=world.device if pin else None)


def tell(stage: Stage, contenders: dict[str, Contender], problem: str | None) -> None:
    told, resident = stage.verdicts, contenders["resident"].rates
    if problem is not None:
        told.failed("compilation", problem)
    told.at_least("resident / bare loop", share(resident, contenders["bare"].rates), 1.0 if not problem else 0.98)
    fewest = None
    for name, contender in contenders.items():
        told.fact(f"images/s, {name}", median(contender.rates))
        if contender.loader is None:
            continue
        reached, cores = share(contender.rates, resident), median(contender.cores)
        told.fact(f"share of resident, {name}", reached)
        told.fact(f"waits, {name}", median(contender.waits))
        told.fact(f"cores in use, {name}", cores)
        if "cuda" in name:
            told.at_least("share of resident, decode=cuda with 2 workers", reached, 0.9)
        elif reached >= 0.99 and fewest is None:
            fewest = cores
    streams = [each for name, each in contenders.items() if each.loader and "cpu" in name]
    told.at_least("share of resident, streaming, the best", max(share(each.rates, resident) for each in streams), 0.99)
    told.at_most("cores in use for 99 %", fewest if fewest is not None else float("inf"), 6.0)


def share(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of the same rounds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main()
