"""The procedure: evidence, strategy, training. The final fit and every fold call this alike."""

from __future__ import annotations

from frostline.core.arrays import IntArray
from frostline.core.plan import EvidenceSummary, Plan
from frostline.core.runtime import Runtime
from frostline.fitting.decide import decide_plan
from frostline.fitting.inputs import FitInputs
from frostline.fitting.train import Fitted, train_plan
from frostline.training.train import Given

_NOTHING = Given()


def fit_once(
    inputs: FitInputs,
    rows: IntArray,
    runtime: Runtime,
    *,
    plan: Plan | None = None,
    refits: float = 1.0,
    given: Given = _NOTHING,
    known: EvidenceSummary | None = None,
) -> Fitted:
    """Decide on ``rows`` (unless a plan is given), train on them, calibrate on them.

    ``refits`` says how often the training will run altogether, for its share of the budget;
    ``given`` holds a validation part of the person's own, and where training keeps its state;
    ``known`` is the evidence on all training rows, when ``rows`` is a fold of them.
    """
    if plan is not None:
        return train_plan(inputs, plan, rows, runtime, given)
    place = given.checkpoint_dir
    plan, evidence = decide_plan(
        inputs, rows, runtime, refits=refits, checkpoint_dir=place, known=known
    )
    if plan.estimated_seconds:
        runtime.progress.note(
            f"Plan: {plan.chosen}, about {plan.estimated_seconds / 60:.1f} nominal minutes."
        )
    return train_plan(inputs, plan, rows, runtime, given, evidence)
