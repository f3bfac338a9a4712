"""model.onnx: one file, batches of any size, the card in metadata_props.

Format: https://onnx.ai/onnx/repo-docs/IR.html
"""

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact
from tarn.training.export.graph import INPUT, OUTPUT

KEY = "tarn"
MOST = 2**31 - 1  # bytes of a message of protocol buffers


def write(artifact: Artifact, program: torch.export.ExportedProgram, path: Path) -> None:
    """Raises TarnError for a network that ONNX cannot say, or that has more than 2 GB."""
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        try:
            made = torch.onnx.export(
                program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False, external_data=False
            )
        except Exception as error:  # of many kinds
            reason = " ".join(str(error).split())[:200]
            raise TarnError(f"{artifact.arch} cannot be written as ONNX ({reason}): leave that format out.") from error
    assert made is not None
    model: Any = made.model_proto
    forget_where_it_was_made(model)
    told = {KEY: json.dumps(artifact.metadata(), ensure_ascii=False)}
    onnx.helper.set_model_props(model, told)
    if model.ByteSize() > MOST:
        raise TarnError(f"{artifact.arch} has {model.ByteSize():,} bytes, ONNX in one file at most {MOST:,}: use pt2.")
    path.write_bytes(model.SerializeToString())


def forget_where_it_was_made(model: Any) -> None:
    """The exporter notes names of modules and lines of code beside every node."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        del part.metadata_props[:]
        if hasattr(part, "doc_string"):
            part.doc_string = ""
