"""Model files that want more than they may: each with its name, its bytes, and what it must be refused for.

Whatever can run touches the canary; nothing may.
"""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

Case = tuple[str, bytes, str]  # name of the file, bytes, pattern of the sentence

CALLED = (  # module, name: refused by it, called with the canary's path or a command that touches it
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("os", "execv"), ("subprocess", "Popen"),
    ("subprocess", "check_output"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"),
    ("builtins", "__import__"), ("builtins", "open"), ("builtins", "compile"), ("builtins", "map"),
    ("__builtin__", "apply"), ("pickle", "loads"), ("_pickle", "loads"), ("marshal", "loads"), ("runpy", "run_path"),
    ("importlib", "import_module"), ("shutil", "rmtree"), ("pathlib", "Path"), ("operator", "attrgetter"),
    ("functools", "partial"), ("types", "FunctionType"), ("copyreg", "_reconstructor"), ("codecs", "encode"),
    ("ctypes", "CDLL"), ("socket", "create_connection"), ("webbrowser", "open"), ("numpy", "load"),
    ("torch", "load"), ("torch.hub", "load"), ("torch.jit", "load"), ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch.serialization", "add_safe_globals"), ("torch.nn.modules.module", "Module"),
    ("tarn.training.export.pickling", "Portable"), ("tarn.training.model.resnet", "stage"),
    ("collections", "OrderedDict.__init__.__globals__"), ("training.model", "torch.load"),
)  # fmt: skip


def text(told: str) -> bytes:
    return b"X" + struct.pack("<I", len(told.encode())) + told.encode()


def call(module: str, name: str, argument: str) -> bytes:
    """Protocol 4, the name put together on the stack."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def pickles(canary: Path) -> Iterator[Case]:
    touch = f"touch {canary}"
    for module, name in CALLED:
        module_told = {"training.model": "tarn.training.model.resnet"}.get(module, module)
        yield f"{module}-{name}.pkl", call(module, name, touch), rf"wants {module_told}\.{name}, which"
    system = call("os", "system", touch)
    yield "text.pkl", f"cos\nsystem\n(S'{touch}'\ntR.".encode(), r"wants os\.system"
    yield "inst.pkl", f"(S'{touch}'\nios\nsystem\n.".encode(), r"wants os\.system"
    yield "inst-known.pkl", b"(icollections\nOrderedDict\n.", r"builds collections\.OrderedDict in a way"
    yield "obj.pkl", b"(ccollections\nOrderedDict\no.", r"instruction OBJ"
    yield "nested.pkl", b"\x80\x04}" + text("state_dict") + system[2:-1] + b"s.", r"wants os\.system"
    memoised = (
        b"\x80\x04" + text("os") + b"\x94" + text("system") + b"\x94" + b"00h\x00h\x01\x93" + text(touch) + b"\x85R."
    )
    yield "memo.pkl", memoised, r"wants os\.system"
    yield "memo-of-nothing.pkl", b"\x80\x04h\x07.", r"is no whole file"
    yield "memo-far.pkl", b"\x80\x04Nr" + struct.pack("<I", 2**31 - 1) + b"0" + system[2:], r"wants os\.system"
    known = b"ctarn.training.model.resnet\nResNet\n"
    yield "newobj.pkl", b"\x80\x04cos\n_wrap_close\n)\x81.", r"wants os\._wrap_close"
    yield "newobj-of-a-function.pkl", b"\x80\x04ctorch._utils\n_rebuild_tensor_v2\n)\x81.", r"object of torch\._utils"
    yield "newobj-ex.pkl", b"\x80\x04" + known + b")}\x92.", r"instruction NEWOBJ_EX"
    yield (
        "build-on-a-class.pkl",
        known + b"}" + text("forward") + b"Nsb.",
        r"state of tarn\.training\.model\.resnet\.ResNet",
    )
    yield "build-evil.pkl", known + b")\x81" + system[2:-1] + b"b.", r"wants os\.system"
    yield "build-on-a-list.pkl", b"]}b.", r"state of list"
    yield "called-class.pkl", known + text(touch) + b"\x85R.", r"expected a network|of another shape"
    yield "called-text.pkl", text("eval") + text(touch) + b"\x85R.", r"calls a str"
    yield "extension.pkl", b"\x80\x02\x82\x01.", r"instruction EXT1|is no whole file"
    yield "persistent.pkl", b"Pos.system\n.", r"instruction PERSID"
    yield "persistent-binary.pkl", text("storage") + b"Q.", r"persistent id"
    yield "key.pkl", b"})Ns.", r"tuple for a key"
    doubled = b")\x940" + b"".join(b"h" + bytes([at]) + b"h" + bytes([at]) + b"\x86\x940" for at in range(60))
    yield "hash-bomb.pkl", doubled + b"}h<Ns.", r"tuple for a key"
    yield "long-text.pkl", b"\x8d" + struct.pack("<Q", 2**60) + b"x.", r"is no whole file"
    yield "long-bytes.pkl", b"\x8e" + struct.pack("<Q", 2**40) + b"x.", r"is no whole file"
    yield "instructions.pkl", b"N0" * 1_000_001 + b"N.", r"more than 2,000,000 instructions"
    yield "list-as-dictionary.pkl", b"]" + text("a") + b"Ns.", r"fills a list as if"
    yield "dictionary-as-list.pkl", b"}Na.", r"fills a dict as if"
    many = b"](" + b"".join(text(f"k{at}") + b"N\x86" for at in range(20_000)) + b"e\x940"
    again = (b"ccollections\nOrderedDict\nh\x00\x85R" + b"0") * 5_000
    yield "again.pkl", many + again + b"N.", r"calls collections\.OrderedDict with the same again and again"
    long = text("x" * 1_000_000) + b"\x940" + (b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86R") * 1_000
    yield "long-again.pkl", long + b".", r"calls _codecs\.encode with the same again and again"
    told = doubled + b"}(" + text("format") + text("tarn-model") + text("version") + b"h<u."
    yield "told-bomb.pkl", told, r"more than 2,000,000 things"
    deep = b"}(" + text("format") + text("tarn-model") + text("version") + b")" + b"\x85" * 5_000 + b"u."
    yield "deep.pkl", deep, r"200 within each other"
    yield "in-itself.pkl", b"]\x94h\x00a.", r"within itself"
    yield "modules.pkl", modules(known), r"more than 2,000,000 things"
    told = b"}(" + text("tarn") + b"}" + text("_parameters") + b"K\x05u"
    yield "parameters.pkl", known + b")\x81" + told + b"b.", r"no whole file"
    yield "number.pkl", b"I7\n.", r"holds a int"
    legacy = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, legacy, _use_new_zipfile_serialization=False)
    raw = legacy.getvalue()
    inner = pickle.dumps(raw[:-8] + struct.pack("<2f", 1, 2))[2:-1]
    yield (
        "inner-storage.pkl",
        b"ctorch.storage\n_load_from_bytes\n" + pickle.dumps(system)[2:-1] + b"\x85R.",
        r"no storage",
    )
    yield "inner-dictionary.pkl", b"ctorch.storage\n_load_from_bytes\n" + inner + b"\x85R.", r"no storage"
    yield "legacy-cut.pt", raw[:-4], r"claims a storage of 2 numbers|is no whole file"
    yield "legacy-count.pt", raw.replace(struct.pack("<q", 2) + bytes(8), struct.pack("<q", 9) + bytes(8)), r"stores 9"
    yield "legacy-evil.pt", raw[: raw.index(b"}q\x00X\x01\x00\x00\x00aq")] + system[2:], r"wants os\.system"


def modules(known: bytes) -> bytes:
    """A network of eleven levels, each of which has the next fifty times."""
    data = known + b")\x81}b\x940"
    for level in range(11):
        inner = b"".join(text(f"k{at}") + b"h" + bytes([level]) for at in range(50))
        data += known + b")\x81}" + text("_modules") + b"}(" + inner + b"usb\x940"
    return data + known + b")\x81}(" + text("tarn") + b"}" + text("_modules") + b"}" + text("a") + b"h\x0bsub."


def zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tensor(
    count: Any = 4, offset: int = 0, size: Any = (4,), stride: Any = (1,), key: str = "0", kind: str = "Float"
) -> bytes:
    """data.pkl of {"a": a tensor that is told so}."""
    pid = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"
    parts = pid + number(offset) + numbers(size) + numbers(stride) + b"\x89)"
    return b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"tRs."


def number(told: int) -> bytes:
    return f"L{told}L\n".encode()


def numbers(told: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, told)) + b"t"


def archives(canary: Path) -> Iterator[Case]:
    def pt(data: bytes, storage: bytes = bytes(16), **more: bytes) -> bytes:
        return zipped({"m/data.pkl": data, "m/data/0": storage, **more})

    for module, name in (("os", "system"), ("builtins", "eval"), ("torch.jit", "load"), ("collections", "deque")):
        evil = call(module, name, f"touch {canary}")
        yield f"{module}-{name}.pt", pt(evil), rf"wants {module}\.{name}"
    yield "storage-short.pt", pt(tensor(), bytes(12)), r"claims a storage of 4 numbers of 4 bytes where 12 bytes lie"
    yield "storage-long.pt", pt(tensor(), bytes(20)), r"where 20 bytes lie"
    yield "storage-huge.pt", pt(tensor(2**40)), r"claims a storage of 1,099,511,627,776"
    yield "storage-negative.pt", pt(tensor(-4)), r"storage '0' of -4"
    yield "storage-elsewhere.pt", pt(tensor(key="../../etc/passwd")), r"storage '\.\./\.\./etc/passwd'"
    doubled = b")\x940" + b"".join(b"h" + bytes([at]) + b"h" + bytes([at]) + b"\x86\x940" for at in range(60))
    told = tensor().replace(b"X\x01\x00\x00\x000X", b"h<X")
    yield "storage-bomb.pt", pt(told[:2] + doubled + told[2:]), r"a storage tuple"
    told = tensor().replace(numbers((4,)), b"h<")
    yield "size-bomb.pt", pt(told[:2] + doubled + told[2:]), r"size tuple"
    wide = b"\x8b" + struct.pack("<i", 20_000_000) + b"\x7f" * 20_000_000 + b"\x940"
    told = tensor(size=(4,)).replace(numbers((4,)) + numbers((1,)), b"h\x00\x85h\x00\x85")
    yield "size-beyond.pt", pt(told[:2] + wide + told[2:]), r"size tuple and strides tuple"
    yield "views.pt", views(), r"many of its names stand for the same numbers"
    yield "point.pt", point(), r"no whole file"
    yield "storage-missing.pt", pt(tensor(key="7")), r"lacks m/data/7"
    yield "storage-kind.pt", pt(tensor(kind="QInt8")), r"wants torch\.QInt8Storage"
    yield "size.pt", pt(tensor(size=(5,))), r"tensor of 5 numbers that reaches to 4 of 4"
    yield "stride.pt", pt(tensor(size=(2,), stride=(4,))), r"reaches to 4 of 4"
    yield "offset.pt", pt(tensor(offset=1)), r"reaches to 4 of 4"
    yield "offset-negative.pt", pt(tensor(offset=-1)), r"at -1"
    yield "stride-negative.pt", pt(tensor(stride=(-1,))), r"strides \(-1,\)"
    yield "size-negative.pt", pt(tensor(size=(-4,))), r"size \(-4,\)"
    yield "expanded.pt", pt(tensor(size=(10**12,), stride=(0,))), r"tensor of 1000000000000 numbers"
    yield "overflow.pt", pt(tensor(size=(2**32, 2**32), stride=(1, 1))), r"reaches to"
    yield "dimensions.pt", pt(tensor(size=(1,) * 99, stride=(1,) * 99)), r"tensor of size"
    yield "strides.pt", pt(tensor(size=(2, 2), stride=(1,))), r"tensor of size"
    yield "tensor-of-text.pt", pt(tensor().replace(b"tQ", b"t")), r"something that is no storage"
    yield "bomb.pt", zipped({"m/data.pkl": bytes(50_000_000)}, zipfile.ZIP_DEFLATED), r"data\.pkl is packed to"
    yield "code.pt", pt(tensor(), **{"m/code/__torch__.py": b"import os"}), r"TorchScript, which is code"
    yield "two.pt", zipped({"m/data.pkl": tensor(), "n/data.pkl": tensor()}), r"no data\.pkl|TorchScript"
    yield "none.pt", zipped({"m/version": b"3"}), r"no data\.pkl"
    yield "order.pt", pt(tensor(), **{"m/byteorder": b"big"}), r"another byte order"
    yield "upwards.pt", pt(tensor(), **{"../../../tmp/x": b""}), r"leads elsewhere"
    yield "absolute.pt", pt(tensor(), **{"/etc/cron.d/x": b""}), r"leads elsewhere"
    yield "drive.pt", pt(tensor(), **{"C:\\x": b""}), r"leads elsewhere"
    twice = pt(tensor(), **{"m/data/1": b""}).replace(b"m/data/1", b"m/data/0")
    yield "twice.pt", twice, r"m/data/0 comes twice"
    whole = pt(tensor())
    yield "cut.pt", whole[:-30], r"is no whole zip"
    claimed = whole.replace(struct.pack("<2I", 16, 16), struct.pack("<2I", 2**31, 2**31))
    yield "overlapping.pt", claimed, r"its members claim"
    card = {
        "format": "tarn-model",
        "version": 1,
        "arch": "timm/vit_gigantic_patch14_224",
        "classes": [],
        "provenance": {},
    }
    sizes = {"resize": 256, "crop": 224, "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear antialias"}
    model = {"num_classes": 1, "small_stem": False}
    large = io.BytesIO()
    more = {"classes": [{"wnid": "n1", "name": "cat"}], "provenance": {}, "state_dict": {"a": torch.zeros(1)}}
    torch.save({**card, **more, "model": model, "preprocessing": sizes}, large)
    yield "gigantic.pt", large.getvalue(), r"weights that do not fit timm/vit_gigantic_patch14_224"
    for name, change, words in (
        ("no-classes", {"classes": []}, r"has no classes"),
        ("half-a-pair", {"classes": [{"wnid": "n1", "name": "\ud800"}]}, r"metadata of another shape"),
        ("provenance-pairs", {"provenance": [[1, 2]]}, r"a list for the provenance"),
        ("provenance-tensor", {"provenance": {"a": torch.zeros(1)}}, r"a Tensor in the provenance"),
        ("crop", {"preprocessing": {**sizes, "crop": 10**7, "resize": 10**7}}, r"crop of 10000000 px is more"),
        ("crop-endless", {"preprocessing": {**sizes, "crop": float("inf")}}, r"infinity"),
    ):
        changed = io.BytesIO()
        torch.save({**card, **more, "model": model, "preprocessing": sizes, **change}, changed)
        yield f"{name}.pt", changed.getvalue(), words
    yield "damaged.pt", whole.replace(b"_rebuild", b"_Rebuild"), r"is damaged at m/data\.pkl"
    secret = bytearray(whole)
    at = secret.rindex(b"PK\1\2")
    secret[at + 8] |= 1
    yield "encrypted.pt", bytes(secret), r"is encrypted"


def views() -> bytes:
    """A ResNet-18's names, and 2,000 more for the same million numbers: 8 GB, were each of them copied."""
    out, numbers = io.BytesIO(), torch.zeros(1_000_000, dtype=torch.float16)
    names = {f"layer{stage}.{block}.x": numbers for stage in (1, 2, 3, 4) for block in (0, 1)}
    ends = {"conv1.weight": torch.zeros(4, 3, 7, 7), "fc.weight": torch.zeros(3, 4)}
    torch.save({**ends, **names, **{f"more{at}": numbers for at in range(2_000)}}, out)
    return out.getvalue()


def point() -> bytes:
    out = io.BytesIO()
    torch.save({"arch": "resnet18", "state_dict": {"a": torch.tensor(1.0)}}, out)
    return out.getvalue()


def safetensors_files() -> Iterator[Case]:
    def told(header: Any, data: bytes = bytes(16), length: int | None = None) -> bytes:
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(raw) if length is None else length) + raw + data

    def one(**change: Any) -> dict[str, Any]:
        return {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **change}}

    refused = r"is no whole \.safetensors file"
    yield "length.safetensors", told(one(), length=2**31), refused
    yield "shape.safetensors", told(one(shape=[2**40])), refused
    yield "overflow.safetensors", told(one(shape=[2**62, 4])), refused
    yield "beyond.safetensors", told(one(data_offsets=[0, 2**40])), refused
    yield "backwards.safetensors", told(one(data_offsets=[16, 0])), refused
    yield "kind.safetensors", told(one(dtype="PICKLE")), refused
    yield "json.safetensors", told(b"{'a': __import__('os')}"), refused
    yield "deep.safetensors", told(b'{"a":' + b"[" * 100_000), refused
    both = {**one(), "b": one()["a"]}
    yield "overlapping.safetensors", told(both), refused
    card = {"__metadata__": {"tarn": "[" * 100_000}, **one()}
    yield "card.safetensors", told(card), r"tells of itself in no JSON"
    yield "foreign.safetensors", told(one()), r"names tell none of"
