"""What was to be made as good as it can, in words."""

from __future__ import annotations

from frostline.core.score_record import HeldOutScores
from frostline.core.settings import MetricName
from frostline.core.task import Task
from frostline.wording.numbers import number, percent
from frostline.wording.tasks import TASKS, task_judged

#: what a score in percent is called
METRICS: dict[MetricName, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss saved",
    "cost": "cost saved",
    "r2": "variance explained",
    "mae": "distance saved",
    "qwk": "kappa with quadratic weights",
}
_RULES: dict[MetricName, str] = {
    "accuracy": "The likeliest class is answered",
    "balanced_accuracy": "Answers favour rare classes, so that every class counts alike",
    "macro_f1": "Answers favour rare classes as far as that finds more than it calls wrongly",
    "log_loss": "The likeliest class is answered",
    "cost": "The class with the lowest expected cost is answered",
    "r2": "The expected numbers are answered",
    "mae": "The grade with the lowest expected distance is answered",
    "qwk": "Grades are answered that the highest kappa is expected of",
}
_THAN: dict[MetricName, str] = {
    "log_loss": ", of what telling the shares of the {things} alone would leave",
    "cost": ", of what always answering the cheapest class would cost",
    "mae": ", of what always answering the median grade is off",
}
_Z95 = 1.96


def metric_sentences(
    metric: MetricName, reached: float | None = None, task: Task = "single"
) -> list[str]:
    """Say what every choice was made for; nothing where that is accuracy.

    ``reached``: the score of frozen features of all depths on images left out, if known.
    """
    if metric == "accuracy":
        return []
    said = f"Every choice is made for {METRICS[metric]}"
    if reached is not None:
        said += f" (frozen features of all depths: {percent(reached)}{_than(metric, task)})"
    if task == "regression":
        return [f"{said}. {_RULES[metric]}."]
    rule = "Each label is given from a threshold of its own on"
    return [
        f"{said}. {rule if task == 'multilabel' else _RULES[metric]}; probabilities stay "
        "calibrated."
    ]


def _than(metric: MetricName, task: Task) -> str:
    return _THAN.get(metric, "").format(things=TASKS[task].things)


def metric_words(test: HeldOutScores) -> tuple[str, str, str]:
    """Return the name, the score and what more there is to say of what was wanted."""
    score, error = test.metric_score or 0.0, test.metric_error
    more = "" if error is None else f"\u00b1 {100 * _Z95 * error:.1f} points"
    if test.metric == "log_loss" and test.nll is not None:
        more += f"; log loss {number(test.nll)} nats"
    if test.metric == "cost":
        more += f"; expected cost {number(test.expected_cost)} an image"
    name = METRICS[test.metric] + (", images by their weight" if test.metric_weighted else "")
    return name + _than(test.metric, task_judged(test)), percent(score), more.lstrip("; ")
