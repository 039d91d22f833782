"""A folder ready for a model hub: weights, configuration, a README and the ONNX file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from frostline.backbones.load.restore import restore_module
from frostline.core.files import sha256_of, system_errors
from frostline.core.preprocessing import CROP_MODES
from frostline.exporting.agreement import Agreement, Probabilities
from frostline.exporting.description import describe
from frostline.exporting.exported import Exported
from frostline.exporting.library_names import TIMM
from frostline.exporting.onnx_target import check_onnx, predicted, stamp
from frostline.exporting.origin import Origin
from frostline.exporting.placing import placing_folder
from frostline.exporting.pytorch.program import read_program
from frostline.exporting.pytorch.state import Plain, UnsuitableError
from frostline.exporting.pytorch.torch_target import (
    agreeing,
    agreement_of,
    read_weights_file,
    write_module,
)
from frostline.exporting.readme import readme
from frostline.exporting.samples import Samples, made_up_samples
from frostline.model_format.model_folder import CARD, FAMILIAR, ONNX, checked_file

WEIGHTS, CONFIG, README, PROGRAM = "model.safetensors", "config.json", "README.md", "model.pt2"
HEAD = "head.safetensors"


def export_hub_folder(origin: Origin, path: Path, *, samples: Samples | None) -> Exported:
    """Write a folder to publish, and check the weights and the ONNX file in it.

    Where timm or torchvision has a network that computes the same, ``model.safetensors`` has its
    names, and ``config.json`` is what timm reads. Where timm can hold all but the head, that lies
    in ``head.safetensors``. Otherwise ``model.safetensors`` has Frostline's own names, and
    ``model.pt2`` is the program for PyTorch. Raises InputError if the folder holds something else,
    or there are no weights for PyTorch; EngineError if a file does not give the model's
    probabilities.

    ``samples``: real images for the check.
    """
    images = samples or made_up_samples(origin.model)
    expected = predicted(origin.model, images)
    module = restore_module(origin.folder())
    plain: Plain | None = None
    reason = ""
    try:
        plain = agreeing(module, origin.model, images, expected)
    except UnsuitableError as found:
        reason = str(found)
    one = False
    with placing_folder(path, ours=CONFIG) as folder:
        if plain is None:
            one = _write_own(folder, module, origin)
        else:
            _write_plain(folder, plain, origin)
        graph = origin.graph()
        stamp(graph, origin.card, None)
        (folder / ONNX).write_bytes(graph.SerializeToString(deterministic=True))
        _write_card(folder, origin)
        text = readme(origin.card, name=path.name, plain=plain, reason=reason)
        (folder / README).write_text(text, encoding="utf-8")
        check_onnx(origin.model, folder / ONNX, samples, exact=True)
        agreement = _checked(folder, plain, origin, images, expected, one=one)
        size = sum(file.stat().st_size for file in folder.iterdir())
    note = f"{PROGRAM} is for PyTorch, as {reason}." if plain is None else _said(plain)
    return Exported(path, "hub", size, agreement, (note,), task=origin.card.task)


def config(origin: Origin, plain: Plain | None) -> dict[str, Any]:
    """Return ``config.json``, in timm's form where timm can read the weights."""
    card = origin.card
    described = describe(card, form="program" if plain is None else plain.form, how="")
    ours = {
        k: described[k] for k in ("frostline", "form", "task", "preprocessing", "input", "output")
    }
    if plain is None or plain.architecture.library != TIMM:
        return {
            "architecture": described["architecture"] if plain is None else plain.architecture.name,
            "library": None if plain is None else plain.architecture.library,
            "num_classes": len(card.classes),
            "label_names": list(card.classes),
            "frostline": ours,
        }
    whole = plain.form == "classifier"
    net = plain.architecture.build(len(card.classes) if whole else 0)
    source: dict[str, Any] = getattr(net, "pretrained_cfg", None) or {}
    preprocessing = card.preprocessing
    outputs = len(card.classes) if whole else 0
    return {
        "architecture": plain.architecture.name,
        "num_classes": outputs,
        "num_features": int(getattr(net, "num_features", 0)),
        **({} if whole else {"global_pool": "", "model_args": {"global_pool": ""}}),
        "label_names": list(card.classes),
        "pretrained_cfg": {
            "input_size": [3, preprocessing.size, preprocessing.size],
            "fixed_input_size": False,
            "interpolation": preprocessing.interpolation,
            "crop_pct": preprocessing.size / preprocessing.resize_to,
            "crop_mode": CROP_MODES[preprocessing.resize],
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "num_classes": outputs,
            "license": card.weights_licence,
            "first_conv": source.get("first_conv"),
            "classifier": source.get("classifier"),
        },
        "frostline": ours,
    }


def _write_plain(folder: Path, plain: Plain, origin: Origin) -> None:
    _save(folder / WEIGHTS, plain.state)
    if plain.head:
        _save(folder / HEAD, plain.head)
    _write_json(folder / CONFIG, config(origin, plain))


def _write_own(folder: Path, module: nn.Module, origin: Origin) -> bool:
    """Write Frostline's own weights and a program; whether that takes one image at a time only."""
    # tensors that share memory are written once each
    _save(folder / WEIGHTS, {name: t.clone() for name, t in module.state_dict().items()})
    _write_json(folder / CONFIG, config(origin, None))
    return not write_module(folder / PROGRAM, module, origin, file=PROGRAM)


def _write_card(folder: Path, origin: Origin) -> None:
    """Write the model card and the OOD score, so that Frostline loads the folder as a model."""
    if origin.card.familiar is not None:
        print_of = origin.card.fingerprints.familiar
        shutil.copyfile(checked_file(origin.folder(), FAMILIAR, print_of), folder / FAMILIAR)
    prints = origin.card.fingerprints.model_copy(
        update={"weights": sha256_of(folder / WEIGHTS), "onnx": sha256_of(folder / ONNX)}
    )
    card = origin.card.model_copy(update={"fingerprints": prints})
    (folder / CARD).write_text(card.to_json(), encoding="utf-8")


def _checked(
    folder: Path,
    plain: Plain | None,
    origin: Origin,
    images: Samples,
    expected: Probabilities,
    *,
    one: bool,
) -> Agreement:
    model = origin.model
    if plain is None:
        module, _ = read_program(folder / PROGRAM)
    else:
        files = [folder / WEIGHTS, *([folder / HEAD] if plain.head else [])]
        module = read_weights_file(files, plain, len(model.classes))
    return agreement_of(module, model, images, expected, one=one)


def _said(plain: Plain) -> str:
    if plain.form == "classifier":
        return f"{WEIGHTS} is a plain {plain.architecture.name} of {plain.architecture.library}."
    return (
        f"{WEIGHTS} is a {plain.architecture.name} of {plain.architecture.library} without "
        f"classifier; {HEAD} reads mean and spread of its feature map."
    )


def _save(path: Path, tensors: dict[str, Any]) -> None:
    with system_errors():
        save_file({k: t.contiguous() for k, t in tensors.items()}, path, metadata={"format": "pt"})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
