"""Sentences tell of labels and numbers what is reached of them."""

from __future__ import annotations

import pytest

from frostline.core.task import Task
from frostline.wording.decision import explanation
from frostline.wording.metrics import metric_sentences
from frostline.wording.tasks import TASKS
from frostline.wording.why import three_sentences
from tests.report.conftest import plan


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("single", ("in 4 classes", "classify 74.1%", "Expected accuracy on new images")),
        ("ordinal", ("in 4 grades", "classify 74.1%", "Expected accuracy on new images")),
        (
            "multilabel",
            ("with 4 labels", "mean average precision of 74.1%", "Expected mean average precision"),
        ),
        (
            "regression",
            ("with 4 columns of numbers", "explain 74.1% of the variance", "variance explained on"),
        ),
    ],
)
def test_each_task_has_its_words(task: Task, expected: tuple[str, ...]) -> None:
    one = plan(4, head=True)
    assert one.evidence is not None
    told = one.model_copy(
        update={"evidence": one.evidence.model_copy(update={"task": task}), "probe": "all"}
    )
    said = " ".join([*explanation(told), *three_sentences(told)])
    for words in expected:
        assert words in said
    others = {words for name in TASKS if name != task for words in [TASKS[name].outputs(4)]}
    assert not any(words in said for words in others)


def test_what_is_answered_is_told_by_task() -> None:
    assert "The likeliest class" in metric_sentences("log_loss")[0]
    assert "threshold of its own" in metric_sentences("log_loss", task="multilabel")[0]
    assert "probabilities" not in metric_sentences("r2", task="regression")[0]
