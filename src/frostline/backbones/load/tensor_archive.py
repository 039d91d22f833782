"""Read the tensors of a file that PyTorch wrote, without PyTorch; see :mod:`.tensor_pickle`."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frostline.backbones.load.tensor_pickle import (
    PickleError,
    Storage,
    TensorView,
    read_pickle,
    told,
)
from frostline.core.errors import BackboneError
from frostline.core.files import WEIGHTS_BYTES, UnfitFileError, read_regular

Array = npt.NDArray[Any]

#: how files from before PyTorch 1.6 begin: four pickles, then the numbers of every storage
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_tensors(path: Path) -> dict[str, Array]:
    """Return the tensors of a state dict by name, in the order of the file.

    Both formats are read: the archive that ``torch.save`` writes, and that of releases before 1.6.
    Nothing in the file is executed, and no more memory is taken than a few times the size of the
    file. Tensors are read-only views of its bytes.

    Raises
    ------
    BackboneError
        If the file is missing, too large, damaged, or holds anything but tensors.
    """
    try:
        content = read_regular(path, at_most=WEIGHTS_BYTES)
    except UnfitFileError as error:
        raise BackboneError(f"{path} cannot be read: {error}.") from None
    try:
        found, storage_bytes = _archive(content) if content[:2] == b"PK" else _legacy(content)
        return _tensors(found, storage_bytes)
    except PickleError as error:
        raise BackboneError(
            f"{path} cannot be read as weights: {error}.",
            hint="It takes a file that torch.save wrote from a state dict.",
        ) from None


_Bytes = Callable[[Storage], memoryview]


def _archive(content: bytes) -> tuple[Any, _Bytes]:
    """Open the format of today: a zip archive, stored and not compressed."""
    with _damage_of_archives():
        archive = zipfile.ZipFile(io.BytesIO(content))
    entries = {info.filename: info for info in archive.infolist()}
    if len(entries) < len(archive.infolist()):
        # readers differ in which of two parts of one name they take
        raise PickleError("it has two parts of one name")
    if sum(info.file_size for info in entries.values()) > len(content):
        raise PickleError("its parts overlap")
    pickles = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise PickleError("it has no data.pkl")
    root = pickles[0][: -len("data.pkl")]
    if any(i.compress_type != zipfile.ZIP_STORED or i.flag_bits & 1 for i in entries.values()):
        # what is stored takes the bytes that it has; what is compressed may be a bomb
        raise PickleError("its parts are compressed or encrypted")

    def part(name: str) -> bytes:
        with _damage_of_archives():
            return archive.read(entries[name])

    def storage_bytes(storage: Storage) -> memoryview:
        name = f"{root}data/{storage.key}"
        if name not in entries:
            raise PickleError(f"it lacks the numbers of storage {told(storage.key)}")
        return memoryview(part(name))

    if f"{root}byteorder" in entries and part(f"{root}byteorder") != b"little":
        raise PickleError("its numbers are big-endian")
    return read_pickle(io.BytesIO(part(pickles[0]))), storage_bytes


@contextmanager
def _damage_of_archives() -> Iterator[None]:
    """Raise PickleError for all that zipfile raises on archives that are damaged."""
    try:
        yield
    except (
        *(zipfile.BadZipFile, struct.error, EOFError, RuntimeError),
        *(ValueError, OverflowError),  # names that are no text, places that are none
    ) as error:
        raise PickleError(told(str(error)) or "it is cut short") from error


def _legacy(content: bytes) -> tuple[Any, _Bytes]:
    """Open the format of before 1.6: pickles, then for each storage its length and numbers."""
    file = io.BytesIO(content)
    if read_pickle(file) != _MAGIC or read_pickle(file) != _PROTOCOL:
        raise PickleError("it is no checkpoint of PyTorch")
    system = read_pickle(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise PickleError("its numbers are big-endian")
    found = read_pickle(file)
    keys = read_pickle(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise PickleError("it is damaged (no list of storages)")
    widths = {view.storage.key: np.dtype(view.storage.dtype).itemsize for view in _views(found)}
    whole, places, at = memoryview(content), {}, file.tell()
    for key in keys:
        count = int.from_bytes(content[at : at + 8], "little", signed=True)
        stop = at + 8 + count * widths.get(key, 1)
        if count < 0 or stop > len(content):
            raise PickleError("it is cut short")
        places[key] = whole[at + 8 : stop]
        at = stop

    def storage_bytes(storage: Storage) -> memoryview:
        if storage.key not in places:
            raise PickleError(f"it lacks the numbers of storage {told(storage.key)}")
        return places[storage.key]

    return found, storage_bytes


def _views(found: Any) -> list[TensorView]:
    return [value for value in _state(found).values() if isinstance(value, TensorView)]


def _state(found: Any) -> Mapping[Any, Any]:
    if not isinstance(found, dict):
        raise PickleError("it holds no dict of tensors")
    return found


def _tensors(found: Any, storage_bytes: _Bytes) -> dict[str, Array]:
    read: dict[Storage, Array] = {}
    tensors: dict[str, Array] = {}
    for name, view in _state(found).items():
        if not isinstance(view, TensorView):
            raise PickleError(f"beside tensors it holds {told(str(name))!r}")
        if not isinstance(name, str) or not name.isprintable():
            raise PickleError(f"it has a tensor called {told(str(name))!r}")
        storage = view.storage
        if storage not in read:
            numbers = storage_bytes(storage)
            if len(numbers) != storage.count * np.dtype(storage.dtype).itemsize:
                raise PickleError(f"storage {told(storage.key)} has another length than it says")
            read[storage] = np.frombuffer(numbers, dtype=storage.dtype)
        tensors[name] = _viewed(read[storage], view)
    if not tensors:
        raise PickleError("it holds no tensors")
    return tensors


def _viewed(numbers: Array, view: TensorView) -> Array:
    if 0 in view.shape:
        return np.zeros(view.shape, dtype=numbers.dtype)
    # where a side is 1 the step may be anything, and NumPy's numbers end
    strides = tuple(
        step * numbers.itemsize if side > 1 else 0
        for side, step in zip(view.shape, view.strides, strict=True)
    )
    return np.lib.stride_tricks.as_strided(
        numbers[view.offset :], view.shape, strides, writeable=False
    )
