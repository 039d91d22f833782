"""What tiles say: mistakes and doubtful labels, whatever is predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frostline.core.task import Task
from frostline.data.problem import Problem
from frostline.stats.cell_issues import (
    CellIssue,
    furthest_off,
    likely_label_errors_of_sets,
    numbers_far_off,
    worst_labels,
)
from frostline.stats.label_issues import LabelIssue, likely_label_errors
from frostline.stats.mistakes import worst_mistakes
from frostline.stats.out_of_fold import OutOfFold


@dataclass(frozen=True)
class Told:
    """What a tile says of an image.

    ``row``: of the catalog. ``output``: number of the output whose heat map tells why, None where
    none does. ``label`` and ``prediction``: in words. ``confidence``: of the prediction, 0 where
    that is no probability.
    """

    row: int
    output: int | None
    label: str
    prediction: str
    confidence: float
    note: str


def mistakes_told(problem: Problem, assessed: OutOfFold, most: int) -> list[Told]:
    """Return the worst mistakes among predictions of images that did not teach."""
    return _MISTAKES[problem.target.task](problem, assessed, most)


def doubts_told(problem: Problem, judged: Sequence[OutOfFold], most: int) -> list[Told]:
    """Return what is probably labelled wrongly, the likeliest first.

    ``judged``: predictions of images that did not teach, the most trusted first.
    """
    return _DOUBTS[problem.target.task](problem, judged, most)


def _wrong_classes(problem: Problem, assessed: OutOfFold, most: int) -> list[Told]:
    p, given = assessed.probabilities, problem.labels[assessed.rows]
    answers = assessed.answers
    if answers is None:
        answers = problem.target.decide(p)
    found = [
        LabelIssue(int(assessed.rows[i]), float(p[i, given[i]] - p[i].max()), p[i], int(answers[i]))
        for i in worst_mistakes(p, given, most=most, answers=answers)
    ]
    return [_class_told(problem, one, "{own} for its own label.") for one in found]


def _doubted_classes(problem: Problem, judged: Sequence[OutOfFold], most: int) -> list[Told]:
    found = likely_label_errors(judged, problem.labels, most=most)
    note = "{how}: {own} for its label, by a model that did not learn from this image."
    return [_class_told(problem, one, note) for one in found]


def _class_told(problem: Problem, said: LabelIssue, note: str) -> Told:
    classes, label = problem.classes, problem.catalog.rows[said.row].label
    own = _percent(float(said.probabilities[label]))
    return Told(
        row=said.row,
        output=said.said,
        label=classes[label],
        prediction=classes[said.said],
        confidence=float(said.probabilities[said.said]),
        note=note.format(own=own, how=_strength(said.margin)),
    )


def _wrong_labels(problem: Problem, assessed: OutOfFold, most: int) -> list[Told]:
    decided = assessed.answers
    if decided is None:
        decided = problem.target.decide(assessed.probabilities)
    found = worst_labels(assessed, decided, problem.labels, most=most)
    return [_label_told(problem, one, "{own} for the label {name}.") for one in found]


def _doubted_labels(problem: Problem, judged: Sequence[OutOfFold], most: int) -> list[Told]:
    found = likely_label_errors_of_sets(judged, problem.labels, most=most)
    note = "{how}: {own} for the label {name}, by a model that did not learn from this image."
    return [_label_told(problem, one, note) for one in found]


def _label_told(problem: Problem, one: CellIssue, note: str) -> Told:
    name, has = problem.classes[one.output], one.given == 1.0
    return Told(
        row=one.row,
        # what spoke for a label that was missed shows where it was seen, if too faintly
        output=one.output,
        label=problem.catalog.in_words([one.row])[0],
        prediction=f"without {name}" if has else f"with {name}",
        confidence=1.0 - one.predicted if has else one.predicted,
        note=note.format(own=_percent(one.predicted), name=name, how=_strength(one.margin)),
    )


def _wrong_numbers(problem: Problem, assessed: OutOfFold, most: int) -> list[Told]:
    found = furthest_off(assessed, problem.labels, most=most)
    return [_number_told(problem, one, "{n:.1f} standard deviations off.") for one in found]


def _doubted_numbers(problem: Problem, judged: Sequence[OutOfFold], most: int) -> list[Told]:
    found = numbers_far_off(judged, problem.labels, most=most)
    note = "{n:.0f} times as far off as usual, by a model that did not learn from this image."
    return [_number_told(problem, one, note) for one in found]


def _number_told(problem: Problem, one: CellIssue, note: str) -> Told:
    name = problem.classes[one.output]
    return Told(
        row=one.row,
        output=one.output,
        label=f"{name} {one.given:.4g}",
        prediction=f"{one.predicted:.4g}",
        confidence=0.0,
        note=note.format(n=-one.margin),
    )


_MISTAKES: dict[Task, Callable[[Problem, OutOfFold, int], list[Told]]] = {
    "single": _wrong_classes,
    "ordinal": _wrong_classes,
    "multilabel": _wrong_labels,
    "regression": _wrong_numbers,
}
_DOUBTS: dict[Task, Callable[[Problem, Sequence[OutOfFold], int], list[Told]]] = {
    "single": _doubted_classes,
    "ordinal": _doubted_classes,
    "multilabel": _doubted_labels,
    "regression": _doubted_numbers,
}


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")


def _strength(margin: float) -> str:
    if margin < -0.9:
        return "Strong disagreement"
    return "Disagreement" if margin < -0.5 else "Slight disagreement"
