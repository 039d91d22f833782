"""Pages of measured figures say what was recorded, in the words of their templates."""

from __future__ import annotations

import pytest

from benchmarks import figures


@pytest.mark.parametrize("name", figures.PAGES)
def test_a_page_is_what_its_template_makes_of_the_results(name: str) -> None:
    page = (figures.DOCS / f"{name}.md").read_text(encoding="utf-8")
    # edit benchmarks/pages/, then run `python -m benchmarks.figures`
    assert figures.rendered(name, page) == page
