"""The pickle of a PyTorch checkpoint as data: a machine that knows tensors and containers alone.

Nothing that a file names is imported or called. An instruction or a name beyond the lists below
ends the reading, so the worst that a hostile file can do is to be refused.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

#: instructions of one pickle, at most: a state dict has about 40 for each tensor
MOST_INSTRUCTIONS = 1_000_000
#: sides of a tensor, at most: all that every release of NumPy takes
MOST_SIDES = 32
_LARGEST = 2**63 - 1
#: letters of what a file says that are told on
_TOLD = 80

#: storage classes of PyTorch, as NumPy names what they hold
DTYPES: Mapping[str, str] = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "|i1",
    "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
}
_ORDERED_DICT = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
_NAMES = {_ORDERED_DICT, _TENSOR, _PARAMETER, *DTYPES}


class PickleError(ValueError):
    """A pickle that holds more than tensors and containers, or that is damaged."""


@dataclass(frozen=True)
class Storage:
    """A stretch of numbers in the file: ``count`` values of NumPy type ``dtype`` under ``key``."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class TensorView:
    """A tensor as a view of a storage; offset and strides count values, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A name that the pickle mentions; it is compared, never looked up."""

    text: str


class _Mark:
    """Where the items of a container begin on the stack."""


def read_pickle(file: IO[bytes]) -> Any:
    """Return what the pickle at the position of a file holds; the position is then behind it.

    That is dicts, lists, tuples, strings, numbers, booleans, None and :class:`TensorView`. Raises
    PickleError for everything else.
    """
    machine = _Machine()
    try:
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if steps == MOST_INSTRUCTIONS:
                raise PickleError(f"it has more than {MOST_INSTRUCTIONS:,} instructions")
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, PickleError):
            raise
        raise PickleError(f"it is damaged ({told(str(error))})") from error
    raise PickleError("it has no end")


def told(text: str) -> str:
    """Return what a file says as far as a message can bear it: short, and nothing but letters."""
    return text if len(text) <= _TOLD and text.isprintable() else ascii(text[:_TOLD])


class _Machine:
    """Carries out the instructions that checkpoints are made of."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._simple: dict[str, Callable[[], object]] = {
            "MARK": _Mark,
            "NONE": lambda: None,
            "NEWTRUE": lambda: True,
            "NEWFALSE": lambda: False,
            "EMPTY_DICT": dict,
            "EMPTY_LIST": list,
            "EMPTY_TUPLE": tuple,
            "TUPLE": lambda: tuple(self._to_mark()),
            "TUPLE1": lambda: tuple(self._take(1)),
            "TUPLE2": lambda: tuple(self._take(2)),
            "TUPLE3": lambda: tuple(self._take(3)),
            "BINPERSID": lambda: _storage(self._stack.pop()),
            "REDUCE": self._reduce,
        }

    def result(self) -> Any:
        if len(self._stack) != 1:
            raise PickleError(f"it leaves {len(self._stack)} objects, not one")
        return self._stack[0]

    def step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in self._simple:
            stack.append(self._simple[name]())
        elif name in _CONSTANTS:
            stack.append(argument)
        elif name == "GLOBAL":
            stack.append(_name(argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("SETITEM", "SETITEMS"):
            items = self._take(2) if name == "SETITEM" else self._to_mark()
            if not all(isinstance(key, str | int) for key in items[::2]):
                # a tuple of tuples of tuples takes forever, or a crash, to look up
                raise PickleError("it is damaged (a dict with keys that are no names)")
            _expect(stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            items = self._take(1) if name == "APPEND" else self._to_mark()
            _expect(stack[-1], list).extend(items)
        elif name == "BUILD":
            # state dicts carry the versions of their layers, which say nothing about tensors
            stack.pop()
            _expect(stack[-1], dict)
        elif name != "PROTO":
            raise PickleError(f"it has an instruction {name}, which weights do not need")

    def _take(self, count: int) -> list[Any]:
        taken = self._stack[-count:]
        if len(taken) < count or any(isinstance(one, _Mark) for one in taken):
            raise PickleError("it is damaged (the stack is empty)")
        del self._stack[-count:]
        return taken

    def _to_mark(self) -> list[Any]:
        taken: list[Any] = []
        while not isinstance(top := self._stack.pop(), _Mark):
            taken.append(top)
        return taken[::-1]

    def _reduce(self) -> object:
        function, arguments = self._take(2)
        name = _expect(function, _Name).text
        values = _expect(arguments, tuple)
        if name == _ORDERED_DICT and not values:
            return {}
        if name == _TENSOR:
            return _tensor(*values[:4])
        if name == _PARAMETER:
            return _expect(values[0], TensorView)
        raise PickleError(f"it would call {name}")


_CONSTANTS = {
    *("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINSTRING", "BINSTRING", "INT", "LONG", "FLOAT", "UNICODE"),
}


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise PickleError(f"it is damaged (a {type(value).__name__} stands for a {kind.__name__})")
    return value


def _name(argument: str) -> _Name:
    text = argument.replace(" ", ".", 1)
    if text not in _NAMES:
        raise PickleError(f"beside weights it holds an object of {told(text)}")
    return _Name(text)


def _storage(given: Any) -> Storage:
    """Read what stands for a storage: its word, class, key, place and number of values."""
    word, kind, key, _, count = _expect(given, tuple)[:5]
    name = _expect(kind, _Name).text
    if word != "storage" or name not in DTYPES:
        raise PickleError("it is damaged (a storage that is none)")
    return Storage(_expect(key, str), DTYPES[name], _whole(count))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> TensorView:
    found = TensorView(
        _expect(storage, Storage), _whole(offset), _whole_numbers(shape), _whole_numbers(strides)
    )
    if len(found.shape) != len(found.strides):
        raise PickleError("it is damaged (a tensor without sense)")
    last = sum((side - 1) * step for side, step in zip(found.shape, found.strides, strict=True))
    # an empty tensor has no numbers, yet NumPy counts its other sides
    count = math.prod(max(side, 1) for side in found.shape)
    if 0 in found.shape:
        held = count <= _LARGEST // 8
    else:
        # a step of 0 repeats values, and with them makes a small file large
        held = max(count, found.offset + last + 1) <= found.storage.count
    if not held:
        raise PickleError("it is damaged (a tensor that is larger than its storage)")
    return found


def _whole_numbers(values: Any) -> tuple[int, ...]:
    if len(_expect(values, tuple)) > MOST_SIDES:
        raise PickleError(f"it has a tensor of {len(values)} dimensions")
    for value in values:
        _whole(value)
    whole: tuple[int, ...] = values
    return whole


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise PickleError("it is damaged (a size that is none)")
    return value
