"""What an export has become, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from frostline.core.task import Task
from frostline.exporting.agreement import Agreement


class Loss(BaseModel):
    """What an 8-bit file costs and saves; written into its metadata.

    Attributes
    ----------
    recipe : str
        What is 8 bits wide.
    layers_in_float, layers : int
        Layers whose weights stayed in float32, and all layers with weights.
    calibrated_on : int
        Images that set the ranges.
    judged_on : int
        Images of the next figures; others than the former if ``apart``.
    same_class : int
        Images with the same answer of both files: the class, all labels, or numbers within a tenth
        of their spread.
    largest_difference, mean_difference : float or None
        Absolute difference of a probability; of numbers as a share of the largest. None in a file
        that was written before this was kept.
    labelled : int
        Images among them whose label is known.
    learned_from : int or None
        Images among them that the model was trained on, or chosen by: being right on those proves
        nothing. None where that cannot be told.
    tested_on : int
        Images of the next figures: labelled, and not learned from.
    accuracy_before, accuracy : float or None
        Of the float32 file and of this one, on these; None without any. Of several labels the mean
        average precision, of numbers R2.
    bytes_before : int
        Size of the float32 file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    recipe: str
    layers_in_float: int = Field(ge=0)
    layers: int = Field(ge=1)
    calibrated_on: int = Field(ge=1)
    judged_on: int = Field(ge=1)
    apart: bool
    same_class: int = Field(ge=0)
    largest_difference: float | None = Field(default=None, ge=0)
    mean_difference: float | None = Field(default=None, ge=0)
    labelled: int = Field(ge=0)
    learned_from: int | None = Field(default=None, ge=0)
    tested_on: int = Field(default=0, ge=0)
    accuracy_before: float | None
    accuracy: float | None
    bytes_before: int = Field(ge=1)


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Attributes
    ----------
    path : Path
        The file or folder.
    form : {"onnx", "state dict", "program", "hub"}
        What it is: ``state dict`` and ``program`` are the two forms of a PyTorch export.
    n_bytes : int
        Size, of all files together.
    agreement : Agreement
        With the model it was made from.
    notes : tuple of str
        What a person should know, such as why it has this form.
    loss : Loss or None
        Of an 8-bit file.
    task : Task
        What the model predicts.
    """

    path: Path
    form: Literal["onnx", "state dict", "program", "hub"]
    n_bytes: int
    agreement: Agreement
    notes: tuple[str, ...] = ()
    loss: Loss | None = None
    task: Task = "single"
