"""What is exported: a finished run, or an ONNX file that was exported before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.core.errors import InputError
from frostline.model.model import Model
from frostline.model.onnx_file import is_onnx_file, read_model
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import ONNX, find_model_folder

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Origin:
    """A model to export.

    ``given``: the run folder or the file, as the user named it. ``model``: the reference that every
    export is compared with.
    """

    given: Path
    model: Model

    @classmethod
    def open(cls, run: str | Path, *, threads: int | None = None) -> Origin:
        """Load a run or an exported file.

        Raises RunFolderError or InputError if there is no model.
        """
        return cls(Path(run), Model.load(run, threads=threads))

    @property
    def onnx_file(self) -> Path:
        """The model as one ONNX file."""
        folder = self.model.folder
        return folder if is_onnx_file(folder) else folder / ONNX

    @property
    def card(self) -> ModelCard:
        """The model card, without the place on this machine where the images lay."""
        card = self.model.card
        return card.model_copy(update={"source": Path(card.source).name})

    def graph(self) -> onnx.ModelProto:
        """Read the model's graph."""
        return read_model(self.onnx_file)

    def folder(self) -> Path:
        """Return the model folder, which has the weights for PyTorch.

        Raises InputError if the model is an ONNX file, which has none.
        """
        if is_onnx_file(self.model.folder):
            raise InputError(
                f"{self.given} is an ONNX file; PyTorch needs the weights of the run.",
                hint="Give the folder that 'frostline fit -o' wrote.",
            )
        return find_model_folder(self.model.folder)
