"""Saying that an answer was wrong, and reading the state, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, expect

from frostline.model_format.model_folder import load_card
from frostline.run.feedback_log import FEEDBACK, read_feedback

if TYPE_CHECKING:
    from tests.serve.conftest import Live, Starting

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 60_000
expect.set_options(timeout=SECONDS)
KEY = "open-up"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feedback")


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose model may be replaced."""
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("served") / "run"))


@pytest.fixture(scope="module")
def listening(served: Path, kept: Path, started: Starting) -> Iterator[Live]:
    options = ("--threads", "1", "--feedback", str(kept), "--keep-images", "--allow-reload")
    with started(served, *options, environment={"FROSTLINE_API_KEY": KEY}) as live:
        yield live


@pytest.fixture
def page(browser: Browser, listening: Live) -> Iterator[Page]:
    page = browser.new_page()
    complaints: list[str] = []
    page.set_default_timeout(SECONDS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(listening.url)
    unlock(page)
    yield page
    page.close()
    assert complaints == []


def unlock(page: Page) -> None:
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#key-form")).to_be_hidden()


def test_the_mouse_says_what_is_right(page: Page, digits: list[Path], kept: Path) -> None:
    expect(page.locator("#drop")).to_contain_text("none of them but those that you correct")
    page.set_input_files("#files", digits[-1])
    page.get_by_role("button", name=f"This was wrong: {digits[-1].name}").click()
    form = page.locator(".correction")
    expect(form).to_be_visible()
    options = form.locator("option")
    expect(options).to_have_text(["Choose …", "digit 0", "digit 1", "None of these"])
    form.get_by_role("button", name="Send").click()
    expect(form.locator(".trouble")).to_have_text("Choose what it is.")
    form.locator("select").select_option("digit 1")
    form.get_by_role("button", name="Send").click()
    expect(page.locator(".thanks")).to_have_text("Noted: digit 1.")
    expect(form).to_be_hidden()
    expect(page.locator("#status")).to_contain_text("noted as digit 1")
    (entry,) = read_feedback(kept / FEEDBACK)
    assert (entry.predicted, entry.label, entry.wrong) == ("digit 4", "digit 1", True)
    assert (kept / entry.image).read_bytes() == digits[-1].read_bytes()


def test_the_keyboard_is_enough(page: Page, digits: list[Path], kept: Path) -> None:
    before = len(read_feedback(kept / FEEDBACK)) if (kept / FEEDBACK).exists() else 0
    page.set_input_files("#files", digits[0])
    button = page.locator(".wrong")
    expect(button).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "false")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    select = page.locator(".correction select")
    expect(select).to_be_focused()
    # away again, and the focus is where it was
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(page.locator(".correction")).to_be_hidden()
    page.keyboard.press("Space")
    expect(select).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".thanks")).to_have_text("Noted: none of these.")
    expect(button).to_be_focused()
    found = read_feedback(kept / FEEDBACK)
    assert len(found) == before + 1
    assert (found[-1].predicted, found[-1].label) == ("digit 0", "")


def test_labels_are_ticked_and_numbers_written(page: Page, digits: list[Path]) -> None:
    sent: list[str] = []
    answer: dict[str, Any] = {"name": "x", "label": "a", "confidence": 0.9, "unknown": False}

    def asked_for(task: str, classes: list[str], **said: Any) -> None:
        card = {"task": task, "classes": classes, "backbone": "b"}
        page.route("**/model", lambda route: route.fulfill(json=card))
        result = {"model": "m", "results": [answer | said]}
        page.route("**/predict", lambda route: route.fulfill(json=result))
        page.locator("#clear").click() if page.locator(".card").count() else None
        page.set_input_files("#files", digits[0])
        page.locator(".wrong").click()

    def note(route: Any) -> None:
        body = route.request.post_data_buffer or b""
        label = body.split(b'name="label"\r\n\r\n')[1].split(b"\r\n")[0].decode()
        sent.append(label)
        route.fulfill(json={"label": label})

    page.route("**/feedback", note)
    names = {"a": 0.9, "b": 0.1, "<i>c</i>": 0.1}
    asked_for("multilabel", list(names), labels=["a"], probabilities=names)
    expect(page.get_by_role("checkbox", name="a", exact=True)).to_be_checked()
    page.get_by_role("checkbox", name="a", exact=True).uncheck()
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".thanks")).to_have_text("Noted: none of the labels.")
    page.locator(".wrong").click()
    page.get_by_role("checkbox", name="<i>c</i>").check()
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".thanks")).to_have_text("Noted: a, <i>c</i>.")
    number = {"value": {"ink": 1.5, "age": 2.0}, "probabilities": {}, "confidence": None}
    asked_for("regression", ["ink", "age"], **number)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".trouble")).to_have_text("Write at least one number.")
    page.get_by_role("spinbutton", name="age").fill("-3.25")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".thanks")).to_have_text("Noted: ?, -3.25.")
    assert sent == ["", "a;<i>c</i>", "?;-3.25"]


def test_a_replaced_model_is_asked_again(
    page: Page, digits: list[Path], served: Path, kept: Path
) -> None:
    page.set_input_files("#files", digits[-1])
    page.locator(".wrong").click()
    page.locator(".correction select").select_option("digit 0")
    card = load_card(served)
    other = card.model_copy(update={"classes": ("ring", "stroke", "fork")})
    (served / "model" / "model.json").write_text(other.to_json(), encoding="utf-8")
    reload = f"fetch('reload', {{method: 'POST', headers: {{'X-API-Key': '{KEY}'}}}})"
    assert page.evaluate(f"{reload}.then((answer) => answer.status)") == 200
    before = len(read_feedback(kept / FEEDBACK))
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#note")).to_contain_text("was replaced meanwhile")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".label")).to_have_text("fork")
    assert len(read_feedback(kept / FEEDBACK)) == before


@pytest.mark.parametrize(
    ("width", "scheme"), [(320, "light"), (375, "dark"), (768, "dark"), (1280, "light")]
)
def test_the_state_is_told_and_nothing_overflows(
    browser: Browser, listening: Live, digits: list[Path], width: int, scheme: Any
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
    page.set_default_timeout(SECONDS)
    page.goto(listening.url)
    unlock(page)
    page.set_input_files("#files", digits[-1])
    page.locator(".wrong").click()
    expect(page.locator(".correction")).to_be_visible()
    assert fits(page, width)
    page.goto(listening.url + "state")
    expect(page.locator("#facts")).to_contain_text("Called wrong")
    expect(page.locator("#kept")).to_contain_text("with their pictures")
    expect(page.locator("#rows tr").first).to_be_visible()
    assert fits(page, width)
    expect(page.locator("#rows tr").first.locator(".interval")).to_contain_text(" to ")
    page.close()


def fits(page: Page, width: int) -> bool:
    """Whether nothing sticks out, and fingers have room."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in page.locator("button:visible, select:visible").all():
        box = control.bounding_box()
        assert box is not None and box["height"] >= 44 and box["x"] + box["width"] <= width
    return True
