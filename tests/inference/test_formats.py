"""Every exported format, from the export to the scorer that reads it."""

import json
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.checkout import ROOT
from tarn.inference.models.kinds import kind_of
from tarn.inference.models.load import load
from tarn.inference.models.weights import read_weights
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.export.formats import FORMATS
from tarn.training.export.publish import publish
from tarn.training.export.trial import Trial
from tarn.training.export.verdict import Verdict
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing

for module in ("nncf", "onnx", "onnxruntime", "onnxscript", "openvino", "safetensors"):
    pytest.importorskip(module, reason="needs the extra `export`: uv pip install --editable '.[export]'")

CLASSES, SIDE = 10, 32
FLOAT32 = [name for name, format in FORMATS.items() if format.tolerance is not None]
GRAPHS = ["onnx", "openvino-bf16", "openvino-int8"]
PIXELS: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return Artifact(
        arch="resnet18",
        small_stem=False,
        classes=tuple(ClassInfo(f"n{label}", f"Bär {label}") for label in range(CLASSES)),
        preprocessing=Preprocessing(resize=36, crop=SIDE, mean=(0.4, 0.5, 0.6)),
        provenance={"step": 3, "val_top1": 0.5},
        state_dict=build_model("resnet18", CLASSES, seed=1).state_dict(),
    )


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return []


@pytest.fixture(scope="module")
def exported(artifact: Artifact, verdicts: list[Verdict], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each format. To be read only."""
    formats = tuple(FORMATS.values())
    trial = Trial(PIXELS, None, PIXELS[:16])
    paths = publish(artifact, tmp_path_factory.mktemp("all"), formats=formats, trial=trial, say=verdicts.append)
    return {format.name: path for format, path in zip(formats, paths, strict=True)}


@pytest.fixture(scope="module")
def wanted(artifact: Artifact) -> NDArray[np.float32]:
    how = artifact.preprocessing
    planes = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(told)[:, None, None] for told in (how.mean, how.std))
    with torch.no_grad():
        return artifact.build()((planes - mean) / std).numpy()  # type: ignore[no-any-return]


def test_nothing_but_the_files_is_left_and_each_was_judged(exported: dict[str, Path], verdicts: list[Verdict]) -> None:
    assert sorted(exported["pt"].parent.iterdir()) == sorted(exported.values())
    assert [told.file for told in verdicts] == [format.file for format in FORMATS.values()]
    assert {told.pictures for told in verdicts} == {64}
    for told, format in zip(verdicts, FORMATS.values(), strict=True):
        assert told.difference <= (1e-4 if format.tolerance is not None else 1.0)
        assert f"top-1 agrees on {told.agreement:.2%}" in str(told)


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_formats_agree_within_a_ten_thousandth_whatever_their_file_is_called(
    name: str, exported: dict[str, Path], wanted: NDArray[np.float32], tmp_path: Path
) -> None:
    renamed = shutil.copy(exported[name], tmp_path / "weights.bin")
    found = load(renamed).logits(PIXELS)
    assert np.abs(found - wanted).max() <= 1e-4
    assert (np.argsort(-found)[:, :5] == np.argsort(-wanted)[:, :5]).all()


@pytest.mark.parametrize("name", ["openvino-bf16", "openvino-int8"])
def test_formats_of_less_mostly_name_the_same_class(
    name: str, exported: dict[str, Path], wanted: NDArray[np.float32]
) -> None:
    found = load(exported[name]).logits(PIXELS)
    assert found.dtype == np.float32
    assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.8  # of noise, by random weights
    assert np.abs(found - wanted).mean() < 0.1 * wanted.std()


@pytest.mark.parametrize("name", FORMATS)
def test_the_card_travels_inside(name: str, exported: dict[str, Path], artifact: Artifact) -> None:
    assert load(exported[name]).card.metadata() == artifact.metadata()


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_a_batch_may_have_any_size(name: str, batch: int, exported: dict[str, Path]) -> None:
    scorer = load(exported[name])
    alone = np.concatenate([scorer.logits(PIXELS[at : at + 1]) for at in range(batch)])
    np.testing.assert_allclose(scorer.logits(PIXELS[:batch]), alone, atol=0.02)


@pytest.mark.parametrize("name", FORMATS)
def test_no_file_tells_of_the_machine_that_made_it(name: str, exported: dict[str, Path]) -> None:
    raw = exported[name].read_bytes()
    for told in (str(ROOT), str(exported[name].parent), "site-packages", "/.venv"):
        assert told.encode() not in raw


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
from tarn.inference.__main__ import main
sys.exit(main(["predict", *sys.argv[1:], "--format=json", "--top=3"]))
"""


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_predict_where_there_is_no_torch(name: str, exported: dict[str, Path], pictures: Path) -> None:
    picture = next(pictures.rglob("ILSVRC2012_val_00000001.JPEG"))
    words = [sys.executable, "-c", WITHOUT_TORCH, str(exported[name]), str(picture)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    assert len(told["predictions"]) == 3


def test_the_program_runs_with_torch_alone(
    exported: dict[str, Path], wanted: NDArray[np.float32], tmp_path: Path
) -> None:
    np.save(tmp_path / "pixels.npy", PIXELS[:4])
    code = (
        "import numpy, sys, torch; model = torch.export.load(sys.argv[1]).module();"
        "print(model(torch.from_numpy(numpy.load('pixels.npy'))).tolist()); assert 'tarn' not in sys.modules"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, str(exported["pt2"])]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    np.testing.assert_allclose(json.loads(done.stdout), wanted[:4], atol=1e-4)


def test_the_example_of_the_documents_runs_onnx_without_tarn(exported: dict[str, Path], pictures: Path) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert example is not None
    picture = next(pictures.rglob("ILSVRC2012_val_00000001.JPEG"))
    words = [sys.executable, "-c", example[1], str(exported["onnx"]), str(picture)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line.split("  ") for line in done.stdout.splitlines()]
    assert len(told) == 5
    ours = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *words[3:]], capture_output=True, text=True, check=True)
    assert [name for _, name in told][:3] == [each["name"] for each in json.loads(ours.stdout)[0]["predictions"]]


