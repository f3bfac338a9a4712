"""model-bf16.openvino or model-int8.openvino in use, by OpenVINO; without torch."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.training.export.card import Card, checked
from tarn.training.plain.archive import Archive

MEMBERS = ("model.xml", "model.bin")
CARD, PRECISION = ["tarn", "card"], ["tarn", "precision"]  # where rt_info tells of them
FLOW = {"Loop", "TensorIterator", "If"}  # graphs inside a graph, as often as it likes
IN_BF16 = ("bf16", "int8")  # of the latter what is not quantised


class OpenvinoSession:
    """A Scorer. threads: by default the cores that this process may use.

    Raises TarnError for a file that is cut, lies, or is no model of ours.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        with Archive(path) as archive:
            if sorted(archive.names) != sorted(MEMBERS):
                raise TarnError(f"{path} holds {', '.join(archive.names)[:160]}, expected {' and '.join(MEMBERS)}.")
            xml, weights = (archive.read(name) for name in MEMBERS)
        core = the_core()
        try:
            model = core.read_model(xml, weights)
            told, precision = (model.get_rt_info(place).astype(str) for place in (CARD, PRECISION))
            card = json.loads(told)
        except Exception as error:  # the library has kinds of its own
            reason = " ".join(str(error).split())[-160:]
            raise TarnError(f"{path} holds no graph and card of ours ({reason}): export it again.") from error
        if kinds := sorted({op.get_type_name() for op in model.get_ops()} & FLOW):
            raise TarnError(f"{path} is refused: it wants {kinds[0]}, which may never end; no model needs it.")
        self.card = Card.from_metadata(card, str(path))
        side = self.card.preprocessing.crop
        taken = [
            (told.get_element_type().get_type_name(), told.get_partial_shape().to_string()) for told in model.inputs
        ]
        given = [
            (told.get_element_type().get_type_name(), told.get_partial_shape().to_string()) for told in model.outputs
        ]
        wanted = [("u8", f"[?,{side},{side},3]")], [("f32", f"[?,{self.card.num_classes}]")]
        if (taken, given) != wanted:
            raise TarnError(f"{path} takes {taken} and gives {given}, its card tells of {wanted}: export it again.")
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision in IN_BF16 and has_bf16(core) else "f32",
            "INFERENCE_NUM_THREADS": threads or available_cores(),
            "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all of these threads
        }
        try:
            self.request = core.compile_model(model, "CPU", settings).create_infer_request()
        except Exception as error:
            reason = " ".join(str(error).split())[-160:]
            raise TarnError(f"{path} holds a graph that OpenVINO refuses ({reason}): export it again.") from error

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raises TarnError where the graph cannot be computed, or gives no row for a picture."""
        try:
            self.request.infer([np.ascontiguousarray(pixels)])
            found: NDArray[np.float32] = self.request.get_output_tensor(0).data.copy()
        except Exception as error:
            reason = " ".join(str(error).split())[-160:]
            raise TarnError(f"the model cannot be computed by OpenVINO ({reason}): export it again.") from error
        return checked(found, len(pixels), self.card.num_classes)


@lru_cache(1)
def the_core() -> Any:
    """Kept as long as the process. OpenVINO gives the thread that first has one a stack for signals; with the last one
    that stack is freed, and the thread's next signal ends the process, if another thread let go."""
    return openvino.Core()


def has_bf16(core: Any) -> bool:
    """Whether the processor calculates in it: elsewhere OpenVINO would imitate it, or not find a way."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
