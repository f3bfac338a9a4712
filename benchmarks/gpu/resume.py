"""20 steps, and 10 + SIGTERM + the rest: the same weights, bit for bit, in bf16 with deterministic settings."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.gpu.stage import Stage, fit, read_stage


def main() -> None:
    stage = read_stage("resume")
    data = stage.dataset("photographs") or stage.dataset("drawn")
    if data is None:
        stage.verdicts.failed("bit-identical", "no dataset, run the stage `data` first")
        return
    for kind in ("off", "auto"):
        words = settings(stage, data, kind)
        whole, broken = (stage.scratch(f"resume-{kind}-{part}") for part in ("whole", "broken"))
        fit(f"--out={whole}", *words)
        stopped = interrupted(broken, words)
        fit(f"--out={broken}", *words)
        one, other = (torch.load(run / "model.pt", weights_only=True)["state_dict"] for run in (whole, broken))
        apart = sum(not torch.equal(one[name], other[name]) for name in one)
        stage.verdicts.at_most(f"tensors that differ, compile={kind}, stopped after step {stopped}", apart, 0)


def settings(stage: Stage, data: Path, kind: str) -> list[str]:
    size = "32" if stage.rehearsal else "128"
    return [
        f"--data.shards={data}", f"--data.image_size={size}", f"--data.eval_resize={size}", "--data.workers=2",
        f"--device={stage.device}", "--model.arch=resnet18", "--amp=bf16", "--optim.global_batch=32",
        "--optim.max_steps=20", "--optim.epochs=4", "--optim.warmup_epochs=0.1", "--speed.deterministic=true",
        f"--speed.compile={kind}", "--journal.tensorboard=false",
    ]  # fmt: skip


def interrupted(run: Path, words: list[str]) -> int:
    """Asks the run to leave once it has taken ten steps. Returns the step after which it left."""
    command = [sys.executable, "-m", "tarn.training", "fit", f"--out={run}", "--journal.every_steps=1", *words]
    process = subprocess.Popen(command, stdout=sys.stderr)
    lines = run / "metrics.jsonl"
    while process.poll() is None:
        if lines.exists() and lines.read_text().count('"train"') >= 10:
            os.kill(process.pid, signal.SIGTERM)
            break
        time.sleep(0.02)
    if process.wait() != 128 + signal.SIGTERM:
        raise RuntimeError(f"the run ended with {process.returncode} where it was asked to leave")
    return max(int(path.stem.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*.pt"))


if __name__ == "__main__":
    main()
