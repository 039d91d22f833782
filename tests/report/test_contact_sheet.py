"""The contact sheet in a real browser: answers by click and by key, undone, kept and saved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from frostline.core.suggestion_record import Suggestion, Suggestions, Why
from frostline.report.contact_sheet import picture_of, write_contact_sheet
from frostline.run.answers import read_answers
from frostline.wording.suggesting import found_sentences, why_sentence
from tests.report.test_browser import PALE

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FEW = ("crack", "dent", "sound")
MANY = tuple(f"kind {number}" for number in range(26))
NAMES = ("a.png", "b.png", "c.png", '</script><b id="x">.png', "e.png")


def suggestions(classes: tuple[str, ...], *, doubtful: bool = False) -> Suggestions:
    def one(number: int, name: str) -> Suggestion:
        return Suggestion(
            path=f"/pool/{name}",
            name=name,
            digest=f"{number:064x}",
            rank=number + 1,
            why=Why.DOUBTFUL if doubtful else Why.UNSURE,
            predicted=classes[1],
            confidence=0.61,
            others=((classes[0], 0.3), (classes[2], 0.09)),
            label=classes[2] if doubtful else "",
        )

    each = [one(number, name) for number, name in enumerate(NAMES)]
    pool = "" if doubtful else "pool"
    return Suggestions("run", pool, classes, tuple(each[:4]), tuple(each[4:]), labelled=40)


def written(folder: Path, found: Suggestions) -> Path:
    page = folder / "sheet.html"
    pictures = {
        one.digest: picture_of(Image.new("RGB", (90, 60 + 20 * one.rank), (40 * one.rank, 90, 120)))
        for one in (*found.chosen, *found.apart)
    }
    write_contact_sheet(
        page,
        found,
        pictures,
        title="5 images of pool to label",
        sentences=found_sentences(found),
        why=why_sentence,
        command="frostline label run answers.json",
    )
    return page


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    yield from opened(browser, written(tmp_path, suggestions(FEW)))


def opened(browser: Browser, file: Path) -> Iterator[Page]:
    complaints: list[str] = []
    page = browser.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(file.as_uri())
    yield page
    page.close()
    assert complaints == []


def saved(page: Page, folder: Path) -> dict[str, Any]:
    """Save by key, and read what was saved."""
    with page.expect_download() as download:
        page.keyboard.press("d")
    download.value.save_as(folder / download.value.suggested_filename)
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return found


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def test_a_whole_sheet_is_answered_by_keys_alone(page: Page, tmp_path: Path) -> None:
    count(page, "0 of 5 answered")
    expect(page.locator("#why")).to_have_text("between dent and crack")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.press("s")
    count(page, "3 of 5 answered, 1 skipped")
    page.keyboard.press("c")
    expect(page.locator("#new-name")).to_be_focused()
    # letters of a name are no commands
    page.keyboard.type("sun")
    page.keyboard.press("Enter")
    count(page, "4 of 5 answered, 1 skipped")
    expect(page.locator("#said")).to_contain_text("That was the last one")
    told = saved(page, tmp_path)
    assert [row["label"] for row in told["answers"]] == ["crack", "dent", "", "sun"]
    assert told["new_classes"] == ["sun"]
    assert told["skipped"] == 1
    given = read_answers(tmp_path / "answers.json")
    assert given.new_classes == {"sun"}
    assert given.answers[0].path == "/pool/a.png"
    assert given.answers[0].digest == f"{0:064x}"


def test_answers_are_undone_and_survive_the_page(page: Page) -> None:
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.reload()
    count(page, "2 of 5 answered")
    expect(page.locator("#place")).to_have_text("Image 3 of 5")
    page.keyboard.press("u")
    count(page, "1 of 5 answered")
    expect(page.locator("#place")).to_have_text("Image 2 of 5")
    page.keyboard.press("Backspace")
    count(page, "0 of 5 answered")
    expect(page.locator("#undo")).to_be_disabled()
    page.keyboard.press("c")
    page.keyboard.type("new one")
    page.keyboard.press("Enter")
    expect(page.locator("#classes")).to_contain_text("new one")
    page.keyboard.press("u")
    expect(page.locator("#classes")).not_to_contain_text("new one")


def test_a_sheet_is_answered_by_clicks(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="sound").click()
    page.locator("#tiles button").nth(3).click()
    expect(page.locator("#name")).to_have_text(NAMES[3])
    assert page.locator("#x").count() == 0
    page.get_by_role("button", name="None of these").click()
    expect(page.locator("#place")).to_have_text("Image 5 of 5")
    expect(page.locator("#apart-title")).to_be_visible()
    page.get_by_role("button", name="Skip", exact=False).last.click()
    # back to the first without an answer
    expect(page.locator("#place")).to_have_text("Image 2 of 5")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#current")).to_have_text("Answered: sound")
    page.get_by_role("button", name="crack").click()
    told = saved(page, tmp_path)
    assert [(row["path"], row["label"]) for row in told["answers"]] == [
        ("/pool/a.png", "crack"),
        (f"/pool/{NAMES[3]}", ""),
    ]


def test_of_many_classes_one_is_found_by_its_name(browser: Browser, tmp_path: Path) -> None:
    for page in opened(browser, written(tmp_path, suggestions(MANY))):
        # the likeliest first, each with a key
        first = page.locator("#classes button").first
        expect(first).to_have_text(re.compile("1.*kind 1"))
        page.keyboard.press("/")
        page.keyboard.type("17")
        expect(page.locator("#classes button")).to_have_count(1)
        page.keyboard.press("Enter")
        page.keyboard.press("2")
        told = saved(page, tmp_path)
        assert [row["label"] for row in told["answers"]] == ["kind 17", "kind 0"]


def test_doubtful_labels_are_kept_or_changed(browser: Browser, tmp_path: Path) -> None:
    for page in opened(browser, written(tmp_path, suggestions(FEW, doubtful=True))):
        expect(page.locator("#why")).to_have_text("labelled sound, looks like dent")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        told = saved(page, tmp_path)
        assert [row["label"] for row in told["answers"]] == ["sound", "dent"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1200])
def test_it_fits_and_can_be_read(page: Page, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.keyboard.press("1")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(PALE) == []
