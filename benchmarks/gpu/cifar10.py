"""CIFAR-10 to 94 % by the recipe of configs/, in at most 30 epochs."""

import time

from benchmarks.gpu.stage import fit, metrics, read_stage


def main() -> None:
    stage = read_stage("cifar10")
    data = stage.dataset("cifar10")
    if data is None:
        stage.verdicts.absent("top-1", "cifar10 is not in the luggage")
        return
    run, started = stage.scratch("cifar10"), time.perf_counter()
    words = ["--optim.max_steps=4"] if stage.rehearsal else []
    fit(
        "--config=configs/cifar10_resnet18.yaml", f"--out={run}", f"--data.shards={data}", f"--device={stage.device}",
        "--journal.tensorboard=false", *words,
    )  # fmt: skip
    lines = metrics(run, "epoch")
    stage.verdicts.at_least("top-1", 100 * lines[-1]["val_top1"], 94.0, " %")
    stage.verdicts.at_most("epochs", len(lines), 30)
    stage.verdicts.fact("seconds, from the command to the export", time.perf_counter() - started)


if __name__ == "__main__":
    main()
