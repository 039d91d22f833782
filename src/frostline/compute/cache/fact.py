"""What is kept between runs, kind by kind: its name, its version, the libraries that make it."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache

import numpy as np
from pydantic import BaseModel

#: libraries of what is made of numbers, of images, by networks that are graphs, and by any network
NUMBERS = ("numpy",)
IMAGES = (*NUMBERS, "pillow")
GRAPHS = (*IMAGES, "onnx", "onnxruntime", "openvino")
NETWORKS = (*GRAPHS, "torch", "torchvision", "timm")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One kind of result that is kept between runs.

    Declare it at the top of the module that makes the result: a test compares that module, and all
    that it imports, with what they were when ``version`` was last raised.

    ``version``: raise it when the same inputs no longer give the same result. ``libraries``:
    distributions that the code which makes it imports: with another version of one nothing is found
    again.
    """

    name: str
    version: int
    libraries: tuple[str, ...]

    def key(self, inputs: Mapping[str, object], libraries: tuple[str, ...] | None = None) -> str:
        """Return 32 hex digits for this fact of some inputs; equal digits mean equal results.

        ``inputs``: all that the result turns on: numbers, texts, bytes, arrays, pydantic models,
        dataclasses, and lists, tuples and mappings of these. ``libraries``: fewer than usual, where
        these inputs are computed without the others.
        """
        wanted = self.libraries if libraries is None else libraries
        versions = {library: version_of(library) for library in wanted}
        return digest_of([self.name, self.version, versions, inputs])


@cache
def version_of(library: str) -> str:
    """Return the installed version of a distribution, ``"none"`` where it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def digest_of(value: object) -> str:
    """Return 32 hex digits that stand for a value, its types and its order.

    Raises TypeError if it holds anything else than what :meth:`Fact.key` names.
    """
    content = hashlib.sha256()
    for part in _parts(value):
        content.update(part)
    return content.hexdigest()[:32]


def _parts(value: object) -> Iterator[bytes | memoryview]:
    """Yield bytes from which a value could be read back: no two values have the same."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape}\n".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    elif isinstance(value, str | bytes):
        content = value.encode(errors="surrogatepass") if isinstance(value, str) else value
        yield f"{type(value).__name__} {len(content)}\n".encode()
        yield content
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}\n".encode()
        for name in sorted(value):
            yield from _parts(name)
            yield from _parts(value[name])
    elif isinstance(value, list | tuple):
        yield f"sequence {len(value)}\n".encode()
        for item in value:
            yield from _parts(item)
    elif value is None or isinstance(value, bool | int | float):
        # numbers of numpy write themselves otherwise
        plain = float(value) if isinstance(value, float) else value
        yield f"{plain!r}\n".encode()
    else:
        raise TypeError(f"{type(value).__name__} cannot be part of a key.")
