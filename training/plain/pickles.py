"""A pickle read as data: its instructions are followed here, and none of them can call or build anything but what is
listed.

Instructions: the documentation of pickletools (PEP 307, PEP 3154). Python's own Unpickler would ask find_class() for
names too, but build what it got: here objects are records of what they were to be, and PyTorch's weights_only=True is
no part of it (CVE-2025-32434 before torch 2.6, CVE-2026-24747 before 2.10).
"""

import io
import pickletools
from collections.abc import Callable
from typing import Any

from tarn.training.plain.rules import Name, RefusedError, Rules, Thing
from tarn.training.plain.unfolded import check_unfolded

MOST_INSTRUCTIONS = 2_000_000  # a ResNet-152 takes 60,000; each costs at most some hundred bytes of memory
SMALL = 1_000_000
KEY_TYPES = (str, int, float, bytes, type(None))  # what is hashed is never a tuple of tuples of tuples


class Reading:
    """One pickle, from where the stream stands to its end."""

    def __init__(self, stream: io.BytesIO, rules: Rules) -> None:
        self.stream, self.rules = stream, rules
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # what stands below each mark
        self.memo: dict[int, Any] = {}
        self.left = 2 * stream.getbuffer().nbytes + SMALL  # that calls may be given: mostly each part of it once

    def load(self) -> Any:
        """Raises RefusedError, naming what it asks for, and ValueError and others for what is no whole pickle."""
        for count, (instruction, told, _) in enumerate(pickletools.genops(self.stream)):
            if count >= MOST_INSTRUCTIONS:
                raise RefusedError(f"it has more than {MOST_INSTRUCTIONS:,} instructions, which no model needs")
            if instruction.name == "STOP":
                return check_unfolded(self.stack.pop())
            self.follow(instruction.name, told)
        raise ValueError("it has no end")

    def follow(self, name: str, told: Any) -> None:
        if name in IGNORED:
            return
        if name in LITERALS:
            self.stack.append(told)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name]())
        elif name in TUPLES:
            size = TUPLES[name]
            self.stack[-size:] = [tuple(self.stack[-size:])]
        elif name in PUTS:
            self.memo[len(self.memo) if told is None else told] = self.stack[-1]
        elif name in GETS:
            self.stack.append(self.memo[told])
        elif name in STEPS:
            STEPS[name](self)
        elif name in ("GLOBAL", "INST"):
            self.stack.append(self.named(*told.split(" ", 1)))
            if name == "INST":
                raise RefusedError(f"it builds {self.stack[-1].name} in a way that no model needs")
        else:
            raise RefusedError(f"it uses the instruction {name}, which no model needs")

    def named(self, module: Any, name: Any) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedError("it wants a name that is no text")
        module = (self.rules.renamed or {}).get(module, module)
        whole = f"{module}.{name}"
        if whole not in self.rules.calls and whole not in self.rules.things | self.rules.names:
            raise RefusedError(f"it wants {whole}, which no model needs")
        return Name(whole)

    def since_mark(self) -> list[Any]:
        found, self.stack = self.stack, self.outer.pop()
        return found

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def fill(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise RefusedError(f"it fills a {kind(target)} as if it were a dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[checked_key(key)] = value

    def dictionary(self) -> None:
        pairs = self.since_mark()
        self.stack.append({})
        self.fill(pairs)

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise RefusedError(f"it fills a {kind(target)} as if it were a list")
        target.extend(values)

    def add(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, set):
            raise RefusedError(f"it fills a {kind(target)} as if it were a set")
        target.update(checked_key(value) for value in values)

    def call(self) -> None:
        given, wanted = self.stack.pop(), self.stack.pop()
        if not isinstance(wanted, Name) or not isinstance(given, tuple):
            raise RefusedError(f"it calls a {kind(wanted)}")
        if wanted.name in self.rules.things:
            self.stack.append(Thing(wanted.name, given))
        elif wanted.name in self.rules.calls:
            self.left -= sum(len(part) for part in given if isinstance(part, str | bytes | list | tuple | dict | set))
            if self.left < 0:
                raise RefusedError(f"it calls {wanted.name} with the same again and again, which no model needs")
            self.stack.append(self.rules.calls[wanted.name](*given))
        else:
            raise RefusedError(f"it calls {wanted.name}, which no model needs")

    def new(self) -> None:
        _, wanted = self.stack.pop(), self.stack.pop()
        if not isinstance(wanted, Name) or wanted.name not in self.rules.things:
            raise RefusedError(f"it makes an object of {wanted.name if isinstance(wanted, Name) else kind(wanted)}")
        self.stack.append(Thing(wanted.name))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Thing):
            target.state = state
        elif not isinstance(target, dict):  # an OrderedDict's own attributes, of no use
            what = target.name if isinstance(target, Name) else kind(target)
            raise RefusedError(f"it sets the state of {what}, which no model needs")

    def outside(self) -> None:
        told = self.stack.pop()
        if self.rules.stored is None:
            raise RefusedError("it asks for what lies outside of it (a persistent id), which no such model needs")
        self.stack.append(self.rules.stored(told))


def checked_key(key: Any) -> Any:
    if not isinstance(key, KEY_TYPES):
        raise RefusedError(f"it has a {kind(key)} for a key, which no model needs")
    return key


def kind(value: Any) -> str:
    return type(value).__name__


IGNORED = frozenset({"PROTO", "FRAME"})
LITERALS = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
)
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
STEPS: dict[str, Callable[[Reading], None]] = {
    "MARK": Reading.mark,
    "POP": Reading.pop,
    "POP_MARK": lambda it: it.since_mark().clear(),
    "DUP": lambda it: it.stack.append(it.stack[-1]),
    "LIST": lambda it: it.push(it.since_mark()),
    "TUPLE": lambda it: it.push(tuple(it.since_mark())),
    "DICT": Reading.dictionary,
    "APPEND": lambda it: it.extend([it.stack.pop()]),
    "APPENDS": lambda it: it.extend(it.since_mark()),
    "SETITEM": lambda it: it.fill([*reversed((it.stack.pop(), it.stack.pop()))]),
    "SETITEMS": lambda it: it.fill(it.since_mark()),
    "ADDITEMS": lambda it: it.add(it.since_mark()),
    "STACK_GLOBAL": lambda it: it.stack.append(it.named(*reversed((it.stack.pop(), it.stack.pop())))),
    "REDUCE": Reading.call,
    "NEWOBJ": Reading.new,
    "BUILD": Reading.build,
    "BINPERSID": Reading.outside,
}
