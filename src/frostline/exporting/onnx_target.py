"""One ONNX file for everything that runs ONNX: any RGB image in, predictions out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frostline._version import __version__
from frostline.core.errors import InputError
from frostline.core.machine import available_cores
from frostline.core.onnx_runtime import open_session
from frostline.core.preprocessing import UInt8Array
from frostline.core.settings import Settings
from frostline.exporting.agreement import EXACT, RESIZED, Agreement, compare, require
from frostline.exporting.exported import Exported, Loss
from frostline.exporting.opset import converted
from frostline.exporting.origin import Origin
from frostline.exporting.placing import placing_file
from frostline.exporting.samples import Samples, made_up_samples
from frostline.exporting.shrinking import shrink
from frostline.model.inputs import to_rgb
from frostline.model.model import Model, Probabilities
from frostline.model.onnx_file import CARD_KEY, QUANTISATION_KEY, SUFFIX, metadata, open_onnx_file
from frostline.model_format.card import ModelCard
from frostline.onnx_graph.session import INPUT, told_by

if TYPE_CHECKING:
    import onnx

#: whole images that the graph prepares itself in the check
_WHOLE = 16
_MAX_PIXELS: int = Settings.max_pixels


def export_onnx_file(
    origin: Origin, path: Path, *, samples: Samples | None, quantise: bool, opset: int | None = None
) -> Exported:
    """Write one ONNX file, and check it against the model.

    Raises InputError if the path has another suffix, or it cannot be quantised; EngineError if the
    file does not give the model's probabilities.

    ``path``: with the suffix ``.onnx``. ``samples``: real images; needed to quantise. ``quantise``:
    whether to make it 8 bits wide. ``opset``: operator set of the file; None leaves the model's
    own.
    """
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"{path} does not end in {SUFFIX}.", hint=f"Give {path}{SUFFIX}.")
    graph = origin.graph()
    loss: Loss | None = None
    if quantise:
        graph, loss = shrink(origin, graph, samples)
    graph = converted(graph, opset)
    stamp(graph, origin.card, loss)
    with placing_file(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))
        agreement = check_onnx(origin.model, temporary, samples, exact=loss is None)
        size = temporary.stat().st_size
    return Exported(path, "onnx", size, agreement, loss=loss, task=origin.card.task)


def stamp(graph: onnx.ModelProto, card: ModelCard, loss: Loss | None) -> None:
    """Write who made the file, the model card, and what 8 bits cost into its metadata."""
    from onnx import helper

    graph.producer_name, graph.producer_version = "frostline", __version__
    if loss is not None and (card.test.method or card.test.accuracy is not None):
        test = card.test.model_copy(update={"before_quantising": True})
        card = card.model_copy(update={"test": test})
    entries = {**metadata(graph), CARD_KEY: card.to_json()}
    if loss is not None:
        entries[QUANTISATION_KEY] = loss.model_dump_json()
    helper.set_model_props(graph, dict(sorted(entries.items())))


def check_onnx(model: Model, path: Path, samples: Samples | None, *, exact: bool) -> Agreement:
    """Load a written file as a user would, and compare it with the model.

    Raises EngineError if it does not give the model's probabilities (with ``exact``), or cannot be
    run.
    """
    images = samples or made_up_samples(model)
    written = reopened(path)
    expected = predicted(model, images)
    card = model.card
    agreement = compare(expected, predicted(written, images), card, real=images.real)
    if exact:
        require(agreement, EXACT)
    whole = _whole_images(model, images)
    rows = _plainly(path, whole)
    reference = expected[: len(rows)] if images.real else model.predict_proba(whole)
    found = compare(reference, rows, card, real=images.real, tie=2 * RESIZED)
    if exact:
        require(found, RESIZED)
    return agreement


def reopened(path: Path) -> Model:
    """Load an ONNX file that is still under its temporary name."""
    opened = open_onnx_file(path, threads=available_cores())
    return Model(
        path,
        opened.card,
        threads=available_cores(),
        workers=0,
        max_pixels=_MAX_PIXELS,
        session=opened.session,
    )


def predicted(model: Model, images: Samples, *, batch: int = 16) -> Probabilities:
    """Probabilities (n, C) of prepared images."""
    parts = [
        model.predict_prepared(list(images.prepared[i : i + batch]))
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def _whole_images(model: Model, images: Samples) -> list[UInt8Array]:
    """A few decoded images of any size."""
    if not images.real:
        random = np.random.default_rng(1)
        sides = ((300, 200), (64, 90), (231, 517))
        return [
            np.kron(random.integers(0, 256, (h // 8, w // 8, 3)), np.ones((8, 8, 1))).astype(
                np.uint8
            )
            for h, w in sides
        ]
    wanted = model.card.preprocessing
    return [
        np.asarray(
            to_rgb(
                path,
                name=str(path),
                max_pixels=_MAX_PIXELS,
                at_least=wanted.decode_at_least,
                rules=wanted.reading,
            )
        )
        for path in images.paths[:_WHOLE]
    ]


def _plainly(path: Path, whole: list[UInt8Array]) -> Probabilities:
    """Run images one by one, without any help of Frostline's."""
    session = open_session(path, threads=1)
    first = told_by(session)
    rows = [session.run([first], {INPUT: image})[0][0] for image in whole]
    return np.asarray(rows, dtype=np.float64)
