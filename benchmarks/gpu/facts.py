"""The machine; how fast a batch gets to the GPU; whether a step of the trainer waits for the GPU."""

import platform
import time
import warnings

import torch

from benchmarks.gpu.stage import Stage, read_stage
from benchmarks.machine import describe
from tarn.training.model.resnet import build_model
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.config import RunConfig
from tarn.training.run.learner import Learner
from tarn.training.run.speed_config import SpeedConfig
from tarn.training.streaming.batch import Batch
from tarn.training.world.world import World


def main() -> None:
    stage = read_stage("facts")
    told = stage.verdicts
    told.fact("machine", f"{describe()}, torch {torch.__version__}, {platform.system()}")
    if not stage.rehearsal:
        told.fact("GPU", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {cudnn_version()}")
        copies(stage)
    waits(stage)


def cudnn_version() -> str:
    return str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]


def copies(stage: Stage) -> None:
    batch = torch.zeros(256, 224, 224, 3, dtype=torch.uint8)
    for name, tensor in (("pageable", batch), ("page-locked", batch.pin_memory())):
        tensor.to("cuda", non_blocking=True)
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(20):
            tensor.to("cuda", non_blocking=True)
        torch.cuda.synchronize()
        stage.verdicts.fact(f"GB/s to the GPU, {name}", 20 * batch.nbytes / (time.perf_counter() - started) / 1e9)


def waits(stage: Stage) -> None:
    """Warnings of torch's own watch over synchronising calls, in one step of two parts, copies included."""
    config = RunConfig(optim=OptimConfig(global_batch=16), speed=SpeedConfig(compile="off"))
    learner = Learner(config, World(device=torch.device(stage.device)), build_model("resnet18", 10))
    images, labels = torch.zeros(8, 64, 64, 3, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64)
    if not stage.rehearsal:
        images, labels = images.pin_memory(), labels.pin_memory()
    parts = [Batch(images, labels, 0, last) for last in (False, True)]
    learner.step(iter(parts), 0.1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not stage.rehearsal:
            torch.cuda.set_sync_debug_mode("warn")
        learner.step(iter(parts), 0.1)
        if not stage.rehearsal:
            torch.cuda.set_sync_debug_mode("default")
    found = [str(each.message) for each in caught if "synchroniz" in str(each.message)]
    stage.verdicts.at_most("calls of a step that wait for the GPU", len(found), 0)


if __name__ == "__main__":
    main()
