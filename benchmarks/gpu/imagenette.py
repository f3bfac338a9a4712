"""Imagenette at 128 px by the recipes of configs/, beside the published figures."""

import time

from benchmarks.gpu.stage import fit, metrics, read_stage

BARS = {5: 84.0, 20: 90.5, 80: 93.0}  # % top-1; fastai's leaderboard: 85.8, 91.6, 93.6 with networks tuned for it


def main() -> None:
    stage = read_stage("imagenette")
    data = stage.dataset("imagenette")
    if data is None:
        stage.verdicts.absent("top-1", "imagenette is not in the luggage")
        return
    for epochs, bar in BARS.items():
        run, started = stage.scratch(f"imagenette-{epochs}"), time.perf_counter()
        words = [f"--config=configs/imagenette_resnet50_{epochs}ep.yaml", f"--out={run}", f"--data.shards={data}"]
        if stage.rehearsal:
            words += [
                "--model.arch=resnet18", "--data.image_size=32", "--data.first_size=null", "--data.ramp=null",
                "--data.eval_resize=32", "--data.eval_crop=32", "--optim.max_steps=4", "--optim.global_batch=64",
            ]  # fmt: skip
        fit(*words, f"--device={stage.device}", "--journal.tensorboard=false")
        told = metrics(run, "epoch")[-1]
        done = f"{told['step']} steps of {epochs} epochs' recipe" if stage.rehearsal else f"{epochs} epochs"
        stage.verdicts.at_least(f"top-1 after {done}", 100 * told["val_top1"], bar, " %")
        stage.verdicts.fact(f"seconds for {done}, from the command to the export", time.perf_counter() - started)


if __name__ == "__main__":
    main()
