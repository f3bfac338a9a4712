"""model.onnx in use, by ONNX Runtime; without torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.training.export.card import Card, checked

KEY = "tarn"
DOMAINS = ("", "ai.onnx")  # of operators that every runtime has
FLOW = ("Loop", "Scan", "If", "SequenceMap")  # graphs inside a graph, as often as it likes
QUIET = 4  # fatal alone: what else is wrong comes as an exception


class OnnxSession:
    """A Scorer. threads: by default the cores that this process may use.

    Raises TarnError for a file that is cut, is no model of ours, or asks for other files or operators of its own.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        model = parsed(path)
        self.card = card_of(model, path)
        side = self.card.preprocessing.crop
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = QUIET
        try:
            # From memory: nothing beside the file is looked at.
            self.session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library has kinds of its own
            reason = " ".join(str(error).split())[:160]
            raise TarnError(f"{path} holds a graph that ONNX Runtime refuses ({reason}): export it again.") from error
        taken = [(told.type, told.shape[1:]) for told in self.session.get_inputs()]
        given = [(told.type, told.shape[1:]) for told in self.session.get_outputs()]
        wanted = [("tensor(uint8)", [side, side, 3])], [("tensor(float)", [self.card.num_classes])]
        if (taken, given) != wanted:
            raise TarnError(f"{path} takes {taken} and gives {given}, its card tells of {wanted}: export it again.")
        self.input = self.session.get_inputs()[0].name

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raises TarnError where the graph cannot be computed, or gives no row for a picture."""
        try:
            (found,) = self.session.run(None, {self.input: np.ascontiguousarray(pixels)})
        except Exception as error:  # the library has kinds of its own
            reason = " ".join(str(error).split())[-160:]
            raise TarnError(f"the model cannot be computed by ONNX Runtime ({reason}): export it again.") from error
        return checked(found, len(pixels), self.card.num_classes)


def parsed(path: Path) -> Any:
    """The message, which names no other file and no operator that would have to be brought along."""
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:
        raise TarnError(f"{path} is no whole ONNX file ({type(error).__name__}): export or copy it again.") from error
    if model.functions:
        raise TarnError(f"{path} is refused: it brings functions of its own, which no model exported by Tarn does.")
    for node, tensors in parts_of(model.graph):
        if node is not None and node.op_type in FLOW:
            raise TarnError(f"{path} is refused: it wants {node.op_type}, which may never end; no model needs it.")
        if node is not None and node.domain not in DOMAINS:
            raise TarnError(
                f"{path} is refused: it wants {node.domain}.{node.op_type}, an operator that ONNX does not have."
            )
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                places = [told.value for told in tensor.external_data if told.key == "location"]
                raise TarnError(
                    f"{path} is refused: {tensor.name or 'a tensor'} lies in another file, {', '.join(places)!r}; "
                    "give a model in one file."
                )
    return model


def parts_of(graph: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Every node of a graph and of those inside it, with the tensors that it holds."""
    sparse = [part for told in graph.sparse_initializer for part in (told.values, told.indices)]
    yield None, [*graph.initializer, *sparse]
    for node in graph.node:
        tensors = []
        for told in node.attribute:
            tensors += [told.t, *told.tensors]
            for each in (told.sparse_tensor, *told.sparse_tensors):
                tensors += [each.values, each.indices]
            for inner in ([told.g] if told.HasField("g") else []) + list(told.graphs):
                yield from parts_of(inner)
        yield node, tensors


def card_of(model: Any, path: Path) -> Card:
    told = {each.key: each.value for each in model.metadata_props}.get(KEY, "{}")
    try:
        card = json.loads(told)
    except (ValueError, RecursionError) as error:
        raise TarnError(f"{path} tells of itself in no JSON ({error}): export it again.") from error
    return Card.from_metadata(card, str(path))
