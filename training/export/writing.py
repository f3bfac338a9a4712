"""From an artifact to a file of any format; what several formats are made of is made once."""

import json
import pickle
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.storage.local import flush
from tarn.training.export.artifact import Artifact
from tarn.training.export.clean import run_clean
from tarn.training.export.formats import Format
from tarn.training.export.pickling import picklable

Look = Callable[[], object]


class Writing:
    """aside: a folder for what is made on the way. calibration: N x H x W x 3 uint8 of the training split, for int8.
    look: called now and then; what it raises ends the work."""

    def __init__(
        self, artifact: Artifact, aside: Path, calibration: NDArray[np.uint8] | None = None, look: Look = lambda: None
    ) -> None:
        self.artifact, self.aside, self.calibration, self.look = artifact, aside, calibration, look

    def write(self, format: Format, path: Path) -> None:
        """Whole, and on the medium. Raises UsageError where int8 has nothing to be calibrated on, TarnError for a
        network that the format cannot say; OSError, RuntimeError (torch's for a full disk)."""
        if format.name == "pt":
            with path.open("wb") as file:
                torch.save(self.artifact.to_payload(), file)
        elif format.name == "pkl":
            model = self.artifact.build()
            model.tarn = self.artifact.metadata()  # type: ignore[assignment]
            with path.open("wb") as file:
                pickle.dump(picklable(model, self.artifact), file, protocol=4)
        elif format.name == "safetensors":
            from tarn.training.export import safetensors_file

            safetensors_file.write(self.artifact, path)
        elif format.name == "pt2":
            from tarn.training.export import program

            program.write(self.artifact, self.program, path)
        elif format.name == "onnx":
            path.write_bytes(self.onnx.read_bytes())
        else:
            self.write_openvino(format, path)
        flush(path)

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        from tarn.training.export.graph import traced

        return traced(self.artifact)

    @cached_property
    def onnx(self) -> Path:
        from tarn.training.export import onnx_file

        path = self.aside / "graph.onnx"
        onnx_file.write(self.artifact, self.program, path)
        return path

    def write_openvino(self, format: Format, path: Path) -> None:
        words = [str(self.onnx), str(path), format.name.removeprefix("openvino-")]
        if format.is_calibrated:
            if self.calibration is None:
                raise UsageError(f"--formats={format.name} is calibrated on training pictures: give --shards.")
            pictures = self.aside / "calibration.npy"
            np.save(pictures, self.calibration)
            words.append(str(pictures))
        card = json.dumps(self.artifact.metadata(), ensure_ascii=False)
        code, said = run_clean("tarn.training.export.openvino_file", words, self.look, card)
        if code != 0:
            raise TarnError(f"{format.file} cannot be made of {self.artifact.arch} ({said}): leave that format out.")
