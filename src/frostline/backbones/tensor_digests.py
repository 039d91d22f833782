"""SHA-256 of tensors by name, type and shape: what stands for a set of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

#: how PyTorch calls the types, since digests from before name them so
_TYPES = {
    "float64": "torch.float64",
    "float32": "torch.float32",
    "float16": "torch.float16",
    "int64": "torch.int64",
    "int32": "torch.int32",
    "int16": "torch.int16",
    "int8": "torch.int8",
    "uint8": "torch.uint8",
    "bool": "torch.bool",
}


def tensor_digest(type_name: str, shape: tuple[int, ...], content: bytes) -> str:
    """Return the SHA-256 of one tensor; ``type_name`` is as PyTorch writes it."""
    return hashlib.sha256(f"{type_name}{shape}".encode() + content).hexdigest()


def combined_digest(digests: Mapping[str, str]) -> str:
    """Return one SHA-256 over the names and digests of tensors."""
    total = hashlib.sha256()
    for name, digest in sorted(digests.items()):
        total.update(f"{name}={digest}\n".encode())
    return total.hexdigest()


def fingerprint_of(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the fingerprint of tensors: that which the same tensors have in PyTorch."""
    return combined_digest(
        {
            name: tensor_digest(
                _TYPES[str(value.dtype)], value.shape, np.ascontiguousarray(value).tobytes()
            )
            for name, value in tensors.items()
        }
    )
