"""What kind of file somebody gives as weights, by its content: the name may say anything."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from frostline.core.errors import BackboneError

#: what a file would call stands near its beginning
_LOOKED_AT = 16 * 2**20
#: how torch names what a file wants to call
_NAMED = re.compile(r"GLOBAL (\S+)")
#: a safetensors header begins after its length in eight bytes; theirs is at most 100 MB
_HEADER_BYTES = 100_000_000
_SAVE = "torch.save(model.state_dict(), 'weights.pth')"

#: (how a file begins, what it is, what to do)
_FOREIGN = (
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, as Keras writes them",
        "Networks of TensorFlow are not read; timm has most of them with weights of their own.",
    ),
    (
        b"version https://git-lfs",
        "only a pointer of Git LFS: the weights themselves were not fetched",
        "Run: git lfs pull",
    ),
    (b"GGUF", "a GGUF file, as language models have them", ""),
    (b"\x1f\x8b", "packed by gzip", "Unpack it first."),
    (b"Rar!", "a RAR archive", "Unpack it first."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
#: endings of files that cannot be told by their content
_ENDINGS = {
    ".onnx": "an ONNX file: a program, whose weights have lost their names",
    ".msgpack": "a file of Flax",
    ".tflite": "a file of TensorFlow Lite",
    ".pb": "a graph of TensorFlow",
    ".index": "a part of a TensorFlow checkpoint",
    ".engine": "an engine of TensorRT",
    ".mlmodel": "a model of Core ML",
}
#: modules whose functions act on the machine, and such functions of Python itself
_ACTING = (
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "shutil",
    "socket",
    "runpy",
    "importlib",
    "ctypes",
    "pty",
    "operator",
    "functools",
    "webbrowser",
    "commands",
    "pickle",
    "code",
    "codeop",
)
_ACTING_BUILTINS = (
    "eval",
    "exec",
    "compile",
    "open",
    "input",
    "getattr",
    "setattr",
    "delattr",
    "globals",
    "vars",
    "__import__",
    "breakpoint",
    "apply",
)
_BUILTINS = ("builtins", "__builtin__")
#: a pickle begins with this byte and its protocol; torch reads those up to 2 as data
_PROTOCOL, _READ_UP_TO = 0x80, 2


def kind_of(path: Path, head: bytes) -> str:
    """Return ``"safetensors"``, ``"numpy"`` or ``"torch"``, by the first bytes of a file.

    Raises BackboneError if it is a file of another kind; names the kind.
    """
    for start, what, hint in _FOREIGN:
        if head.startswith(start):
            raise BackboneError(f"Weights file {path} is {what}.", hint=hint)
    if _PAGE.match(head):
        raise BackboneError(
            f"Weights file {path} is a web page: it was saved in place of the file it leads to.",
            hint="Download the file itself.",
        )
    if head[257:262] == b"ustar":
        raise BackboneError(f"Weights file {path} is a tar archive.", hint="Unpack it first.")
    if head.startswith(b"PK"):
        return _kind_of_archive(path)
    if _is_safetensors(head) or path.suffix.lower() == ".safetensors":
        return "safetensors"
    what = _ENDINGS.get(path.suffix.lower(), "")
    if what:
        raise BackboneError(
            f"Weights file {path} is {what}.",
            hint="Give a safetensors file, or a state dict saved by torch.save.",
        )
    return "torch"


def _is_safetensors(head: bytes) -> bool:
    if len(head) < 9 or head[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return bool(0 < length <= _HEADER_BYTES)


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error):
        # torch says what is wrong with it
        return "torch"
    inner = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        raise BackboneError(
            f"Weights file {path} is a TorchScript program (of torch.jit.save); only weights are "
            "read, never programs.",
            hint="If you trust it: torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth').",
        )
    if "archive_format" in inner or any(name.startswith("models/") for name in inner):
        raise BackboneError(
            f"Weights file {path} is a program of torch.export; only weights are read.",
            hint=f"Where it was made: {_SAVE}",
        )
    if any(name.endswith((".weights.h5", "/keras_metadata.pb")) for name in names):
        raise BackboneError(
            f"Weights file {path} is a Keras archive.",
            hint="Networks of TensorFlow are not read; timm has most of them with weights of "
            "their own.",
        )
    if names and all(name.endswith(".npy") for name in names):
        return "numpy"
    if not any(name.rpartition("/")[2] == "data.pkl" for name in names):
        found = ", ".join(names[:3]) or "nothing"
        raise BackboneError(
            f"Weights file {path} is a zip archive of other files ({found}).",
            hint="Unpack it first.",
        )
    return "torch"


def refusal(path: Path, error: Exception) -> BackboneError:
    """Say why a pickle is not read as data: what it wanted to call, or how it was written.

    Nothing of it is carried out: its instructions are read as text.
    """
    wanted = list(dict.fromkeys(_names_in(path)))
    said = _NAMED.search(str(error))
    blamed = said[1].rstrip(".") if said is not None else None
    if blamed is not None:
        wanted.insert(0, blamed)
    if any(name.startswith("torch.nn.modules.") for name in wanted):
        whole = next((name for name in wanted if _is_of_somebody(name)), wanted[0])
        return BackboneError(
            f"Weights file {path} was refused: it holds a whole pickled network ({whole}), and "
            "loading it would run code of that class.",
            hint=f"Where it was made, save the weights alone: {_SAVE}",
        )
    acting = next((name for name in wanted if _acts(name)), None)
    if acting is not None:
        return BackboneError(
            f"Weights file {path} was refused: loading it would run code: {acting}.",
            hint="Ask its author for a safetensors file, or for a plain state dict.",
        )
    if blamed is not None:
        known = blamed.partition(".")[0] in sys.stdlib_module_names
        why = "not read as data" if known else "and making one would run code of that class"
        return BackboneError(
            f"Weights file {path} was refused: beside weights it holds an object of {blamed}, "
            f"{why}.",
            hint=f"Where it was made, save the weights alone: {_SAVE}",
        )
    return BackboneError(
        f"Weights file {path} cannot be read as plain weights: {_how_written(path)}.",
        hint="Use a safetensors file, or a state dict saved by torch.save.",
    )


def _acts(name: str) -> bool:
    """Whether something that a pickle names does things, rather than holds them."""
    root, _, rest = name.partition(".")
    return root in _ACTING or (root in _BUILTINS and rest in _ACTING_BUILTINS)


def _is_of_somebody(name: str) -> bool:
    """Whether a name is a class outside of PyTorch, by the custom of writing classes."""
    root, _, rest = name.partition(".")
    return root not in ("torch", "collections") and rest.rpartition(".")[2][:1].isupper()


def _how_written(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(16)
    if len(head) > 1 and head[0] == _PROTOCOL and head[1] > _READ_UP_TO:
        return (
            f"it was written by Python's pickle in protocol {head[1]}; PyTorch reads only its own "
            "files, of protocol 2, without running what they hold"
        )
    return f"it begins with {head!r}, as no file of weights does, or it is damaged"


def _names_in(path: Path) -> Iterator[str]:
    """Everything that a pickle names, in its order, as far as it can be read."""
    strings: list[str] = []
    try:
        # from memory: an argument that claims to be huge then ends with what there is
        beginning = io.BytesIO(_pickle_of(path))
        # reads the instructions of the pickle without carrying out any
        for instruction, argument, _ in pickletools.genops(beginning):
            if instruction.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif instruction.name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)
    except (OSError, ValueError, OverflowError, UnicodeDecodeError, zipfile.BadZipFile):
        return


def _pickle_of(path: Path) -> bytes:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.filename.rpartition("/")[2] == "data.pkl":
                    with archive.open(entry) as stream:
                        return stream.read(_LOOKED_AT)
    with path.open("rb") as stream:
        return stream.read(_LOOKED_AT)
