"""What should not matter but tells the label."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.confound_record import Confound, ConfoundAudit, FactValue
from frostline.report.charts.honest import honest_chart
from frostline.report.charts.svg import Chart
from frostline.wording.comparison import p_words
from frostline.wording.confounds import (
    GROUPS,
    SCORES,
    VERDICTS,
    ends_words,
    honest_sentence,
    looked_at_words,
    score_words,
    unused_facts_words,
)


@dataclass(frozen=True)
class GroupRow:
    """One group of facts: what it tells, and what the model is without it."""

    name: str
    facts: str
    alone: str
    alone_sort: float
    chance: str
    p: str
    broken: str
    broken_ends: str
    same_count: str
    left_out: str
    left_out_ends: str
    verdict: str
    grave: bool


@dataclass(frozen=True)
class Divided:
    """One fact with its values: name, colour, images, judged, and both scores."""

    fact: str
    said: str
    grave: bool
    rows: list[tuple[FactValue, str, str]]
    pattern: str


@dataclass(frozen=True)
class ConfoundsView:
    """What the section shows."""

    score: str
    usual: str
    looked: str
    unused: str
    rows: list[GroupRow]
    chart: Chart | None
    divided: list[Divided]


def confounds(audit: ConfoundAudit | None) -> ConfoundsView | None:
    """Arrange an audit; None where nothing was looked at."""
    if audit is None or not audit.groups:
        return None
    return ConfoundsView(
        score=SCORES[audit.score],
        usual="" if audit.usual is None else score_words(audit, audit.usual),
        looked=looked_at_words(audit),
        unused=unused_facts_words(audit.unused),
        rows=[_row(one, audit) for one in audit.groups],
        chart=honest_chart(audit),
        divided=[found for one in audit.groups for found in _divided(one, audit)],
    )


def _row(one: Confound, audit: ConfoundAudit) -> GroupRow:
    honest = one.honest
    return GroupRow(
        name=GROUPS[one.group],
        facts=", ".join(one.facts),
        alone=score_words(audit, one.score),
        alone_sort=one.score,
        chance=score_words(audit, one.chance),
        p=p_words(one.p_adjusted),
        broken="" if honest is None else score_words(audit, honest.broken),
        broken_ends="" if honest is None else ends_words(audit, honest.broken_interval),
        same_count="" if honest is None else score_words(audit, honest.same_count),
        left_out="" if honest is None else score_words(audit, honest.left_out),
        left_out_ends="" if honest is None else ends_words(audit, honest.left_out_interval),
        verdict=VERDICTS[one.verdict],
        grave=one.verdict in ("warning", "inseparable"),
    )


def _divided(one: Confound, audit: ConfoundAudit) -> list[Divided]:
    honest = one.honest
    if honest is None:
        return []
    pattern = ""
    if honest.with_pattern is not None:
        pattern = (
            f"Images whose {honest.fact} is more frequent in their class than in all: "
            f"{score_words(audit, honest.with_pattern)}; others: "
            f"{score_words(audit, honest.against_pattern)}."
        )
    return [
        Divided(
            fact=honest.fact,
            said=honest_sentence(one, audit),
            grave=one.verdict in ("warning", "inseparable"),
            rows=[
                (value, score_words(audit, value.usual), score_words(audit, value.left_out))
                for value in honest.values
            ],
            pattern=pattern,
        )
    ]
