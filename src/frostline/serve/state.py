"""What is served, and what was seen of its answers."""

from __future__ import annotations

from frostline.serve.answer_counts import Called
from frostline.serve.feedback import Feedback
from frostline.serve.response_schemas import CalledWrong, KeptFeedback, State
from frostline.serve.served_model import ServedModel


def state_of(served: ServedModel, feedback: Feedback | None, *, entries: int) -> State:
    """Return the state of a model that is served; ``entries``: of feedback that are kept."""
    card, counts = served.model.card, served.counts
    watch = served.watch
    return State(
        model=served.fingerprint,
        backbone=card.backbone,
        task=card.task,
        outputs=len(card.classes),
        created=card.created,
        loaded=served.loaded,
        whole=_called(counts.whole()),
        by_answer={name: _called(found) for name, found in counts.by_answer().items()},
        feedback=None
        if feedback is None
        else KeptFeedback(
            entries=entries,
            max_entries=feedback.max_entries,
            keeps_images=feedback.keeps_images,
        ),
        watch=None if watch is None else watch.state(),
    )


def _called(found: Called) -> CalledWrong:
    ends = None if found.low is None or found.high is None else (found.low, found.high)
    return CalledWrong(
        answers=found.answers,
        judged=found.judged,
        wrong=found.wrong,
        share=found.share,
        interval=ends,
    )
