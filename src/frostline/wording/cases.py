"""The four textbook cases in words."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import Plan
from frostline.strategy.cases import CaseNumber


@dataclass(frozen=True)
class CaseWords:
    """What the data of a case are, what the textbook advises, and both said once more at length."""

    data: str
    advice: str
    title: str
    lesson: str


CASES: dict[CaseNumber, CaseWords] = {
    1: CaseWords(
        "small and similar",
        "a new head, everything else frozen",
        "small data, similar images",
        "a new head on frozen layers",
    ),
    2: CaseWords(
        "large and similar",
        "a new head, then fine-tune the whole network",
        "large data, similar images",
        "fine-tune the whole network from its pretrained weights",
    ),
    3: CaseWords(
        "small and different",
        "remove the high layers, new layers on the low ones",
        "small data, different images",
        "remove the last layers, freeze the first, train what is new",
    ),
    4: CaseWords(
        "large and different",
        "a new head, train the whole network",
        "large data, different images",
        "train every layer",
    ),
}


def case_in_brackets(plan: Plan) -> str:
    """Return the case after a decision's name; empty where nobody knows which the data are."""
    return f" (case {plan.case})" if plan.names_case else ""


def prior_words(number: CaseNumber) -> str:
    """Return what the textbook alone would have said: the case, its data, its advice."""
    return f"case {number}: {CASES[number].data}: {CASES[number].advice}"
