"""Milliseconds that augmentation takes for a batch on the device, beside normalisation alone.

    python -m benchmarks.augmentation [--device cpu] [--batch 256] [--side 224] [--rounds 5]

Ways take turns, other positions each round; medians are printed. On the CPU that is the processor time of one thread,
which neighbours hardly lengthen; a GPU is waited for after each.

An AMD EPYC's thread, --rounds 3, the machine busy otherwise: normalisation alone 124 ms; with mixup 219, CutMix 129,
erasing 158, RandAugment 607, TrivialAugment 351.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from benchmarks.machine import describe
from tarn.training.pixels.normalisation import Normalisation
from tarn.training.recipe.augment_config import AugmentConfig
from tarn.training.recipe.augmentation import DeviceAugmentation
from tarn.training.recipe.moment import Moment

WAYS = {
    "normalisation alone": AugmentConfig(),
    "mixup": AugmentConfig(mixup=0.2),
    "CutMix": AugmentConfig(cutmix=1.0),
    "random erasing, 0.25": AugmentConfig(erase=0.25),
    "RandAugment, 2 operations": AugmentConfig(policy="randaugment"),
    "TrivialAugment": AugmentConfig(policy="trivialaugment"),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def measure(device: torch.device, batch: int, side: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way and round, behind one round that does not count."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, generator=draw).to(device)
    labels = torch.randint(0, 1000, (batch,), generator=draw).to(device)
    normalisation = Normalisation(MEAN, STD).to(device)
    ways = {name: DeviceAugmentation(config, normalisation, 0, 1000) for name, config in WAYS.items()}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        moment = Moment(0, turn, np.arange(turn * batch, (turn + 1) * batch))
        for name, way in ways.items():
            wait(device)
            begin = clock()
            way(images, labels, moment)
            wait(device)
            taken[name].append((clock() - begin) * 1e3)
    return {name: found[1:] for name, found in taken.items()}


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    on = torch.cuda.get_device_name(args.device) if args.device.type == "cuda" else "one thread"
    print(f"{args.batch} x {args.side} px; {describe()}, {on}")
    for name, found in measure(args.device, args.batch, args.side, args.rounds).items():
        print(f"{name:28} {statistics.median(found):8.1f} ms")


if __name__ == "__main__":
    main()
