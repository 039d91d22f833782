"""Score a fitted model on labelled images that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frostline.core.audit_record import SourceRead
from frostline.core.cancel import CancelToken
from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.data.catalog import Catalog, Unreadable
from frostline.data.sources.open_source import Source, open_for_evaluation, source_name
from frostline.data.understood import source_read
from frostline.model.model import Model
from frostline.run.manifest import Manifest, manifest_of
from frostline.stats.scores import Scores, score
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
    scores : Scores
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
    """

    scores: Scores
    classes: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    understood: SourceRead
    acquainted: Acquainted | None = None
    notes: tuple[str, ...] = ()


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
    catalog = open_for_evaluation(source, model.classes, runtime=runtime)
    with_images = len({row.label for row in catalog.rows})
    understood = source_read(catalog).model_copy(update={"classes": with_images})
    notes = tuple(map(note_sentence, catalog.notes))
    manifest = manifest_of(model.folder, n_train=model.card.n_train)
    acquainted = None
    if manifest is not None:
        catalog, acquainted = _strangers(catalog, manifest, source_name(source))
    probabilities, truth = [], []
    unreadable = list(catalog.unreadable)
    with runtime.progress.task("classifying", len(catalog)) as bar:
        images = [row.origin for row in catalog.rows]
        for row, result in zip(catalog.rows, model.predict_each(images), strict=True):
            if isinstance(result, UnreadableImageError):
                unreadable.append(Unreadable(row.name, result.reason))
            else:
                probabilities.append(result.probabilities)
                truth.append(row.label)
            bar.advance()
            runtime.cancel.check()
    if not truth:
        rest = " that the model was not trained on" if acquainted and acquainted.left_out else ""
        raise InputError(f"No image of {source_name(source)}{rest} could be read.")
    given = np.stack(probabilities)
    rule = model.card.rule
    scores = score(given, np.array(truth), answers=rule.decide(given), costs=rule.costs or None)
    return Evaluation(scores, model.classes, tuple(unreadable), understood, acquainted, notes)


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
