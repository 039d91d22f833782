"""Compare two models on the same images: pair by pair, and how sure the difference is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from frostline._version import __version__
from frostline.comparing.comparison import Comparison, FlipTile
from frostline.comparing.flips import Flips, flips_of
from frostline.comparing.image_facts import facts_of_images, pictures_of
from frostline.comparing.judged import Judged
from frostline.comparing.leans import compare_leans
from frostline.comparing.models import card_differences, compared_model, speeds
from frostline.comparing.parts import FEWEST_GROUPS, FEWEST_IMAGES, compare_parts
from frostline.comparing.predicted import predicted_on
from frostline.comparing.sides import Side
from frostline.comparing.slices import slices_of
from frostline.comparing.stored import shared_of
from frostline.core.cancel import CancelToken
from frostline.core.comparison_record import (
    CalibrationComparison,
    ComparisonRecord,
    NonInferiority,
    ScoreComparison,
)
from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.data.sources.open_source import Source
from frostline.explain.encoding import TILE, tile
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.stats.paired import compare_paired
from frostline.stats.reliability import calibration_error, chance_calibration_error, reliability
from frostline.stats.score_contributions import LOWER_IS_BETTER, Answered, Contributions
from frostline.stats.score_intervals import plain
from frostline.wording.progress import worded

#: flipped images that get a picture, each way
MOST_TILES = 48
#: scores without a unit of their own are said in points, hundredths of them
_POINT = 0.01

#: of taking the class of the row for that of the column
Costs = tuple[tuple[float, ...], ...]


def compare(
    a: str | Path | Model,
    b: str | Path | Model,
    on: Source | None = None,
    *,
    metric: str | None = None,
    no_worse_than: float | None = None,
    speed: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Comparison:
    """Compare two models on the same images, image by image.

    Every difference is that of ``b`` less ``a``, with an interval of 95 % that counts groups of
    images, not images. Images that taught either model are left out, and counted.

    Parameters
    ----------
    a, b : str, Path or Model
        Run folders; with ``on`` also model folders, exported files or loaded models.
    on : path, DataFrame, dataset, (images, labels), dict or None, default=None
        Labelled images that both predict now. None takes the images that both runs judged, told by
        their content, and what their folders keep of them.
    metric : str or None, default=None
        The score that counts. None takes accuracy, mean average precision (of several labels),
        quadratically weighted kappa (of grades) or R2 (of numbers); the result names all others.
    no_worse_than : float or None, default=None
        How much worse ``b`` may be, at least 0: in points (hundredths), or for ``mae``,
        ``log_loss`` and ``cost`` in their unit. The result says whether that holds with 95 %
        confidence, one-sided.
    speed : bool, default=False
        Measure how many images a second both answer on this machine.
    progress : Progress or None, default=None
    cancel : CancelToken or None, default=None
        Ends the work early, from another thread.

    Returns
    -------
    Comparison

    Raises
    ------
    RunFolderError
        If a folder holds no finished run or model, or is damaged.
    InputError
        If the models predict different things, no image is left to judge, or none can be read.
    SettingsError
        If ``metric`` is no score of these models, or ``no_worse_than`` is below 0.

    Examples
    --------
    >>> frostline.compare("run-1", "run-2").record.scores[0].interval  # doctest: +SKIP
    (-0.004, 0.021)
    """
    if no_worse_than is not None and not no_worse_than >= 0.0:
        raise SettingsError(f"no_worse_than must be at least 0, not {no_worse_than}.")
    runtime = Runtime(progress=worded(progress), cancel=cancel or CancelToken())
    first, second = Side.open(a), Side.open(b)
    _check_tasks(first, second)
    judged = shared_of(first, second) if on is None else predicted_on(first, second, on, runtime)
    judged = _equally_known(judged)
    scores = compare_scores(judged, _costs(first.card, second.card))
    scores = _counting_first(scores, metric)
    facts = facts_of_images(judged, runtime)
    slices = slices_of(judged, facts)
    parts = compare_parts(judged, slices.found)
    flips = flips_of(judged)
    measured = speeds(first, second, judged) if speed else (None, None)
    counts = judged.counts or (None, None, None)
    record = ComparisonRecord(
        a=compared_model(first, measured[0]),
        b=compared_model(second, measured[1]),
        task=first.card.task,
        source=judged.source,
        images=len(judged),
        groups=len(np.unique(judged.groups)),
        shared=counts[0],
        judged_by_a=counts[1],
        judged_by_b=counts[2],
        outputs=judged.outputs,
        scores=tuple(scores),
        parts=parts.tested,
        untested=parts.untested,
        unused=slices.unused,
        leans=tuple(compare_leans(judged, facts)),
        fewest_images=FEWEST_IMAGES,
        fewest_groups=FEWEST_GROUPS,
        flips=flips.found,
        both_right=flips.both_right,
        both_wrong=flips.both_wrong,
        calibration=_calibration(judged),
        differences=tuple(card_differences(first.card, second.card)),
        caveats=judged.caveats,
        unreadable=judged.unreadable,
        non_inferiority=None if no_worse_than is None else _decided(scores[0], no_worse_than),
        version=__version__,
    )
    return Comparison(record, _tiles(judged, flips, runtime))


def _check_tasks(a: Side, b: Side) -> None:
    if a.card.task != b.card.task:
        raise InputError(
            f"{a.name} and {b.name} predict different things: {a.card.task} and {b.card.task}.",
            hint="Compare models of one task.",
        )


def _equally_known(judged: Judged) -> Judged:
    """Keep probabilities only where both models have them: scores are of the same things."""
    if judged.a.prediction is not None and judged.b.prediction is not None:
        return judged
    return replace(judged, a=Answered(judged.a.decided), b=Answered(judged.b.decided))


def compare_scores(judged: Judged, costs: Costs = ()) -> list[ScoreComparison]:
    """Compare every score that both models have, the one that people know the task by first.

    ``costs``: of mistakes, where both models were fitted for them.
    """
    first, second = (
        {one.name: one for one in _contributions(judged, answered, costs)}
        for answered in (judged.a, judged.b)
    )
    return [_score(own, second[name].each, judged) for name, own in first.items() if name in second]


def _counting_first(found: list[ScoreComparison], metric: str | None) -> list[ScoreComparison]:
    """Put the score first that was asked for."""
    if metric is None:
        return found
    counting = [one for one in found if one.score == metric]
    if not counting:
        known = [one.score for one in found]
        raise SettingsError(
            f"metric={metric!r} is no score that can be compared here; there are "
            f"{', '.join(known)}.",
            hint=did_you_mean(metric, known),
        )
    return [*counting, *(one for one in found if one.score != metric)]


def _costs(a: ModelCard, b: ModelCard) -> Costs:
    """Return what mistakes cost, where both models were fitted for the same costs."""
    return a.rule.costs if a.rule.costs == b.rule.costs and a.classes == b.classes else ()


def _contributions(judged: Judged, answered: Answered, costs: Costs) -> list[Contributions]:
    found = judged.target.score_contributions(answered, judged.truth)
    if costs:
        each = np.array(costs)[judged.truth, answered.decided]
        found.append(Contributions("cost", each, reach=0.0))
    return found


def _score(a: Contributions, b: np.ndarray, judged: Judged) -> ScoreComparison:
    found = compare_paired(a.each, b, groups=judged.groups, reach=a.reach)
    lower = a.name in LOWER_IS_BETTER
    least = -found.bounds[1] if lower else found.bounds[0]
    return ScoreComparison(
        score=a.name,
        a=float(a.each.mean()),
        b=float(b.mean()),
        difference=found.difference,
        interval=tuple(plain(found.interval)),
        gain_at_least=plain(least),
        lower_is_better=lower,
        p_value=found.p_value,
    )


def _decided(counting: ScoreComparison, asked: float) -> NonInferiority:
    margin = asked if counting.lower_is_better else asked * _POINT
    least = counting.gain_at_least
    return NonInferiority(
        score=counting.score,
        margin=margin,
        gain_at_least=least,
        passed=least is not None and least >= -margin,
    )


def _calibration(judged: Judged) -> CalibrationComparison | None:
    """Compare how far confidence and accuracy of answers are apart, where there is confidence."""
    found = []
    for answered, sure in ((judged.a, judged.sure_a), (judged.b, judged.sure_b)):
        if any(one is None for one in sure):
            return None
        confidence = np.array(sure, dtype=np.float64)
        right = judged.target.agrees(answered.decided, judged.truth)
        error = calibration_error(reliability(confidence, right))
        found.append((error, chance_calibration_error(confidence)))
    return CalibrationComparison(
        a=found[0][0], b=found[1][0], a_by_chance=found[0][1], b_by_chance=found[1][1]
    )


def _tiles(judged: Judged, flips: Flips, runtime: Runtime) -> tuple[FlipTile, ...]:
    """Draw the surest of the flipped images, as many each way."""
    shown: list[int] = []
    for way in ("a", "b"):
        shown += [i for i, flip in enumerate(flips.found) if flip.right == way][:MOST_TILES]
    rows: Sequence[int] = [flips.rows[i] for i in shown]
    pictures = pictures_of(judged, rows, side=TILE, max_pixels=runtime.max_pixels)
    return tuple(
        FlipTile(flips.found[i], tile(pictures[flips.rows[i]]))
        for i in shown
        if flips.rows[i] in pictures
    )
