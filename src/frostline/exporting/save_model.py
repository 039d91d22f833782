"""Write a model folder: its ONNX file is made, and checked against the classifier, first."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from frostline.backbones.heads.fitted_classifier import HEAD_KERNEL, FittedClassifier
from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.arrays import FloatArray
from frostline.core.errors import EngineError, RunFolderError
from frostline.core.files import is_file, replacing, sha256_of, system_errors, write_text
from frostline.core.preprocessing import UInt8Array
from frostline.exporting.model_onnx import (
    MOST_DELIVERED,
    ExportDifferenceError,
    export_onnx,
    verify_onnx,
)
from frostline.model.label_answers import LabelAnswers
from frostline.model_format.card import WITH_RULE, ModelCard
from frostline.model_format.model_folder import CARD, FAMILIAR, ONNX, WEIGHTS
from frostline.model_format.ood_file import save_ood_scorer
from frostline.onnx_graph.answering_graph import AnsweringNodes
from frostline.onnx_graph.label_graph import LabelNodes
from frostline.stats.ood import OODScorer

#: an ONNX file that passed the check
EXPORT = Memo(name="export", version=2, libraries=NETWORKS, result=bytes)

#: confidence from which on a label may be absent, and present, where too few images tell: always
_EITHER = (-1.0, -1.0)
#: a label is given from this probability on where no rule says otherwise
_HALF = 0.5


def save_model(
    folder: Path,
    classifier: FittedClassifier,
    card: ModelCard,
    *,
    ood_scorer: OODScorer | None = None,
    images: UInt8Array | None = None,
    threads: int = 1,
    origin: str = "",
) -> ModelCard:
    """Write a model folder and check that the ONNX file gives the classifier's probabilities.

    The card is written last and holds the fingerprints of the other two files, so a folder that
    was left half written never passes for a model.

    Parameters
    ----------
    folder : Path
        Made if needed; files of an earlier model in it are replaced.
    classifier : FittedClassifier
    card : ModelCard
        Its fingerprints of files are filled in.
    ood_scorer : OODScorer or None, default=None
        On the input of the frozen leader's head; belongs to the card's ``familiar``.
    images : ndarray of shape (n, size, size, 3), uint8, or None, default=None
        Prepared images for the check, a handful of real ones; made-up ones when None.
    threads : int, default=1
        For the check.
    origin : str, default=""
        Stands for how the classifier was made, where its tensors alone do not tell. An ONNX file
        that passed the check before, for the same origin, tensors and images, is used again; never
        for an empty one.

    Returns
    -------
    ModelCard
        As written.

    Raises
    ------
    EngineError
        If the network cannot be exported, or the exported file gives other probabilities: other
        classes, or further off than :data:`~frostline.exporting.model_onnx.MOST_DELIVERED`. Where
        there was no model before, the weights are then kept alone. Smaller differences beyond what
        rounding explains are delivered, and stand in the card.
    RunFolderError
        If the folder cannot be written.
    """
    if images is None or len(images) == 0:
        images = _made_up_images(card.preprocessing.size)
    if (ood_scorer is None) != (card.familiar is None):
        raise RunFolderError("The model card and what is familiar do not belong together.")
    # both files are complete and checked before either takes its place
    with replacing(folder / WEIGHTS) as weights, replacing(folder / ONNX) as onnx:
        _write_weights(weights, classifier)
        difference = 0.0
        write = partial(
            _export, onnx, classifier, card, ood_scorer=ood_scorer, images=images, threads=threads
        )
        try:
            if origin and _nbytes(classifier) < EXPORT.max_bytes:
                inputs = {
                    "classifier": [type(classifier).__name__, origin, classifier.fingerprint()],
                    "preprocessing": card.preprocessing,
                    "temperature": card.temperature,
                    "classes": card.classes,
                    "link": card.target.link_name,
                    "ood_scorer": ood_scorer,
                    "answering": _answering(card),
                    "images": images,
                }
                content = memoize(EXPORT, inputs, write)
                if not onnx.exists():
                    onnx.write_bytes(content)
                del content
            else:
                write()
        except ExportDifferenceError as error:
            # the same classes, a little more or less sure of them: still the model that was trained
            if not (error.same_classes and error.difference <= MOST_DELIVERED):
                _keep_weights(folder, classifier, error)
                raise
            difference = error.difference
        except EngineError as error:
            _keep_weights(folder, classifier, error)
            raise
    (folder / FAMILIAR).unlink(missing_ok=True)
    if ood_scorer is not None:
        save_ood_scorer(folder / FAMILIAR, ood_scorer)
    fingerprints = card.fingerprints.model_copy(
        update={
            "weights": sha256_of(folder / WEIGHTS),
            "onnx": sha256_of(folder / ONNX),
            "familiar": "" if ood_scorer is None else sha256_of(folder / FAMILIAR),
        }
    )
    # earlier releases know no kernel
    kernel = any(HEAD_KERNEL in name for name in classifier.tensors())
    complete = card.model_copy(
        update={
            "fingerprints": fingerprints,
            "format_version": max(card.written_format, WITH_RULE)
            if kernel
            else card.written_format,
            "onnx_difference": difference,
        }
    ).sealed()
    write_text(folder / CARD, complete.to_json())
    return complete


def _export(
    path: Path,
    classifier: FittedClassifier,
    card: ModelCard,
    *,
    ood_scorer: OODScorer | None,
    images: UInt8Array,
    threads: int,
) -> bytes:
    """Write the ONNX file, check it, and return its content."""
    preprocessing, temperature = card.preprocessing, card.temperature
    link = card.target.link_name
    export_onnx(
        classifier,
        preprocessing,
        temperature,
        path,
        classes=card.classes,
        ood_scorer=ood_scorer,
        link=link,
        answering=_answering(card),
    )
    verify_onnx(
        path,
        classifier,
        preprocessing,
        temperature,
        images,
        ood_scorer=ood_scorer,
        threads=threads,
        link=link,
    )
    return path.read_bytes()


def _answering(card: ModelCard) -> AnsweringNodes:
    """Return what the file tells beside predictions: sets, intervals, and the bound asked for."""
    radii = () if card.intervals is None else tuple(card.intervals.reach.tolist())
    labels = _of_labels(card) if card.label_sets else None
    found = None
    if card.at_most_wrong is not None and card.abstention is not None:
        found = card.abstention.thresholds(card.at_most_wrong)
    least = tuple(found.tolist()) if isinstance(found, np.ndarray) else ()
    return AnsweringNodes(card.rule, card.sets, least, labels, radii)


def _of_labels(card: ModelCard) -> LabelNodes:
    thresholds = [_EITHER if one is None else one.thresholds for one in card.label_sets]
    absent, present = zip(*thresholds, strict=True)
    least = LabelAnswers(card.label_sets, card.label_abstention, card.at_most_wrong).least
    given = card.rule.thresholds or (_HALF,) * len(card.classes)
    return LabelNodes(given, absent, present, _pairs(least))


def _pairs(least: FloatArray | None) -> tuple[tuple[float, float], ...]:
    return () if least is None else tuple((float(a), float(b)) for a, b in least)


def _nbytes(classifier: FittedClassifier) -> int:
    return sum(tensor.nbytes for tensor in classifier.tensors().values())


def _keep_weights(folder: Path, classifier: FittedClassifier, error: EngineError) -> None:
    """Leave what was trained to whoever can use it without the ONNX file, and say where."""
    if is_file(folder / CARD):
        # an earlier model, which stays whole
        return
    with replacing(folder / WEIGHTS) as weights:
        _write_weights(weights, classifier)
    error.hint = (
        f"Nothing that was trained is lost: the weights are in {folder / WEIGHTS}, and the same "
        f"command goes on from here without training again. {error.hint}"
    ).strip()


def _write_weights(path: Path, classifier: FittedClassifier) -> None:
    """Write the tensors; those that share memory are written once each, in full."""
    from safetensors.numpy import save_file

    # the library writes the memory behind an array, in whatever order it lies
    tensors = {name: np.asarray(value, order="C") for name, value in classifier.tensors().items()}
    with system_errors():
        save_file(tensors, path, metadata={"format": "pt"})


def _made_up_images(size: int) -> UInt8Array:
    """Four images of noise, coarse to fine."""
    random = np.random.default_rng(0)
    images = []
    for cells in (2, 7, 20, size):
        coarse = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        index = np.arange(size) * cells // size
        images.append(coarse[index][:, index])
    return np.stack(images)
