"""Plans and runs show themselves in notebooks: short, escaped, and with what matters."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from frostline.core.notebook import card, columns, strip
from frostline.core.plan import Plan
from frostline.fitting.run_result import RunResult

pytestmark = pytest.mark.slow

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Collects tags and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def result(fast_run: RunResult) -> RunResult:
    return fast_run


def test_a_run_shows_accuracy_and_plan(result: RunResult) -> None:
    html = result._repr_html_()
    page = Tags(html)
    assert f"{result.scores.accuracy:.1%}" in page.text
    assert "on 48 images, cross-validation" in page.text
    assert result.plan.chosen in page.text
    assert all(line in page.text for line in result.plan.explanation)
    # one column a class and one a depth
    evidence = result.plan.evidence
    assert evidence is not None
    assert page.tags.count("rect") == 3 + len(evidence.probes) + 1
    assert len(html) < 15_000


def test_nothing_that_is_shown_can_run(result: RunResult) -> None:
    plan = result.plan.model_copy(
        update={"chosen": EVIL, "prior": EVIL, "explanation": [EVIL], "frozen": [EVIL, '"x']}
    )
    page = Tags(plan._repr_html_())
    assert "script" not in page.tags
    assert page.text.count(EVIL) == 3
    assert "script" not in Tags(card(EVIL, [(EVIL, "")]) + strip([(EVIL, "frozen")])).tags


def test_a_plan_without_evidence_and_a_deep_one_stay_short(result: RunResult) -> None:
    given = Plan.model_validate({**result.plan.model_dump(), "evidence": None})
    assert "By depth" not in given._repr_html_()
    deep = given.model_copy(update={"frozen": [f"layer.{i}" for i in range(3000)]})
    assert len(deep._repr_html_()) < 30_000


def test_columns_stand_for_their_numbers() -> None:
    html = columns([("a", 0.5), ("b", 2.0)], top=1.0)
    assert 'height="20.0"' in html
    assert html.count('height="40.0"') == 1
    assert "a: 50.0%" in html
