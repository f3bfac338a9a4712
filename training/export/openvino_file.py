"""model-bf16.openvino and model-int8.openvino: OpenVINO's two files in one zip, where they lie as they are.

python -m tarn.training.export.openvino_file MODEL.onnx OUT bf16|int8 [CALIBRATION.npy] < CARD

A process of its own makes them: what quantises is large, and is told here to report to nobody. Format:
https://docs.openvino.ai, "OpenVINO IR format"; quantisation: NNCF (Kozlov et al. 2020, arXiv 2002.08679).
"""

import logging
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from tarn.training.export.openvino_session import CARD, MEMBERS, PRECISION, the_core

SPARED = (0, 4, 12)  # convolutions: none, those up to the first block of a ResNet, up to the end of its first stage
ATTENTION = {"Softmax", "ScaledDotProductAttention"}  # operators that networks of convolutions alone do not have
ENOUGH = 0.99  # of the calibration pictures named as before
AT_ONCE = 32
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same zip


def main(source: str, out: str, precision: str, calibration: str | None = None) -> None:
    model = the_core().read_model(source)
    if calibration is not None:
        model = quantised(model, np.load(calibration, mmap_mode="r"))
    model.set_rt_info("", ["framework", "tarn"])  # the same, as it came from the ONNX file
    model.set_rt_info(sys.stdin.read(), CARD)
    model.set_rt_info(precision, PRECISION)
    with tempfile.TemporaryDirectory(dir=Path(source).parent) as folder:
        xml = Path(folder, MEMBERS[0])
        openvino.save_model(model, xml, compress_to_fp16=True)  # 10 bits of mantissa, of which bf16 keeps 7
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name in MEMBERS:
                archive.writestr(zipfile.ZipInfo(name, EPOCH), Path(folder, name).read_bytes())


def quantised(model: Any, pictures: NDArray[np.uint8]) -> Any:
    """In 8 bits, its ranges those of these pictures (N x H x W x 3), with as many of the first convolutions left out as
    it takes to name the same class for nearly all of them: what comes from flat pictures has few levels there."""
    os.environ["NNCF_CI"] = os.environ["CI"] = "true"  # no telemetry
    import nncf

    nncf.set_log_level(logging.ERROR)
    kinds = {op.get_type_name() for op in model.get_ordered_ops()}
    transformer = nncf.ModelType.TRANSFORMER if kinds & ATTENTION else None
    wanted = classes_of(model, pictures)
    names = [op.get_friendly_name() for op in model.get_ordered_ops() if "Convolution" in op.get_type_name()]
    found: list[tuple[float, Any]] = []
    for spared in SPARED:
        if found and spared >= len(names):
            break
        ranges = nncf.Dataset([pictures[at : at + 1] for at in range(len(pictures))])
        made = nncf.quantize(
            model.clone(),
            ranges,
            subset_size=len(pictures),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=transformer,
            ignored_scope=nncf.IgnoredScope(names=names[:spared]),
        )
        found.append((float((classes_of(made, pictures) == wanted).mean()), made))
        if found[-1][0] >= ENOUGH:
            break
    return max(found, key=lambda told: told[0])[1]


def classes_of(model: Any, pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    request = the_core().compile_model(model, "CPU", hint).create_infer_request()
    found = []
    for at in range(0, len(pictures), AT_ONCE):
        request.infer([np.ascontiguousarray(pictures[at : at + AT_ONCE])])
        found.append(request.get_output_tensor(0).data.argmax(1))
    return np.concatenate(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
