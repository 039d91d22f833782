"""A model for PyTorch without Frostline: weights of a plain network, or else a whole program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from frostline.backbones.heads.classifier import Classifier
from frostline.backbones.load.restore import restore_module
from frostline.backbones.run_module import run_module
from frostline.core.errors import EngineError
from frostline.core.preprocessing import UInt8Array
from frostline.exporting.agreement import EXACT, Agreement, Probabilities, compare, require
from frostline.exporting.description import as_json, describe, loading, running
from frostline.exporting.exported import Exported
from frostline.exporting.onnx_target import predicted
from frostline.exporting.origin import Origin
from frostline.exporting.placing import check_free, placing_file
from frostline.exporting.pytorch.program import read_program, write_program
from frostline.exporting.pytorch.state import (
    HEAD_BIAS,
    HEAD_WEIGHT,
    Plain,
    UnsuitableError,
    as_plain,
)
from frostline.exporting.samples import Samples, made_up_samples
from frostline.model.model import Model
from frostline.targets.links import LINKS

STATE, PROGRAM = ".safetensors", ".pt2"
_BATCH = 8


def export_torch_file(
    origin: Origin, path: Path, *, samples: Samples | None, overwrite: bool
) -> Exported:
    """Write weights or a program, and check it against the model.

    Raises InputError if the file exists, or there are no weights for PyTorch; EngineError if
    PyTorch cannot write the network, or it gives other probabilities.

    ``path``: a name that ends in ``.pt2`` asks for a program, one in ``.safetensors`` for weights
    in whatever form is possible; any other gets the suffix of what fits. ``samples``: real images
    for the check.
    """
    images = samples or made_up_samples(origin.model)
    module = restore_module(origin.folder())
    expected = predicted(origin.model, images)
    notes: list[str] = []
    plain: Plain | None = None
    if path.suffix != PROGRAM:
        try:
            plain = agreeing(module, origin.model, images, expected)
        except UnsuitableError as reason:
            notes.append(f"A program of torch.export, as {reason}.")
    if plain is not None and plain.form == "features" and path.suffix != STATE:
        notes.append(
            "A program of torch.export, as its head also reads the spread of every channel, and "
            f"the classifier of {plain.architecture.name} only the mean. For its weights under "
            f"the names of {plain.architecture.library}, give -o {path.with_suffix(STATE).name}."
        )
        plain = None
    one = False
    target = _with_suffix(path, PROGRAM if plain is None else STATE)
    if target != path:
        check_free(target, overwrite=overwrite, source=origin.given)
    with placing_file(target) as temporary:
        if plain is None:
            one = not write_module(temporary, module, origin, file=target.name)
            if one:
                notes.append("It takes one image at a time.")
        else:
            write_weights(temporary, plain, origin, file=target.name)
            notes.append(_said(plain, len(origin.card.classes)))
        agreement = _checked(temporary, plain, origin.model, images, expected, one=one)
        size = temporary.stat().st_size
    return Exported(
        target,
        "program" if plain is None else "state dict",
        size,
        agreement,
        tuple(notes),
        task=origin.card.task,
    )


def agreeing(module: Classifier, model: Model, images: Samples, expected: Probabilities) -> Plain:
    """Return the model as a network of its library, if that gives the same probabilities.

    Raises UnsuitableError if it cannot be held by one, or gives others.
    """
    plain = as_plain(module, model.card)
    few = slice(0, _BATCH)
    found = run(plain.module(len(model.classes)), images.prepared[few], model)
    agreement = compare(expected[few], found, model.card, real=images.real, tie=2 * EXACT)
    try:
        require(agreement, EXACT)
    except EngineError:
        raise UnsuitableError(
            f"{plain.architecture.name} computes something else from it"
        ) from None
    return plain


def write_weights(path: Path, plain: Plain, origin: Origin, *, file: str) -> None:
    """Write weights with their description in the header."""
    how = loading(plain, file, origin.card)
    description = describe(origin.card, form=plain.form, how=how, plain=plain)
    tensors = {name: t.contiguous() for name, t in {**plain.state, **plain.head}.items()}
    content = save(tensors, metadata={"format": "pt", "frostline": as_json(description)})
    # save_file would leave a file of its own beside it if the process was killed
    path.write_bytes(content)


def write_module(path: Path, module: nn.Module, origin: Origin, *, file: str) -> bool:
    """Write a program with its description inside; whether it takes any number of images."""
    card = origin.card
    description = describe(card, form="program", how=running(file, card))
    return write_program(
        path,
        module,
        temperature=card.temperature,
        size=card.preprocessing.size,
        description=as_json(description),
    )


def read_weights_file(files: Sequence[Path], plain: Plain, n_outputs: int) -> nn.Module:
    """Load written weights into the network that the library builds."""
    state = {name: tensor for file in files for name, tensor in load_file(file).items()}
    head = {name: state.pop(name) for name in (HEAD_WEIGHT, HEAD_BIAS) if name in plain.head}
    return Plain(plain.architecture, plain.form, state, head).module(n_outputs)


def run(
    module: nn.Module, prepared: UInt8Array, model: Model, *, one: bool = False
) -> Probabilities:
    """Predictions (n, k) of prepared images from a module that gives calibrated outputs."""
    step = 1 if one else _BATCH
    batches = (prepared[i : i + step] for i in range(0, len(prepared), step))
    logits = run_module(module, batches, model.card.preprocessing, channels_last=False)
    return LINKS[model.card.target.link_name](logits, 1.0)


def agreement_of(
    module: nn.Module, model: Model, images: Samples, expected: Probabilities, *, one: bool
) -> Agreement:
    """Compare a module with the model.

    Raises EngineError if it gives other probabilities.
    """
    found = run(module, images.prepared, model, one=one)
    return require(compare(expected, found, model.card, real=images.real, tie=2 * EXACT), EXACT)


def _checked(
    path: Path,
    plain: Plain | None,
    model: Model,
    images: Samples,
    expected: Probabilities,
    *,
    one: bool,
) -> Agreement:
    """Load the file as a user would, and compare it."""
    if plain is None:
        module, _ = read_program(path)
    else:
        module = read_weights_file([path], plain, len(model.classes))
    return agreement_of(module, model, images, expected, one=one)


def _said(plain: Plain, n_outputs: int) -> str:
    if plain.form == "classifier":
        return f"Weights of {plain.architecture.code(n_outputs)}."
    return (
        f"Weights of {plain.architecture.code(0)}, and head.weight and head.bias for the mean "
        "and the spread of its feature map."
    )


def _with_suffix(path: Path, suffix: str) -> Path:
    if path.suffix in (STATE, PROGRAM):
        return path.with_suffix(suffix)
    return path.with_name(path.name + suffix)
