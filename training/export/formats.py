"""The formats of an exported model: what each is called, what writes and reads it, and how near it must come."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

from tarn.sharding.errors import TarnError, UsageError

INSTALL = "pip install 'tarn-train[export]', or .venv/bin/uv pip install --editable '.[export]' in a checkout"
CLOSE, NEAR = 1e-5, 1e-4  # of logits: the same library again, another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """tolerance: of the logits, beside what they are themselves; None: of less than float32, judged by its top-1.
    reads: the modules that whoever reads it needs; writes: those of the export besides, from the extra `export`. torch:
    the oldest that writes it, where that is not the oldest that Tarn runs with."""

    name: str
    file: str
    tolerance: float | None
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    is_calibrated: bool = False
    torch: str | None = None

    @property
    def is_scored(self) -> bool:
        """Whether it is judged by its top-1, for which it takes pictures with labels."""
        return self.tolerance is None


FORMATS = {
    told.name: told
    for told in (
        Format(name="pt", file="model.pt", tolerance=CLOSE, reads=("torch",)),
        Format(name="pkl", file="model.pkl", tolerance=CLOSE, reads=("torch",)),
        Format(name="safetensors", file="model.safetensors", tolerance=CLOSE, reads=("torch", "safetensors")),
        Format(name="pt2", file="model.pt2", tolerance=NEAR, reads=("torch",), torch="2.8"),
        Format(
            name="onnx", file="model.onnx", tolerance=NEAR, reads=("onnxruntime", "onnx"), writes=("onnx", "onnxscript")
        ),
        Format(
            name="openvino-bf16",
            file="model-bf16.openvino",
            tolerance=None,
            reads=("openvino",),
            writes=("onnx", "onnxscript"),
        ),
        Format(
            name="openvino-int8",
            file="model-int8.openvino",
            tolerance=None,
            reads=("openvino",),
            writes=("onnx", "onnxscript", "nncf"),
            is_calibrated=True,
        ),
    )
}
DEFAULT = FORMATS["pt"], FORMATS["pkl"]


def chosen_formats(names: Iterable[str], key: str = "--formats") -> tuple[Format, ...]:
    """In the order of the table, each once, and with all that they need installed.

    Raises UsageError for an unknown one or none, TarnError where what it needs is not installed.
    """
    found = known_formats(names, key)
    for format in found:
        for module in (*format.reads, *format.writes):
            if find_spec(module) is None:
                raise TarnError(f"{key}={format.name} needs {module}, which is not installed: {INSTALL}.")
        if format.torch is not None and numbers(version("torch")) < numbers(format.torch):
            raise TarnError(f"{key}={format.name} needs torch {format.torch} or newer, this is {version('torch')}.")
    return found


def known_formats(names: Iterable[str], key: str = "--formats") -> tuple[Format, ...]:
    """The same, installed or not."""
    told = {name.strip() for name in names} - {""}
    unknown = sorted(told - FORMATS.keys())
    if unknown or not told:
        raise UsageError(f"{key}={','.join(unknown)} is unknown: choose from {', '.join(FORMATS)}.")
    return tuple(format for name, format in FORMATS.items() if name in told)


def numbers(version: str) -> tuple[int, ...]:
    """The first two of 2.8.1+cpu."""
    return tuple(int(number) for number in version.split(".")[:2])
