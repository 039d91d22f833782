"""A model folder as plain bytes: what can be copied, pickled and sent to other processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from frostline.core.errors import RunFolderError
from frostline.core.files import replacing
from frostline.model.model import Model
from frostline.model_format.model_folder import CARD, FAMILIAR, ONNX, WEIGHTS

#: the card comes last: without it nobody takes a folder for a model
_FILES = (WEIGHTS, ONNX, FAMILIAR, CARD)
#: models that cannot tell what is unfamiliar to them have none
_PERHAPS = {FAMILIAR}


class PackedModel:
    """The files of a model, in memory.

    Copies and pickles hold the bytes alone: safetensors, ONNX and JSON, nothing that runs when it
    is loaded.

    ``files``: ``weights.safetensors``, ``model.onnx``, ``model.json`` and perhaps
    ``familiar.safetensors``.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {name: files[name] for name in _FILES if name in files}
        self._opened: dict[tuple[int, int, int, int, bool], Model] = {}

    @classmethod
    def read(cls, folder: Path) -> PackedModel:
        """Read a model folder whole.

        Raises RunFolderError if one of its files cannot be read.
        """
        try:
            there = [name for name in _FILES if name not in _PERHAPS or (folder / name).exists()]
            return cls({name: (folder / name).read_bytes() for name in there})
        except OSError as error:
            raise RunFolderError(f"{folder} cannot be read: {error.strerror}.") from None

    def save(self, folder: str | Path) -> Path:
        """Write a model folder, for ``frostline predict``, ``serve`` or ``frostline.load``.

        Files of an earlier model in it are replaced.

        The result: the folder.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            if name not in self._files:
                (target / name).unlink(missing_ok=True)
                continue
            with replacing(target / name) as temporary:
                temporary.write_bytes(self._files[name])
        return target

    def open(
        self, *, threads: int, workers: int, max_pixels: int, embeddings: bool = False
    ) -> Model:
        """Return a model that predicts; opened once in each process.

        Takes and raises what :meth:`Model.load` does; InputError where it has no embedding.

        ``embeddings``: for :meth:`Model.transform` alone.
        """
        # a fork cannot open it anew from files that are gone
        key = (os.getpid(), threads, workers, max_pixels, embeddings)
        if key not in self._opened:
            with TemporaryDirectory(prefix="frostline-") as folder:
                model = Model.load(
                    self.save(folder), threads=threads, workers=workers, max_pixels=max_pixels
                )
                # the session is opened now, while there is a file to read
                size = model.card.preprocessing.size
                blank = np.zeros((size, size, 3), dtype=np.uint8)
                model.answer_prepared([blank], embeddings=embeddings)
            self._opened[key] = model
        return self._opened[key]

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(map(len, self._files.values()))

    def __getstate__(self) -> dict[str, Any]:
        return {"_files": self._files, "_opened": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedModel:
        # bytes never change
        return PackedModel(self._files)

    def __repr__(self) -> str:
        return f"PackedModel({self.n_bytes:,} bytes)"
