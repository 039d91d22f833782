"""Results as arrays and back: dataclasses, pydantic models, and containers of plain values."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from frostline.compute.cache.array_file import Arrays

T = TypeVar("T")

#: the array that holds everything but the arrays, as JSON; the others are called by their number
_TREE = "tree"


def encode(value: object) -> Arrays:
    """Return a value as named arrays; :func:`decode` undoes it."""
    arrays: Arrays = {}
    tree = json.dumps(_tree(value, arrays)).encode()
    return {_TREE: np.frombuffer(tree, dtype=np.uint8), **arrays}


def decode(arrays: Arrays, kind: type[T]) -> T:
    """Return the value of type ``kind`` that :func:`encode` was given.

    Raises LookupError, TypeError or ValueError if the arrays are those of something else.
    """
    value: T = _value(json.loads(arrays[_TREE].tobytes()), kind, arrays)
    return value


def _tree(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, np.ndarray | bytes):
        name = str(len(arrays))
        arrays[name] = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        return name
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if is_dataclass(value):
        return {field.name: _tree(getattr(value, field.name), arrays) for field in fields(value)}
    if isinstance(value, Mapping):
        return [[_tree(key, arrays), _tree(item, arrays)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_tree(item, arrays) for item in value]
    return value


def _value(tree: Any, kind: Any, arrays: Arrays) -> Any:
    outer, inner = get_origin(kind) or kind, get_args(kind)
    if outer in (Union, types.UnionType):
        chosen = [one for one in inner if (one is type(None)) == (tree is None)]
        return _value(tree, chosen[0], arrays)
    if outer is np.ndarray:
        return _array(arrays[tree], inner)
    if outer is bytes:
        return arrays[tree].tobytes()
    if issubclass(outer, BaseModel):
        return outer.model_validate_json(tree)
    if isinstance(outer, type) and is_dataclass(outer):
        hints = get_type_hints(outer)
        names = [field.name for field in fields(outer)]
        if list(tree) != names:
            raise ValueError(f"no {outer.__name__}")
        return outer(**{name: _value(tree[name], hints[name], arrays) for name in names})
    if issubclass(outer, Mapping):
        key, item = inner
        return {_value(k, key, arrays): _value(v, item, arrays) for k, v in tree}
    if issubclass(outer, list | tuple):
        return outer(_value(item, inner[0], arrays) for item in tree)
    if outer is float and isinstance(tree, int):
        return float(tree)
    if not isinstance(tree, outer):
        raise TypeError(f"{type(tree).__name__} is no {outer.__name__}")
    return tree


def _array(values: npt.NDArray[Any], wanted: tuple[Any, ...]) -> npt.NDArray[Any]:
    dtype = get_args(wanted[1])[0] if len(wanted) == 2 else Any
    if dtype is not Any and not np.issubdtype(values.dtype, dtype):
        raise TypeError(f"{values.dtype} is no {dtype.__name__}")
    return values
