"""The four textbook cases, as data, and which of them the size and the shift point to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from frostline.core.plan import EvidenceSummary, SizeEvidence

CaseNumber = Literal[1, 2, 3, 4]

#: between "small" (below 1000 images) and "large" (from 5000), the geometric middle decides
_MIDDLE_SIZE = round(math.sqrt(1000 * 5000))


@dataclass(frozen=True)
class Case:
    """One of the four textbook cases."""

    number: CaseNumber
    strategy: Literal["head", "finetune", "cut", "full"]


CASES: dict[CaseNumber, Case] = {
    1: Case(1, "head"),
    2: Case(2, "finetune"),
    3: Case(3, "cut"),
    4: Case(4, "full"),
}


def counts_as_large(size: SizeEvidence) -> bool:
    """Whether the textbook would call this many images large."""
    if size.label == "medium":
        return size.n_images >= _MIDDLE_SIZE
    return size.label == "large"


def prior_case(evidence: EvidenceSummary) -> Case | None:
    """Return the textbook case of this data: where the decision starts, not where it ends.

    A moderate shift counts as similar: removing layers needs a reason. Where the shift is not known
    the textbook has no case.
    """
    if evidence.shift.label == "unknown":
        return None
    different = evidence.shift.label == "different"
    if counts_as_large(evidence.size):
        return CASES[4 if different else 2]
    return CASES[3 if different else 1]


def case_of(strategy: str) -> CaseNumber:
    """Return the textbook case that a carried-out strategy belongs to."""
    if strategy == "finetune":
        return 2
    if strategy == "full":
        return 4
    if strategy == "cut":
        return 3
    return 1
