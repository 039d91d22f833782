"""How good the procedure is: on the held-out part, or by cross-validation of the whole of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from frostline.compute.frozen import Frozen
from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.runtime import Runtime
from frostline.data.splitting.sampling import chosen_rows
from frostline.data.splitting.split import Split
from frostline.fitting.inputs import FitInputs
from frostline.fitting.operating import Operated, joined, operate
from frostline.fitting.procedure import fit_once
from frostline.fitting.train import Fitted
from frostline.stats.expected import Expected, expected_accuracy
from frostline.stats.intervals import effective_count
from frostline.training.ood import ood_scores_of
from frostline.training.train import Given

#: closed-form fits are cheap, so they have many folds, but never more than a class has images:
#: a fold that holds more than its share of a class is judged by a model that knows too few of it
_CLOSED_FORM_FOLDS = (5, 10)
#: gradient training is refitted on fewer
TRAINED_FOLDS = 3
#: held-out images that are scored for how unfamiliar they are, at most
_MOST_SCORED = 2000


@dataclass(frozen=True)
class Assessed:
    """Probabilities for images that the model that gave them was not trained on.

    ``rows`` are catalog rows, ``probabilities`` has shape (len(rows), k);
    ``frozen_verified`` tells whether every fit left its frozen part as it was. ``expected`` is
    what the delivered model should reach, which learned from more images than those judged; None
    where that is no accuracy. ``decided`` is what was answered, as the target encodes it.
    ``uncalibrated`` are the probabilities without the temperature; ``operated`` is what sets and
    abstention made of these images; ``unknown_share`` is the share
    of images that the model would call unknown, None where no image was held out for that.
    """

    method: Literal["given", "held-out", "cross-validation"]
    rows: IntArray
    probabilities: FloatArray
    uncalibrated: FloatArray
    decided: Truth
    folds: int
    frozen_verified: bool
    expected: Expected | None
    operated: Operated
    unknown_share: float | None = None


def assess(
    inputs: FitInputs,
    split: Split,
    fitted: Fitted,
    runtime: Runtime,
    *,
    checkpoint_dir: Path | None = None,
) -> Assessed:
    """Judge ``fitted``, or without a test part the procedure that made it.

    Trainings of folds keep their state in ``checkpoint_dir``, and go on from there.
    """
    if split.method == "none":
        raise ValueError("Nothing was held out that could judge.")
    if split.method == "cross-validation":
        return _cross_validate(inputs, split.train, fitted, runtime, checkpoint_dir)
    logits = fitted.logits(inputs.frozen, split.test)
    target = inputs.problem.target
    probabilities = target.link(logits, fitted.temperature)
    decided = target.decide(probabilities, fitted.rule)
    right = target.agrees(decided, inputs.problem.labels[split.test])
    return Assessed(
        method=split.method,
        rows=split.test,
        probabilities=probabilities,
        uncalibrated=target.link(logits),
        decided=decided,
        folds=1,
        frozen_verified=fitted.trained.frozen_verified,
        expected=expected_accuracy(
            int(right.sum()),
            len(split.test),
            count=effective_count(right, inputs.problem.groups[split.test]),
        )
        if target.exclusive
        else None,
        operated=operate(fitted.operating, probabilities, decided, inputs.settings.at_most_wrong),
        unknown_share=_unknown_share(inputs.frozen, fitted, split.test, runtime),
    )


def _unknown_share(
    frozen: Frozen, fitted: Fitted, rows: IntArray, runtime: Runtime
) -> float | None:
    """Share of held-out images that the model would call unknown."""
    if fitted.ood is None or not len(rows):
        return None
    some = chosen_rows(frozen.catalog.digests, rows, _MOST_SCORED)
    scores = ood_scores_of(fitted.ood, fitted.trained, frozen, some, runtime)
    return float(np.mean(scores > 1.0))


def _cross_validate(
    inputs: FitInputs, rows: IntArray, fitted: Fitted, runtime: Runtime, checkpoint_dir: Path | None
) -> Assessed:
    """Repeat the procedure without each fold in turn.

    Heads in closed form are decided anew on every fold. Gradient training is decided once, on
    all rows, and refitted on fewer folds, since deciding it anew costs as much as training.
    """
    problem = inputs.problem
    closed = fitted.plan.action.closed_form
    target = problem.target
    smallest = int(target.counts(problem.labels[rows]).min())
    fewest, most = _CLOSED_FORM_FOLDS
    n_folds = min(max(smallest, fewest), most) if closed else TRAINED_FOLDS
    known = fitted.plan.evidence
    if fitted.plan.action.adapts_statistics:
        # every fold runs all its images through a network with statistics of its own
        n_folds = fewest
    elif known is not None:
        # what was not chosen with all images is not measured again without some of them
        known = known.model_copy(update={"adapted": None})
    settings = inputs.settings
    if closed and settings.strategy == "auto":
        settings = replace(settings, effort="fast", budget=None)
    inner = replace(inputs, settings=settings)
    folds = problem.folds(rows, n_folds)
    probabilities = np.zeros((len(rows), target.n_outputs))
    uncalibrated = np.zeros_like(probabilities)
    decided = np.zeros_like(problem.labels[rows])
    operated: list[tuple[IntArray, Operated]] = []
    verified = fitted.trained.frozen_verified
    given = Given(checkpoint_dir=checkpoint_dir)
    with runtime.progress.task("cross-validation", len(folds)) as bar:
        for number, (learn, judge) in enumerate(folds):
            fold = fit_once(
                inner,
                rows[learn],
                runtime.quiet(),
                plan=None if closed and inputs.plan is None else fitted.plan,
                known=known,
                given=given.inside(str(number)),
            )
            logits = fold.logits(inputs.frozen, rows[judge])
            probabilities[judge] = target.link(logits, fold.temperature)
            uncalibrated[judge] = target.link(logits)
            decided[judge] = target.decide(probabilities[judge], fold.rule)
            asked = inputs.settings.at_most_wrong
            found = operate(fold.operating, probabilities[judge], decided[judge], asked)
            operated.append((judge, found))
            verified = verified and fold.trained.frozen_verified
            bar.advance()
            runtime.cancel.check()
    right = target.agrees(decided, problem.labels[rows])
    expected = None
    if target.exclusive:
        expected = expected_accuracy(
            int(right.sum()),
            len(rows),
            count=effective_count(right, problem.groups[rows]),
            share=float(np.mean([len(learn) for learn, _ in folds])) / len(rows),
            slope=0.0 if fitted.plan.evidence is None else fitted.plan.evidence.slope,
        )
    return Assessed(
        method="cross-validation",
        rows=rows,
        probabilities=probabilities,
        uncalibrated=uncalibrated,
        decided=decided,
        folds=len(folds),
        frozen_verified=verified,
        expected=expected,
        operated=joined(operated, len(rows)),
    )
