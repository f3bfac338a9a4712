"""A model that is served by a process of its own, and forms as browsers send them."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.checkout import ROOT
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class Running:
    """url: of the service. said: where its standard error goes."""

    url: str
    process: "subprocess.Popen[bytes]"
    said: Path


TEN = tuple(ClassInfo(f"n{number:08d}", f"class {number}") for number in range(10))


def exported(out: Path, seed: int = 1, classes: tuple[ClassInfo, ...] = TEN) -> Path:
    """A model.pt that has learned nothing, and a model.pkl beside it."""
    artifact = Artifact(
        arch="resnet18",
        small_stem=False,
        classes=classes,
        preprocessing=Preprocessing(resize=40, crop=32),
        provenance={"top1": 0.1, "seed": seed, "config": "out: /home/somebody/run\n"},
        state_dict=build_model("resnet18", len(classes), seed=seed).state_dict(),
    )
    return publish(artifact, out)[0]


@contextlib.contextmanager
def served(model: Path, folder: Path, *words: str) -> Iterator[Running]:
    """Once it answers; ended at the end, if it has not before."""
    said = folder / "service.log"
    command = [sys.executable, "-m", "tarn.inference", "serve", str(model), "--port=0", *words]
    with said.open("wb") as log, subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log) as process:
        try:
            yield Running(address(process, said), process, said)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(40)
                finally:
                    process.kill()


def address(process: "subprocess.Popen[bytes]", said: Path) -> str:
    while True:
        found = re.search(r"at (http://\S+) \(Ctrl-C", said.read_text())
        if found is not None:
            return found[1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise RuntimeError(f"the service ended with {process.wait(0.1)}: {said.read_text()}")


def form(**parts: bytes | str) -> tuple[bytes, dict[str, str]]:
    """A body, and its headers (RFC 7578). Bytes are files of that name, text is a field."""
    lines = []
    for name, value in parts.items():
        more = f'; filename="{name}.jpg"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        name = name.rstrip("0123456789")
        lines.append(f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(lines) + b"--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"}
