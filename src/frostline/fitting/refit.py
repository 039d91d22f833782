"""Whether layers that an earlier run trained still serve a new head, or should be trained again."""

from __future__ import annotations

import math

from frostline.core.run_record import Refit, RunRecord, TrainedBefore
from frostline.core.score_record import HeldOutScores


def trained_before(record: RunRecord) -> TrainedBefore | None:
    """Return what training had reached in a run, or in the one that it has its layers from.

    None for a run on pretrained layers, and where the trained run was not judged.
    """
    if record.metrics.refit is not None:
        return record.metrics.refit.before
    head = record.metrics.test.headline
    if record.plan.action.closed_form or head.value is None or head.interval is None:
        return None
    evidence = record.plan.evidence
    frozen = None
    if evidence is not None:
        # as the headline is: accuracy, or what the task has in its place
        frozen = (evidence.stacked or evidence.all_taps).accuracy
    return TrainedBefore(frozen=frozen, reached=head.value, interval=head.interval)


def refit_of(before: TrainedBefore | None, test: HeldOutScores) -> Refit | None:
    """Compare the score of a new head on trained layers with what training had reached.

    Both are judged on images that did not teach them, but not on the same: the difference counts
    where it is beyond the two intervals together. Images that the layers saw in training flatter a
    head that is judged by cross-validation, so that a refit may be due that is not called so, and
    not the other way round.
    """
    head = test.headline
    if before is None or head.value is None or head.interval is None:
        return None
    lost = before.reached - head.value
    # how far each may lie on the side that would explain the loss
    chance = math.hypot(before.reached - before.interval[0], head.interval[1] - head.value)
    gained = None if before.frozen is None else before.reached - before.frozen
    kept = None
    if before.frozen is not None and gained is not None and gained > 0.0:
        kept = (head.value - before.frozen) / gained
    return Refit(
        before=before, now=head.value, interval=head.interval, kept=kept, due=lost > chance
    )
