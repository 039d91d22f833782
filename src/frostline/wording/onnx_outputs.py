"""What the ONNX file of a model tells beside its predictions, in words."""

from __future__ import annotations

from collections.abc import Collection

from frostline.core.task import Task

_UNFAMILIAR = "`unfamiliarity` (N), above 1 for images unlike those of training"
_CLASS_SETS = "`set_95` (N, {many}), true for {many} that the image may be of"
_UNSURE = "`abstain` (N), true where the answer is too unsure"
_LABEL_SETS = (
    "`set_95` (N, labels, 2), whether each label may be absent, and whether it may be present; "
    "both where too few images tell"
)
_UNSURE_LABELS = "`abstain` (N, labels), true for labels that are too unsure"
_INTERVAL = (
    "`interval` (N, columns, 2), the lower and the upper end around each number; not a number "
    "where too few images tell"
)

_TOLD: dict[Task, dict[str, str]] = {
    "single": {"set_95": _CLASS_SETS.format(many="classes"), "abstain": _UNSURE},
    "ordinal": {"set_95": _CLASS_SETS.format(many="grades"), "abstain": _UNSURE},
    "multilabel": {"set_95": _LABEL_SETS, "abstain": _UNSURE_LABELS},
    "regression": {"interval": _INTERVAL},
}


def further_outputs(task: Task, names: Collection[str]) -> str:
    """Say what there is beside probabilities, or values; empty where nothing is.

    ``names``: of the outputs that the file has.
    """
    every = {"unfamiliarity": _UNFAMILIAR, **_TOLD[task]}
    said = [words for name, words in every.items() if name in names]
    return f"Further outputs: {'; '.join(said)}." if said else ""
