"""Score a fitted model on labelled images that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frostline.core.arrays import FloatArray, Truth
from frostline.core.audit_record import SourceRead
from frostline.core.cancel import CancelToken
from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.core.json_record import JsonRecord
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.score_record import HeldOutScores
from frostline.data.catalog import Catalog, Unreadable
from frostline.data.sources.open_source import Source, open_for_evaluation, source_name
from frostline.data.understood import source_read
from frostline.fitting.operating import operate, operating_of
from frostline.fitting.operating_scores import operating_scores
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.run.manifest import Manifest, manifest_of
from frostline.stats.scores import score
from frostline.wording.notes import note_sentence
from frostline.wording.progress import worded


@dataclass(frozen=True)
class Acquainted:
    """Images of a source that a run has used before, told by the digests of their content.

    ``taught``: the model was trained on them, and they are left out of the score. ``validation``:
    they chose among its epochs and options, and are left out of the score. ``own_test``: they are
    of the run's own test part, and are scored: nothing was learned from them.
    """

    taught: int
    validation: int
    own_test: int

    @property
    def left_out(self) -> int:
        """How many are not scored."""
        return self.taught + self.validation


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a source.

    Attributes
    ----------
    scores : Scores or HeldOutScores
        The latter where images have several labels, grades or numbers.
    classes : tuple of str
    unreadable : tuple of Unreadable
        Images of the source that could not be read.
    understood : SourceRead
        What was read of the source, and what was left out.
    acquainted : Acquainted or None
        Images that the run of the model has used before. None where that cannot be told: the
        model is not in a run folder, or in one without a whole ``catalog.csv``.
    notes : tuple of str
        How the source was read where it could not be taken as it is.
    operating : dict
        How often prediction sets, intervals and answers under bounds on wrong ones hold here, as
        records by the names that ``metrics.json`` has; without those that the model does not tell.
    """

    scores: Any
    classes: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    understood: SourceRead
    acquainted: Acquainted | None = None
    notes: tuple[str, ...] = ()
    operating: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON types, classes by name."""
        own = {name: _json(records) for name, records in self.operating.items()}
        if isinstance(self.scores, HeldOutScores):
            found = self.scores.to_json()
            del found["method"]
            return {**found, **own}
        return {**self.scores.to_json(self.classes), **own}


def evaluate(
    run: str | Path | Model,
    source: Source,
    *,
    max_pixels: int | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Evaluation:
    """Score a model on labelled images.

    Images that the model was trained on are left out, and counted, where the run folder tells which
    those are: a model knows them by heart.

    Parameters
    ----------
    run : str, Path or Model
        Folder of a finished run, or a model that was loaded.
    source : path, DataFrame, dataset, (images, labels) or dict
        As for a fit; its classes must be the model's.
    max_pixels : int or None, default=None
        Larger images count as unreadable. None means 100 million, or what the model was loaded
        with.
    progress : Progress or None, default=None
    cancel : CancelToken or None, default=None
        Ends the work early, from another thread.

    Raises
    ------
    RunFolderError
        If there is no finished model.
    SettingsError
        If ``max_pixels`` is given for a model that was loaded with its own.
    InputError
        If a class is unknown to the model, no image can be read, or the model was trained on all
        of them.
    """
    runtime = Runtime(progress=worded(progress), cancel=cancel or CancelToken())
    model = _opened(run, max_pixels)
    task, target = model.card.task, model.card.target
    catalog = open_for_evaluation(source, model.classes, task=task, runtime=runtime)
    with_images = int(np.count_nonzero(target.counts(catalog.truth)))
    understood = source_read(catalog).model_copy(update={"classes": with_images})
    notes = tuple(map(note_sentence, catalog.notes))
    manifest = manifest_of(model.folder, n_train=model.card.n_train)
    acquainted = None
    if manifest is not None:
        catalog, acquainted = _strangers(catalog, manifest, source_name(source))
    probabilities, judged = [], []
    unreadable = list(catalog.unreadable)
    with runtime.progress.task("classifying", len(catalog)) as bar:
        images = [row.origin for row in catalog.rows]
        answered = zip(catalog.rows, model.predict_each(images), strict=True)
        for place, (row, result) in enumerate(answered):
            if isinstance(result, UnreadableImageError):
                unreadable.append(Unreadable(row.name, result.reason))
            else:
                probabilities.append(result.probabilities)
                judged.append(place)
            bar.advance()
            runtime.cancel.check()
    if not judged:
        rest = " that the model was not trained on" if acquainted and acquainted.left_out else ""
        raise InputError(f"No image of {source_name(source)}{rest} could be read.")
    given, truth = np.stack(probabilities), catalog.truth[judged]
    scores = _scored(model.card, given, truth)
    own = _operating(model, given, truth)
    return Evaluation(scores, model.classes, tuple(unreadable), understood, acquainted, notes, own)


def _scored(card: ModelCard, given: FloatArray, truth: Truth) -> Any:
    decided, target, alone = card.decide(given), card.target, np.arange(len(truth))
    more = target.scores(given, truth, card.classes, decided=decided, groups=alone)
    if not more:
        return score(given, truth, answers=decided, costs=card.rule.costs or None)
    own: dict[str, Any] = {}
    if target.exclusive:
        costs = card.rule.costs or None
        own = score(given, truth, answers=decided, costs=costs).to_json(card.classes)
    return HeldOutScores(method="given", **{"classes": card.classes, **own, **more})


def _operating(model: Model, given: FloatArray, truth: Truth) -> dict[str, Any]:
    card, asked = model.card, model.answering.at_most_wrong
    if model.answering.shares is not None or model.answering.estimates:
        # probabilities for other shares than those that sets were learned for
        return {}
    operating, decided = operating_of(card), card.decide(given)
    return operating_scores(
        operating,
        operate(operating, given, decided, asked),
        truth,
        decided,
        np.arange(len(truth)),
        right=card.target.agrees(decided, truth),
        names=card.classes,
        asked=asked,
    )


def _json(records: JsonRecord | tuple[JsonRecord, ...]) -> Any:
    if isinstance(records, JsonRecord):
        return records.to_json()
    return [one.to_json() for one in records]


def _opened(run: str | Path | Model, max_pixels: int | None) -> Model:
    if not isinstance(run, Model):
        return Model.load(run) if max_pixels is None else Model.load(run, max_pixels=max_pixels)
    if max_pixels is not None:
        raise SettingsError(
            "A loaded model has its own max_pixels.",
            hint="Give it there: frostline.load(folder, max_pixels=...).",
        )
    return run


def _strangers(catalog: Catalog, manifest: Manifest, name: str) -> tuple[Catalog, Acquainted]:
    """Return the images that the model was not trained on, and how many the run knows."""
    parts = [manifest.parts.get(digest) for digest in catalog.digests]
    counts = Acquainted(*(parts.count(part) for part in ("train", "validation", "test")))
    if counts.left_out == len(catalog):
        all_of = f"all {len(catalog):,} images" if len(catalog) > 1 else "the only image"
        raise InputError(
            f"The model was trained on {all_of} of {name}, so no score on "
            f"{'them' if len(catalog) > 1 else 'it'} would be honest.",
            hint=f"Give other images. {_honest(manifest)}",
        )
    return catalog.only([part not in ("train", "validation") for part in parts]), counts


def _honest(manifest: Manifest) -> str:
    if manifest.has_test:
        return (
            "What the run scored on its own test part is in its metrics.json, and catalog.csv "
            "names those images."
        )
    return (
        "The final model was trained on every image of the run; the honest score of such a run is "
        "that of its own cross-validation, in its metrics.json."
    )
