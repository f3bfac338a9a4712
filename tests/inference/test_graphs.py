"""Models that answer what means nothing, or never: graphs written by hand, and weights that are not finite."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.models import val
from support.services import exported
from tarn.inference.__main__ import main
from tarn.inference.models.load import load
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo

SIDE = 8
CARD = {
    "format": "tarn-model",
    "version": 1,
    "arch": "resnet18",
    "model": {"num_classes": 3, "small_stem": False},
    "classes": [{"wnid": f"n{label}", "name": f"class {label}"} for label in range(3)],
    "preprocessing": {"resize": SIDE, "crop": SIDE, "mean": [0, 0, 0], "std": [1, 1, 1]},
    "provenance": {},
}


def written(path: Path, *steps: tuple[str, Sequence[str], dict[str, Any]]) -> Path:
    """A graph whose logits come of "means", the mean colour of each picture, and of "zeros", by these steps."""
    onnx = pytest.importorskip("onnx", reason="needs the extra `export`: uv pip install --editable '.[export]'")
    pytest.importorskip("onnxruntime", reason="needs the extra `export`: uv pip install --editable '.[export]'")
    make, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        make.make_node("Cast", ["pixels"], ["floats"], to=kinds.FLOAT),
        make.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2], keepdims=0),
    ]
    names = [f"step {number}" for number in range(1, len(steps))] + ["logits"]
    nodes += [
        make.make_node(kind, taken, [name], **more) for (kind, taken, more), name in zip(steps, names, strict=True)
    ]
    graph = make.make_graph(
        nodes,
        "graph",
        [make.make_tensor_value_info("pixels", kinds.UINT8, ["batch", SIDE, SIDE, 3])],
        [make.make_tensor_value_info("logits", kinds.FLOAT, ["rows", 3])],
        [
            onnx.numpy_helper.from_array(np.zeros((1, 3), np.float32), "zeros"),
            onnx.numpy_helper.from_array(np.array([2**40, 2**20]), "gigantic"),
        ],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {"tarn": json.dumps(CARD)})
    path.write_bytes(model.SerializeToString())
    return path


def endless() -> dict[str, Any]:
    """The body of a Loop that goes on."""
    make, kinds = pytest.importorskip("onnx").helper, pytest.importorskip("onnx").TensorProto
    told = [("turn", kinds.INT64), ("on", kinds.BOOL)]
    taken = [make.make_tensor_value_info(name, kind, []) for name, kind in told]
    given = [make.make_tensor_value_info("still", kinds.BOOL, [])]
    return {"body": make.make_graph([make.make_node("Identity", ["on"], ["still"])], "body", taken, given)}


WRONG = {
    "one-row": ([("ReduceMean", ["means"], {"axes": [0], "keepdims": 1})], "answers 4 pictures by 1 x 3 numbers"),
    "two-rows": ([("Concat", ["means", "means"], {"axis": 0})], "answers 4 pictures by 8 x 3 numbers"),
    "no-memory": (
        [
            ("ConstantOfShape", ["gigantic"], {}),
            ("ReduceSum", ["step 1"], {"keepdims": 0}),
            ("Add", ["means", "step 2"], {}),
        ],
        "cannot be computed by ONNX Runtime",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_graph_that_does_not_answer_each_picture_is_no_model(
    name: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, words = WRONG[name]
    path = written(tmp_path / f"{name}.onnx", *steps)
    some = [str(val(pictures, number)) for number in (1, 2, 3, 4)]
    for more in [[]] if name != "one-row" else [[], [f"--out={tmp_path}/r.csv", "--workers=1"]]:
        assert main(["predict", str(path), *some, *more]) == 1
        told = capsys.readouterr()
        assert words in told.err
        assert len(told.err.splitlines()[-1]) < 400
        assert "class" not in told.out
    assert not (tmp_path / "r.csv").exists()


def test_a_graph_that_may_never_end_is_not_begun(tmp_path: Path) -> None:
    path = written(tmp_path / "loop.onnx", ("Loop", ["", ""], endless()), ("Identity", ["means"], {}))
    with pytest.raises(TarnError, match="it wants Loop, which may never end"):
        load(path)


def test_a_graph_of_openvino_that_may_never_end_is_not_begun(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the extra `export`: uv pip install --editable '.[export]'")
    ops = openvino.opset13
    pixels = ops.parameter([-1, SIDE, SIDE, 3], openvino.Type.u8, name="pixels")
    means = ops.reduce_mean(ops.convert(pixels, "f32"), np.array([1, 2]), keep_dims=False)
    still = ops.constant(np.array(True))
    turned = ops.parameter([-1, 3], openvino.Type.f32)
    loop = ops.loop(ops.constant(np.array(2**40)), still)
    body = openvino.Model([ops.relu(turned), ops.constant(np.array(True))], [turned], "body")
    loop.set_function(body)
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(turned, means.output(0), body.get_results()[0].output(0))
    model = openvino.Model([loop.get_iter_value(body.get_results()[0].output(0), -1)], [pixels], "graph")
    model.set_rt_info(json.dumps(CARD), ["tarn", "card"])
    model.set_rt_info("bf16", ["tarn", "precision"])
    openvino.save_model(model, tmp_path / "model.xml")
    with zipfile.ZipFile(tmp_path / "model.openvino", "w") as archive:
        for name in ("model.xml", "model.bin"):
            archive.write(tmp_path / name, name)
    with pytest.raises(TarnError, match="it wants Loop, which may never end"):
        load(tmp_path / "model.openvino")


def test_logits_that_are_not_finite_are_no_prediction(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = written(tmp_path / "nan.onnx", ("Div", ["zeros", "zeros"], {}), ("Mul", ["means", "step 1"], {}))
    path = exported(tmp_path / "model")
    payload = torch.load(path, weights_only=True)
    payload["state_dict"]["fc.bias"][3] = float("inf")
    torch.save(payload, path)
    for model, more in ((graph, []), (path, [f"--out={tmp_path}/r.jsonl", "--workers=1"])):
        assert main(["predict", str(model), str(val(pictures, 1)), *more]) == 1
        told = capsys.readouterr()
        assert "numbers that are not finite" in told.err
        assert "nan" not in told.out.lower()
    assert not (tmp_path / "r.jsonl").exists()


def test_what_a_class_or_a_file_is_called_does_nothing_to_a_terminal(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\n\u202ecat\r"
    path = exported(tmp_path / "model", classes=(ClassInfo("n1\x1b[2J", hostile), ClassInfo("n2", "Bär, 猫")))
    named = tmp_path / "\x1b[2J\n.jpg"
    named.write_bytes(val(pictures, 1).read_bytes())
    (tmp_path / "\x1b[2J.png").write_bytes(b"none")
    assert main(["predict", str(path), str(named), str(tmp_path / "\x1b[2J.png"), "--device=cpu"]) == 1
    told = capsys.readouterr()
    assert all(each.isprintable() or each == "\n" for each in told.out + told.err)
    assert len(told.out.splitlines()) == 5  # a picture and its two classes, a picture and its error
    assert r"\x1b]0;title\x07" in told.out
    assert "Bär, 猫" in told.out