def test_openvino_reads_what_is_in_its_zip(
    exported: dict[str, Path], wanted: NDArray[np.float32], tmp_path: Path
) -> None:
    from tarn.training.export.openvino_session import the_core

    with zipfile.ZipFile(exported["openvino-bf16"]) as archive:
        archive.extractall(tmp_path)
    request = the_core().compile_model(tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(request(PIXELS)[0], wanted, atol=0.02)  # weights of 11 bits


LET_GO = """
import os, signal, sys, threading
import numpy as np
from pathlib import Path
from tarn.training.export.openvino_session import OpenvinoSession

held = [OpenvinoSession(Path(sys.argv[1]))]
held[0].logits(np.zeros((2, 32, 32, 3), np.uint8))
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.signal(signal.SIGTERM, lambda *told: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_process_that_let_go_of_a_graph_in_another_thread_still_takes_signals(exported: dict[str, Path]) -> None:
    words = [sys.executable, "-c", LET_GO, str(exported["openvino-bf16"])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


@pytest.mark.parametrize("name", ["onnx", "pt"])
def test_mirror_images_count_as_much_as_the_pictures(name: str, exported: dict[str, Path]) -> None:
    both = load(exported[name], flip=True).logits(PIXELS[:3])
    plain = load(exported[name])
    mirrored = np.ascontiguousarray(PIXELS[:3, :, ::-1])
    np.testing.assert_allclose(both, (plain.logits(PIXELS[:3]) + plain.logits(mirrored)) / 2, atol=1e-5)


def test_what_a_graph_cannot_do_is_told_in_one_sentence(exported: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"device='cuda' does not go with .*model\.onnx"):
        load(exported["onnx"], device="cuda")
    with pytest.raises(UsageError, match=r"--image-size=40 does not go with .*model-int8\.openvino"):
        load(exported["openvino-int8"], crop=40)
    assert load(exported["onnx"], crop=SIDE, resize=50).card.preprocessing.resize == 50


def test_every_kind_is_told_by_its_content(exported: dict[str, Path], tmp_path: Path) -> None:
    found = {name: kind_of(path) for name, path in exported.items()}
    assert found == {**{name: name for name in FLOAT32}, "openvino-bf16": "openvino", "openvino-int8": "openvino"}
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "model.xml").write_text("<?xml version='1.0'?><net/>")
    for name, told in (("empty", "is empty"), ("model.xml", "zip it with its .bin"), ("nowhere", "cannot be read")):
        with pytest.raises(TarnError, match=told):
            kind_of(tmp_path / name)


def altered_onnx(path: Path, change: str) -> bytes:
    import onnx

    model = onnx.load(path)
    if change == "external":
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../../etc/passwd")
    elif change == "inside":
        tensor = onnx.TensorProto(name="hidden", data_location=onnx.TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="/etc/shadow")
        inner = onnx.helper.make_graph([], "inner", [], [], [tensor])
        model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    elif change == "operator":
        model.graph.node[0].domain = "com.evil"
    elif change == "function":
        model.functions.append(onnx.helper.make_function("evil", "f", [], [], [], []))
    elif change == "unknown":
        model.graph.node[-1].op_type = "Execute"
    elif change == "card":
        del model.metadata_props[:]
    elif change == "classes":
        card = json.loads(model.metadata_props[0].value)
        model.metadata_props[0].value = json.dumps({**card, "classes": card["classes"][1:]})
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("external", r"lies in another file, '\.\./\.\./\.\./\.\./etc/passwd'"),
        ("inside", r"hidden lies in another file, '/etc/shadow'"),
        ("operator", r"wants com\.evil\."),
        ("function", r"brings functions of its own"),
        ("unknown", r"ONNX Runtime refuses"),
        ("card", r"is not a model exported by Tarn"),
        ("classes", r"its card tells of"),
    ],
)
def test_a_hostile_onnx_file_is_refused(change: str, told: str, exported: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "evil.onnx").write_bytes(altered_onnx(exported["onnx"], change))
    with pytest.raises(TarnError, match=rf"evil\.onnx.*{told}"):
        load(tmp_path / "evil.onnx")


def altered_zip(source: Path, target: Path, change: dict[str, tuple[bytes, bytes] | None], **more: bytes) -> None:
    """change: by the end of a member's name, what to replace in it by what; None cuts it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for ending, told in change.items():
                if name.endswith(ending):
                    assert told is None or told[0] in data
                    data = data[: len(data) // 2] if told is None else data.replace(*told, 1)
            new.writestr(name, data)
        for name, data in more.items():
            new.writestr(name, data)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("openvino-int8", {"model.bin": None}, r"holds no graph and card of ours|OpenVINO refuses"),
        ("openvino-int8", {"model.xml": None}, r"holds no graph and card of ours"),
        ("openvino-int8", {"model.xml": (b"tarn-model", b"tarn-modem")}, r"is not a model exported by Tarn"),
        (
            "openvino-int8",
            {"model.xml": (b'type="Convolution"', b'type="Execute"')},
            r"holds no graph and card of ours",
        ),
        ("openvino-int8", {"model.xml": (b'offset="0"', b'offset="99999999999"')}, r"holds no graph and card of ours"),
        ("pt2", {"model_weights_config.json": (b'"use_pickle": false', b'"use_pickle": true')}, r"to be unpickled"),
        ("pt2", {"model_weights_config.json": (b'"as_int": 64', b'"as_int": 6400')}, r"reaches to"),
        ("pt2", {"model_weights_config.json": (b'"as_int": 0', b'"as_int": -1')}, r"at -1"),
        ("pt2", {"model_weights_config.json": (b'"weight_0"', b'"../../x"')}, r"lacks .*x"),
        ("pt2", {"model_weights_config.json": (b'"dtype": 7', b'"dtype": 99')}, r"of a type that is unknown"),
        ("pt2", {"card.json": (b"tarn-model", b"tarn-modem")}, r"is not a model exported by Tarn"),
        ("pt2", {"weight_0": None}, r"reaches to|claims a storage"),
    ],
)
def test_a_hostile_archive_is_refused(
    name: str, change: dict[str, tuple[bytes, bytes] | None], told: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    altered_zip(exported[name], tmp_path / "evil", change)
    with pytest.raises(TarnError, match=rf"evil.*{told}"):
        load(tmp_path / "evil")


def test_code_in_a_program_is_left_alone(
    exported: dict[str, Path], wanted: NDArray[np.float32], tmp_path: Path
) -> None:
    """torch.export.load() evaluates the formulas of shapes; who reads the weights alone does not."""
    canary = tmp_path / "ran"
    evil = b"__import__('pathlib').Path('" + str(canary).encode() + b"').touch() or Symbol("
    altered_zip(exported["pt2"], tmp_path / "evil.pt2", {"models/model.json": (b"Symbol(", evil)})
    np.testing.assert_allclose(load(tmp_path / "evil.pt2").logits(PIXELS), wanted, atol=1e-4)
    assert not canary.exists()


def test_a_network_that_is_pickled_with_blurs_keeps_its_tensors(artifact: Artifact, tmp_path: Path) -> None:
    blurred = replace(artifact, blurpool=True)
    network = blurred.build()
    network.tarn = blurred.metadata()  # type: ignore[assignment]
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(network))
    read = read_weights(tmp_path / "model.pkl")
    assert read.blurpool
    assert read.state_dict.keys() == network.state_dict().keys()
    with torch.no_grad():
        images = torch.randn(2, 3, SIDE, SIDE)
        assert torch.equal(read.build()(images), network(images))


def test_sessions_take_no_more_threads_than_there_are_cores(exported: dict[str, Path]) -> None:
    from tarn.training.export.onnx_session import OnnxSession
    from tarn.training.export.openvino_session import OpenvinoSession

    options = OnnxSession(exported["onnx"]).session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (available_cores(), 1)
    for threads in (1, None):
        compiled = OpenvinoSession(exported["openvino-bf16"], threads).request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == (threads or available_cores())
