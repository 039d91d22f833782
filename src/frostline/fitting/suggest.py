"""Which unlabelled images to label next, and which labels to look at again."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from frostline.compute.torch_context import torch_context
from frostline.core.arrays import IntArray
from frostline.core.cancel import CancelToken
from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.core.suggestion_record import Forecast, Suggestion, Suggestions, Why
from frostline.core.threads import blas_threads
from frostline.data.sources.unlabelled import Pool, open_unlabelled
from frostline.data.splitting.sampling import chosen_rows
from frostline.fitting.run_pool import RunPool, fit_view, open_run_pool, read_labelled_run
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.model_format.model_folder import find_model_folder
from frostline.run.label_table import CORRECTIONS, LABELS, read_label_table
from frostline.stats.calibration import softmax
from frostline.stats.gain_forecast import forecast_gain
from frostline.stats.label_issues import find_label_issues
from frostline.stats.pool_ranking import MOST_TARGETS, PoolRanking
from frostline.wording.progress import worded

#: a lead of the likeliest class below which the model wavers
_WAVERS = 0.3
_OTHERS = 4
#: images that the model looks at for every one that is asked for, at most
_LOOKED_AT = 3


def suggest(
    run: str | Path,
    pool: Pool | None = None,
    *,
    n: int = 100,
    doubtful: bool = False,
    labels: str | Path | None = None,
    max_pixels: int = Settings.max_pixels,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Suggestions:
    """Say which images of a pool to label next, or which labels of a run to look at again.

    With few labels images are chosen that stand for those that the model is unsure of; from ten a
    class on those whose labels are expected to change its outputs for the pool most, by the
    rank-one update of a ridge fit on frozen features
    (:class:`frostline.stats.pool_ranking.PoolRanking` says how, with references). Each is chosen
    knowing the others; of near-duplicates one is. Images that the run knows, or that were answered
    since, are left out. Images unlike everything in training stand apart.

    Parameters
    ----------
    run : str or Path
        Folder of a finished run of one class or grade an image.
    pool : path, list of paths or None, default=None
        A folder of images at any depth, a table with a column ``path``, an image, or several
        paths. Labels in it are not looked at.
    n : int, default=100
        Images to suggest, at least 1.
    doubtful : bool, default=False
        Suggest labels of the run that the other images speak against, in place of a pool.
    labels : str, Path or None, default=None
        The table of answers since the run; ``labels.csv`` in the run folder for None.
    max_pixels : int, default=100_000_000
        Larger images count as unreadable.
    progress : Progress or None, default=None
    cancel : CancelToken or None, default=None
        Ends the work early, from another thread.

    Raises
    ------
    RunFolderError
        If there is no finished run with a list of its images.
    SettingsError
        If an image of the run may have several labels, or numbers; if both a pool and
        ``doubtful`` are given, or neither.
    InputError
        If the pool has no readable image, or none that is new.
    BackboneError
        If the run's network is not here.
    """
    if n < 1:
        raise SettingsError(f"n={n}: at least one image is to be suggested.")
    if (pool is None) != doubtful:
        raise SettingsError(
            "Give a pool of images, or ask for the run's doubtful labels, not both."
            if doubtful
            else "There is no pool of images to choose from.",
            hint="frostline suggest RUN POOL, or frostline suggest RUN --doubtful.",
        )
    chosen = Settings(max_pixels=max_pixels, device="cpu")
    runtime = Runtime.of(chosen, progress=worded(progress), cancel=cancel)
    folder = find_model_folder(Path(run)).resolve().parent
    table = read_label_table(folder / LABELS if labels is None else Path(labels))
    corrected = read_label_table(folder / CORRECTIONS)
    given = [*table.answers.values(), *corrected.answers.values()]
    known = read_labelled_run(Path(run), given, what="frostline suggest")
    with torch_context(runtime):
        if pool is None:
            opened = open_run_pool(known, None, runtime)
            with blas_threads(runtime.threads):
                return _doubtful(opened, n, {*corrected.answers, *corrected.aside})
        catalog = open_unlabelled(pool, known.classes, task=known.card.task, runtime=runtime)
        aside = [digest not in table.aside for digest in catalog.digests]
        opened = open_run_pool(known, catalog.only(aside), runtime)
        with blas_threads(runtime.threads):
            model = Model.load(run, max_pixels=max_pixels)
            found = _suggested(opened, model, n, runtime)
    left_out = found.in_run + len(aside) - sum(aside)
    unreadable = [(one.path, one.reason) for one in catalog.unreadable]
    unreadable += [(one.path, one.reason) for one in opened.catalog.unreadable]
    return replace(
        found,
        pool=catalog.source,
        pool_images=len(catalog) - len(opened.catalog.unreadable),
        in_run=left_out,
        unreadable=tuple(unreadable),
    )


def _suggested(opened: RunPool, model: Model, n: int, runtime: Runtime) -> Suggestions:
    if not len(opened.pool):
        raise InputError(
            "Every image of the pool is in the run already, was answered, or is a copy of such a "
            "one: there is nothing to label.",
        )
    head = opened.head()
    digests = opened.catalog.digests
    place = {int(at): position for position, at in enumerate(opened.pool)}
    sample = chosen_rows(digests, opened.pool, MOST_TARGETS)
    targets = np.sort(np.array([place[int(at)] for at in sample], dtype=np.int64))
    ranking = PoolRanking(head, opened.rows[opened.pool], targets)
    chosen: list[Suggestion] = []
    apart: list[Suggestion] = []
    taken: list[int] = []
    asked = 0
    with runtime.progress.task("choosing", n) as bar:
        while len(chosen) < n and asked < _LOOKED_AT * n:
            batch = [found for _ in range(n - len(chosen)) if (found := ranking.take())]
            if not batch:
                break
            asked += len(batch)
            origins = [opened.catalog.rows[opened.pool[at]].origin for at, _ in batch]
            for (at, gain), told in zip(batch, model.predict_each(origins), strict=True):
                runtime.cancel.check()
                if isinstance(told, UnreadableImageError):
                    continue
                if told.unknown:
                    apart.append(_suggestion(opened, at, told, 0, Why.UNLIKE, 0.0))
                    continue
                why = _why(ranking, told)
                chosen.append(_suggestion(opened, at, told, len(chosen) + 1, why, gain))
                taken.append(at)
                bar.advance()
    positions = opened.pool[np.array(taken, dtype=np.int64)]
    forecast = _forecast(opened, positions, sample) if taken else None
    return Suggestions(
        run=str(opened.run.path),
        pool="",
        classes=opened.run.classes,
        chosen=tuple(chosen),
        apart=tuple(apart),
        labelled=len(opened.labelled),
        in_run=opened.in_run,
        near_run=opened.near_run,
        near_copies=sum(map(len, opened.copies.values())),
        forecast=forecast,
    )


def _forecast(opened: RunPool, chosen: IntArray, sample: IntArray) -> Forecast:
    """``chosen`` and ``sample``, of the whole pool: positions in the catalog."""
    all_teach = np.ones(len(opened.labelled), dtype=bool)
    seen = fit_view(opened, all_teach, np.concatenate([chosen, sample]))
    mistaken, n = seen.head.mistaken(seen.others), len(opened.labelled)
    pool = np.sort(mistaken[len(chosen) :])[::-1]
    everyone = float(pool.mean())
    said = forecast_gain(seen.past, mistaken[: len(chosen)], everyone)
    # the likeliest mistakes of the sample stand for those of the pool
    most = min(n, len(opened.pool))
    first = pool[: max(1, round(len(pool) * most / len(opened.pool)))]
    doubling = forecast_gain(seen.past, np.full(most, float(first.mean())), everyone)
    usual = np.full(len(chosen), everyone)
    return Forecast(
        accuracy=seen.past.accuracy,
        labels=len(chosen),
        gain=said.gain,
        margin=said.margin,
        at_random=forecast_gain(seen.past, usual, everyone).gain,
        doubling=doubling.gain,
        doubling_labels=doubling.n_labels,
        worth_it=doubling.worth_it,
    )


def _why(ranking: PoolRanking, told: Prediction) -> Why:
    if ranking.covering:
        return Why.COVERS
    likeliest = told.top(2)
    return Why.UNSURE if likeliest[0][1] - likeliest[1][1] < _WAVERS else Why.TEACHES


def _suggestion(
    opened: RunPool, at: int, told: Prediction, rank: int, why: Why, gain: float
) -> Suggestion:
    position = int(opened.pool[at])
    row = opened.catalog.rows[position]
    others = [one for one in told.top(_OTHERS + 1) if one[0] != told.label]
    copies = opened.copies.get(position, [])
    return Suggestion(
        path=str(row.path),
        name=row.name,
        digest=opened.catalog.digests[position],
        rank=rank,
        why=why,
        predicted=told.label,
        confidence=told.confidence,
        others=tuple(others[:_OTHERS]),
        expected_gain=gain,
        unfamiliarity=told.unfamiliarity,
        copies=tuple(str(opened.catalog.rows[one].path) for one in copies),
    )


def _doubtful(opened: RunPool, n: int, answered: Set[str]) -> Suggestions:
    """Return labels that exact leave-one-out probabilities speak against, the likeliest first.

    ``answered``: images that somebody looked at again already, by digest.
    """
    head, classes = opened.head(), opened.run.classes
    left_out = softmax(head.loo, head.temperature)
    issues = find_label_issues(left_out, opened.labels)
    chosen: list[Suggestion] = []
    digests = opened.catalog.digests
    new = [at for at in issues.positions if digests[opened.labelled[at]] not in answered]
    for place in new[:n]:
        at = int(opened.labelled[place])
        order = np.argsort(-left_out[place], kind="stable")
        row = opened.catalog.rows[at]
        chosen.append(
            Suggestion(
                path=str(row.path),
                name=row.name,
                digest=digests[at],
                rank=len(chosen) + 1,
                why=Why.DOUBTFUL,
                predicted=classes[int(order[0])],
                confidence=float(left_out[place, order[0]]),
                others=tuple(
                    (classes[i], float(left_out[place, i])) for i in order[1 : _OTHERS + 1]
                ),
                label=classes[int(opened.labels[place])],
            )
        )
    return Suggestions(
        run=str(opened.run.path),
        pool="",
        classes=classes,
        chosen=tuple(chosen),
        labelled=len(opened.labelled),
    )
