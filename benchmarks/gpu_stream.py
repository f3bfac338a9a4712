"""On a machine with a GPU: does streaming keep it as busy as one batch that never leaves it?

    python -m benchmarks.gpu_stream build/in1k --batch 512 --workers 2 4 8 12 16
    python -m benchmarks.gpu_stream build/in1k --batch 512 --decode cuda --workers 2

ResNet-50, bf16, channels_last, torch.compile, steps of SGD, training crops of 224 px. Every number of workers is
measured in turn with the resident batch, interleaved over the repeats; medians are told. Expected: at least 99 % of the
resident batch's images/s with enough workers; the fewest that reach it are named. `wait` is the share of time in which
the loop waited for a batch. To count cores as well as processes, run it as `taskset -c 0,1 python -m ...`.

Not run on a GPU by us yet: none was at hand.
"""

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as functional
from torch import Tensor

from tarn.training.model.resnet import build_model
from tarn.training.pixels.normalisation import normalise
from tarn.training.streaming import Batch, DeliveryConfig, PictureConfig, ShardLoader

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BAR = 0.99
WARM_UP = 12  # steps: compilation, the first batches, the clocks

Step = Callable[[Tensor, Tensor], None]
Rate = tuple[float, float]  # images/s, share of waiting


def main() -> None:
    args = arguments()
    if not torch.cuda.is_available():
        print("No GPU is at hand: nothing was measured. Run this on a machine with a CUDA device.")
        return
    device = torch.device("cuda", 0)
    print(f"{torch.cuda.get_device_name(device)}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}")
    for batch in args.batch:
        sweep(args, batch, device)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("--batch", type=int, nargs="+", default=[256])
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8, 12, 16])
    parser.add_argument("--decode", choices=("cpu", "cuda"), nargs="+", default=["cpu"])
    parser.add_argument("--fidelity", choices=("default", "fast"), default="default")
    parser.add_argument("--prefetch", default="2GB")
    parser.add_argument("--steps", type=int, default=100, help="of each measurement (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def sweep(args: argparse.Namespace, batch: int, device: torch.device) -> None:
    """Each number of workers against the resident batch, the one after the other."""
    step = build_step(device)
    for decode in args.decode:
        enough = None
        for workers in args.workers:
            loader = ShardLoader(
                args.shards,
                global_batch=batch,
                rank=0,
                world_size=1,
                num_workers=workers,
                pictures=PictureConfig(fidelity=args.fidelity),
                delivery=DeliveryConfig(prefetch=args.prefetch, pin_memory=True, decode=decode),
            )
            ratio = compared(loader, step, device, args)
            if ratio >= BAR and enough is None:
                enough = workers
            for warning in loader.take_warnings():
                print(f"  Warning: {warning}")
            loader.close()
        told = f"{enough} workers suffice" if enough is not None else "no number of workers reached it"
        print(f"batch {batch}, decode {decode}: {told} for {BAR:.0%} of the resident batch")


def compared(loader: ShardLoader, step: Step, device: torch.device, args: argparse.Namespace) -> float:
    """Prints both rates. Returns streamed / resident, the median of the repeats."""
    batches = on_device((batch for _ in itertools.count() for batch in loader), device)
    images, labels = (tensor.clone() for tensor in next(batches))
    kept = itertools.repeat((images, labels))
    measured(batches, step, WARM_UP)
    measured(kept, step, WARM_UP)
    pairs = [(measured(batches, step, args.steps), measured(kept, step, args.steps)) for _ in range(args.repeats)]
    ratio = statistics.median(streamed[0] / resident[0] for streamed, resident in pairs)
    rates = [statistics.median(pair[kind][0] for pair in pairs) for kind in (0, 1)]
    wait = statistics.median(streamed[1] for streamed, _ in pairs)
    print(
        f"batch {len(labels)}, decode {loader.plan.decode}, workers {len(loader.crew.workers)}: "
        f"{rates[0]:.0f} images/s streamed, {rates[1]:.0f} resident, {ratio:.1%}, wait {wait:.1%}"
    )
    return ratio


def measured(batches: Iterator[tuple[Tensor, Tensor]], step: Step, steps: int) -> Rate:
    torch.cuda.synchronize()
    started, waited, seen = time.perf_counter(), 0.0, 0
    for _ in range(steps):
        asked = time.perf_counter()
        images, labels = next(batches)
        waited += time.perf_counter() - asked
        step(images, labels)
        seen += len(labels)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return seen / seconds, waited / seconds


def on_device(batches: Iterator[Batch], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """As the trainer brings them: copied on its own stream, while the kernels of the step before are still queued."""
    for batch in batches:
        yield batch.images.to(device, non_blocking=True), batch.labels.to(device, non_blocking=True)


def build_step(device: torch.device) -> Step:
    """A step of training on images n x H x W x 3, uint8, and labels n, both on the device."""
    torch.manual_seed(0)
    model = build_model("resnet50", 1000).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-5, fused=True)
    network: Callable[[Tensor], Tensor] = torch.compile(model)

    def step(images: Tensor, labels: Tensor) -> None:
        pictures = normalise(images, MEAN, STD)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = functional.cross_entropy(network(pictures).float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


if __name__ == "__main__":
    main()
