"""The page of a comparison: in a real browser, and what it says of numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage

import frostline
from frostline.report.comparison import render_comparison
from tests.comparing.conftest import kept_run, probabilities
from tests.report.test_browser import PALE

N = 300
TRUTH = np.arange(N) % 3
CLASSES = ("short", "a class of a really rather long name that goes on", "<script>x</script>")


def _keep(said: list[str]) -> Callable[[ConsoleMessage], None]:
    return lambda message: said.append(message.text)


def page_of(folder: Path, digits: Path) -> frostline.Comparison:
    """Compare two runs whose images lie in a folder of digits, as far as there are so many."""
    files = [file.relative_to(digits).as_posix() for file in sorted(digits.rglob("*.png"))]
    names = [*files, *(f"a/folder/of/which/the/name/is/long/{i}.png" for i in range(N))][:N]
    for name, right, seed in (("a", 0.9, 1), ("b", 0.7, 2)):
        p = probabilities(TRUTH, right, seed)
        options: dict[str, Any] = {"classes": CLASSES, "names": names, "source": digits}
        kept_run(folder / name, p, TRUTH, **options)
    return frostline.compare(folder / "a", folder / "b", no_worse_than=0.5)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_width_and_can_be_read(
    browser: Browser, tmp_path: Path, digit_folder: Path, scheme: Any
) -> None:
    page_of(tmp_path, digit_folder).write_html(tmp_path / "c.html")
    for width in (400, 800, 1200):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        said: list[str] = []
        page.on("console", _keep(said))
        page.goto((tmp_path / "c.html").as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        assert page.locator("#lost .tile img").count() > 0
        assert page.locator("#parts tbody tr").count() >= 3
        if width == 800:
            assert not page.evaluate(PALE)
            head = page.locator("#parts thead button").first
            head.click()
            assert page.locator("#parts th[aria-sort]").count() == 1
        assert not said
        page.close()


def test_it_is_whole_and_runs_no_name(tmp_path: Path, digit_folder: Path) -> None:
    found = page_of(tmp_path, digit_folder)
    page = render_comparison(found.record, found.tiles)
    assert "<script>x</script>" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert page.count("data:image/jpeg") == len(found.tiles) > 3
    assert "B is worse" in page
    assert "failed, with 95 % confidence" in page
    html = found._repr_html_()
    assert "Accuracy" in html or "accuracy" in html


def test_numbers_are_said_in_few_digits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 2)) * 1000
    for name, noise in (("a", 0.2), ("b", 0.8)):
        values = truth + rng.normal(size=truth.shape) * 1000 * noise
        kept_run(tmp_path / name, values, truth, classes=("x", "y"), task="regression")
    found = frostline.compare(tmp_path / "a", tmp_path / "b").record
    page = render_comparison(found)
    assert found.lost[0].truth not in page
    first, second = (f"{float(one):.4g}" for one in found.lost[0].truth.split(";"))
    assert f"{first}; {second}" in page
    said = [[one.truth, one.a, one.b] for one in found.lost]
    numbers = np.array([[text.split(";") for text in row] for row in said], dtype=float)
    off = np.abs(numbers[:, 1:] - numbers[:, :1]).sum(axis=2)
    gap = off[:, 1] - off[:, 0]
    # the first is where the models are furthest apart
    assert gap[0] == pytest.approx(gap.max(), rel=0.1)
