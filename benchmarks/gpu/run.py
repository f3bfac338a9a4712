"""The command that people use, ResNet-50 at 224 px: its own images/s held against the clock."""

import time

from benchmarks.gpu.stage import fit, metrics, read_stage


def main() -> None:
    stage = read_stage("run")
    data = stage.dataset("photographs") or stage.dataset("drawn")
    if data is None:
        stage.verdicts.failed("images/s", "no dataset, run the stage `data` first")
        return
    side, batch, arch = ("32", 32, "resnet18") if stage.rehearsal else ("224", 256, "resnet50")
    run, steps = stage.scratch("run"), 20 if stage.rehearsal else 80
    started = time.perf_counter()
    fit(
        f"--out={run}", f"--data.shards={data}", f"--data.image_size={side}", f"--data.eval_resize={side}",
        f"--device={stage.device}", f"--model.arch={arch}", f"--optim.global_batch={batch}", "--optim.epochs=200",
        f"--optim.max_steps={steps}", "--optim.lr=0.01", "--journal.tensorboard=false", "--journal.every_steps=10",
    )  # fmt: skip
    stage.verdicts.fact("seconds from the command to the export", time.perf_counter() - started)
    lines = metrics(run, "train")
    later = lines[len(lines) // 2 :]
    rate = sum(line["images_per_second"] for line in later) / len(later)
    wait = sum(line["data_wait"] for line in later) / len(later)
    stage.verdicts.fact("images/s that it tells, second half", rate)
    stage.verdicts.at_most("share of time that it waits for data", wait, 0.05)


if __name__ == "__main__":
    main()
