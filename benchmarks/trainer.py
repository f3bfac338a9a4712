"""What the trainer costs beside a bare PyTorch loop, over the same batches, in turns.

    python -m benchmarks.trainer build/sample --arch resnet18 --side 32 --batch 128

Both take the same steps (SGD with Nesterov's momentum, label smoothing, channels_last, no compilation unless --compile)
over batches that lie in memory, so that no loader counts; the trainer writes its metrics and looks for signals as in a
run. Printed are images/s of both, and the median of the ratios of the same rounds. Expected: at most 2 % more time.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as functional
from torch import nn

from benchmarks.machine import describe
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.training.model.resnet import build_model
from tarn.training.pixels.normalisation import normalise
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.config import ModelConfig, RunConfig
from tarn.training.run.interruption import Interruption
from tarn.training.run.journal import Journal, JournalConfig
from tarn.training.run.learner import Learner
from tarn.training.run.saving import Keeper
from tarn.training.run.speed_config import SpeedConfig
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.plan import train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.world import World, joined_world

KEPT = 4  # batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6, help="of a turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--amp", default="off")
    parser.add_argument("--compile", default="off")
    args = parser.parse_args()
    with joined_world("auto") as world, tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            out=folder,
            amp=args.amp,
            model=ModelConfig(arch=args.arch),
            data=DataConfig(shards=args.shards, image_size=args.side, eval_resize=args.side * 8 // 7, workers=0),
            optim=OptimConfig(global_batch=args.batch, micro_batch=None, epochs=10**6, label_smoothing=0.1),
            speed=SpeedConfig(compile=args.compile),
        )
        manifest = read_manifest(args.shards)
        with Journal(Path(folder), JournalConfig(), speaks=True) as journal, Interruption(world) as stop:
            trainer = resident_trainer(build_learner(config, world, manifest), manifest)
            keeper = Keeper(trainer, manifest, journal, stop, None)
            steps = train(trainer, journal, keeper)
            contenders = {"trainer": steps, "bare loop": bare(trainer, len(manifest.classes))}
            rates = in_turns(contenders, args)
    print(f"{describe()}, {world.device}, torch {torch.__version__}, {args.arch}, {args.side} px, batch {args.batch}")
    for name, found in rates.items():
        print(f"{name:>10}: {median(found):9.1f} images/s")
    pairs = [ours / theirs for ours, theirs in zip(rates["trainer"], rates["bare loop"], strict=True)]
    print(f"trainer / bare loop: {median(pairs):.4f}, median of {len(pairs)} pairs (bar 0.98)")


def in_turns(contenders: dict[str, Iterator[None]], args: argparse.Namespace) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-1, args.rounds):  # the first is a warm-up
        order = list(contenders.items())
        for name, steps in order if number % 2 == 0 else reversed(order):
            start = time.perf_counter()
            for _ in islice(steps, args.steps):
                pass
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number >= 0:
                rates[name].append(args.steps * args.batch / (time.perf_counter() - start))
    return rates


class Resident(PlannedLoader):
    """The first batches of the stream, on a device, again and again."""

    where = torch.device("cpu")
    kept: list[Batch] | None = None

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        if self.kept is None:
            steps = islice(cycle(range(self.plan.steps)), KEPT)
            self.kept = [next(super(Resident, self).batches(0, step)).to(self.where) for step in steps]
        return cycle(self.kept)

    def is_ready(self) -> bool:
        return True


def build_learner(config: RunConfig, world: World, manifest: Manifest) -> Learner:
    learner = Learner(config, world, build_model(config.model.arch, len(manifest.classes), seed=0))
    learner.prepare(config.optim.global_batch, config.data.image_size, parts=1)
    return learner


def resident_trainer(learner: Learner, manifest: Manifest) -> Trainer:
    config, world = learner.config, learner.world
    plan = train_plan(config.data, manifest, world, config.seed, config.optim.global_batch, None)
    loader = Resident(plan, manifest, "train", start_crew(0))
    loader.where = world.device
    return Trainer(config, world, learner, loader, None, len(manifest.classes))


def train(trainer: Trainer, journal: Journal, keeper: Keeper) -> Iterator[None]:
    while True:
        for _ in trainer.steps(journal):
            keeper.after_step()
            yield
        trainer.turn({})


def bare(trainer: Trainer, classes: int) -> Iterator[None]:
    """As a user of PyTorch writes it, on the same batches."""
    config, device = trainer.config, trainer.world.device
    model: nn.Module = build_model(config.model.arch, classes, seed=0)
    model = model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    network = torch.compile(model, dynamic=False) if config.speed.compiles_on(device) else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    dtype = trainer.learner.dtype
    for batch in trainer.train_loader.batches(0):
        images = normalise(batch.images, config.data.mean, config.data.std)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            loss = functional.cross_entropy(network(images).float(), batch.labels, label_smoothing=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield


if __name__ == "__main__":
    main()
