"""A run in every form that it can be exported to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frostline.exporting.export import export


@dataclass
class Forms:
    """Exports of one run, by form.

    Attributes
    ----------
    paths : dict of str to Path
    sizes : dict of str to dict
        Bytes and notes of each form.
    loss : dict
        What 8 bits cost.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)


_TARGETS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("onnx", "export.onnx", {}),
    ("int8", "export-int8.onnx", {"quantize": "int8"}),
    ("program", "export.pt2", {"to": "torch"}),
    ("state dict", "export.safetensors", {"to": "torch"}),
    ("hub", "hub", {"to": "hub"}),
)


def export_all(run: Path) -> Forms:
    """Export a run in every form; each is checked against the model on the way."""
    forms = Forms()
    native = run / "model"
    forms.sizes["native"] = {"bytes": (native / "model.onnx").stat().st_size, "notes": []}
    for form, name, options in _TARGETS:
        done = export(run, run / name, overwrite=True, **options)
        if form == "state dict" and done.form != form:
            continue
        forms.paths[form] = done.path
        forms.sizes[form] = {
            "bytes": done.n_bytes,
            "notes": list(done.notes),
            "largest_difference": done.agreement.largest,
            "compared_on": done.agreement.n,
        }
        if done.loss is not None:
            forms.loss = done.loss.model_dump()
    return forms
