"""The recipe of configs/cifar10_resnet18_cpu.yaml in plain PyTorch and torchvision, with nothing of Tarn's in it.

    python -m benchmarks.plain_cifar10 path/to/cifar10 --seed 1

The folder is the one that was packed: train/<class>/, test/<class>/. Both reach the same top-1, within what seeds do.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

transforms: Any = torchvision.transforms  # it has no types

EPOCHS, WARMUP, BATCH, SIDE = 6, 1.5, 64, 64
RATE, DECAY = 0.1, 5e-4
NORMALISE = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
FLOAT = [transforms.ToTensor(), NORMALISE]
TRAIN = transforms.Compose(
    [transforms.RandomResizedCrop(SIDE, scale=(0.7, 1.0)), transforms.RandomHorizontalFlip(), *FLOAT]
)
TEST = transforms.Compose([transforms.Resize(SIDE), transforms.CenterCrop(SIDE), *FLOAT])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    batches = DataLoader(
        ImageFolder(args.folder / "train", TRAIN), BATCH, shuffle=True, num_workers=args.workers, drop_last=True
    )
    test = DataLoader(ImageFolder(args.folder / "test", TEST), 500, num_workers=args.workers)
    model = torchvision.models.resnet18(num_classes=10, zero_init_residual=True)  # as ours are by default
    model = model.to(memory_format=torch.channels_last)
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": DECAY}, {"params": others}]
    optimizer = torch.optim.SGD(groups, RATE, momentum=0.9, nesterov=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step / len(batches)))
    for epoch in range(EPOCHS):
        started = time.perf_counter()
        model.train()
        for images, labels in batches:
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(images.to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            rates.step()
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1}: top-1 {top1(model, test):.2f} %, {len(batches) * BATCH / seconds:.0f} images/s")


def factor(epoch: float) -> float:
    """Of the peak rate: up from nearly nothing, and down to 0."""
    if epoch < WARMUP:
        return 1e-4 + (1 - 1e-4) * epoch / WARMUP
    return (EPOCHS - epoch) / (EPOCHS - WARMUP)


@torch.inference_mode()
def top1(model: torch.nn.Module, batches: "DataLoader[tuple[Tensor, Tensor]]") -> float:
    model.eval()
    hits = total = 0
    for images, labels in batches:
        hits += int((model(images.to(memory_format=torch.channels_last)).argmax(1) == labels).sum())
        total += len(labels)
    return 100 * hits / total


if __name__ == "__main__":
    main()
