"""The page, clicked through in a real browser against a real service."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

if TYPE_CHECKING:
    from tests.serve.conftest import Live, Starting

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 60_000
expect.set_options(timeout=SECONDS)

# a file from the outside, as a person would drag it in
_DROP = """async ([names, contents]) => {
  const transfer = new DataTransfer();
  names.forEach((name, i) => transfer.items.add(
    new File([new Uint8Array(contents[i])], name, { type: "image/png" })));
  for (const kind of ["dragover", "drop"]) {
    document.getElementById("drop").dispatchEvent(new DragEvent(kind,
      { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


# browsers say so whenever a request is refused; the page says it to people
_REFUSED = re.compile("status of (4..|503)")


class Opened:
    """A page with what it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not _REFUSED.search(message.text):
            self.complaints.append(message.text)


@pytest.fixture
def opened(browser: Browser, live: Live) -> Iterator[Opened]:
    page = browser.new_page()
    found = Opened(page)
    page.goto(live.url)
    yield found
    page.close()
    assert found.complaints == []


@pytest.fixture
def page(opened: Opened) -> Page:
    return opened.page


def is_drawn(page: Page, selector: str) -> bool:
    """Whether an image has arrived and has pixels."""
    _until(
        page,
        "s => { const i = document.querySelector(s); return i.complete && i.naturalWidth > 0; }",
        selector,
    )
    return True


def test_a_chosen_image_gets_label_confidence_and_bars(page: Page, digits: list[Path]) -> None:
    expect(page.locator("#model")).to_contain_text("3 classes")
    page.set_input_files("#files", digits[-1])
    card = page.locator(".card")
    expect(card.locator(".label")).to_have_text("digit 4")
    expect(card.locator(".sure")).to_contain_text("% confidence")
    expect(card.locator(".name")).to_have_text(digits[-1].name)
    expect(card.locator(".bars li:visible")).to_have_count(3)
    expect(card.locator(".bars li").first).to_contain_text("digit 4")
    first, second = (card.locator(".bar").nth(i).bounding_box() for i in (0, 1))
    assert first is not None and second is not None
    assert first["width"] > second["width"]
    expect(card.locator(".unknown")).to_be_hidden()
    assert is_drawn(page, ".thumb")
    # people who do not see the page are told as well
    expect(page.locator("#status")).to_contain_text(f"{digits[-1].name}: digit 4")


def test_dropped_images_are_looked_at_and_bad_ones_named(page: Page, digits: list[Path]) -> None:
    names = ["zero.png", "words.png", "four.png"]
    contents = [list(digits[0].read_bytes()), list(b"no image"), list(digits[-1].read_bytes())]
    page.evaluate(_DROP, [names, contents])
    expect(page.locator(".card")).to_have_count(3)
    by_name = {name: page.locator(".card", has_text=name) for name in names}
    expect(by_name["zero.png"].locator(".label")).to_have_text("digit 0")
    expect(by_name["four.png"].locator(".label")).to_have_text("digit 4")
    bad = by_name["words.png"]
    expect(bad.locator(".label")).to_have_text("No answer")
    expect(bad).to_contain_text("not an image")
    expect(bad).to_contain_text("JPEG, PNG")
    expect(bad.locator(".explain")).to_be_hidden()
    # the newest is on top; removing one leaves the others
    expect(page.locator(".card").first).to_contain_text("four.png")
    bad.locator(".remove").click()
    expect(page.locator(".card")).to_have_count(2)
    page.locator("#clear").click()
    expect(page.locator(".card")).to_have_count(0)


def test_a_thousand_classes_are_folded_and_a_stranger_is_named(
    page: Page, digits: list[Path]
) -> None:
    shares = {f"class <b>{i}</b>": (0.5 if i == 7 else 0.5 / 999) for i in range(1000)}
    result = {
        "name": "x",
        "label": "class <b>7</b>",
        "confidence": 0.5,
        "probabilities": shares,
        "unknown": True,
    }
    page.route("**/predict", lambda route: route.fulfill(json={"results": [result]}))
    page.set_input_files("#files", digits[0])
    expect(page.locator(".bars li")).to_have_count(3)
    expect(page.locator(".bars li").first).to_contain_text("class <b>7</b>")
    page.locator(".all").click()
    expect(page.locator(".bars li")).to_have_count(1000)
    page.get_by_role("button", name="Show fewer").click()
    expect(page.locator(".bars li")).to_have_count(3)
    expect(page.locator(".unknown")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Unlike anything I was trained on")


def test_a_busy_service_is_asked_again(page: Page, digits: list[Path]) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            error = {"kind": "busy", "name": "service", "what": "busy", "expected": "later"}
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": error})
        else:
            route.continue_()

    page.route("**/predict", answer)
    page.set_input_files("#files", digits[0])
    expect(page.locator(".label")).to_have_text("digit 0")
    assert len(asked) == 2


def test_the_heat_map_comes_on_demand_and_goes_again(page: Page, digits: list[Path]) -> None:
    page.set_input_files("#files", digits[-1])
    button = page.locator(".explain")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".heat")).to_be_hidden()
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".heat")).to_be_visible()
    assert is_drawn(page, ".heat")
    expect(page.locator(".heat")).to_have_attribute("alt", "Heat map for digit 4")
    expect(page.locator(".legend")).to_contain_text("Orange speaks for")
    # another class has another map
    first = page.locator(".heat").get_attribute("src")
    page.locator(".legend select").select_option("digit 0")
    expect(page.locator(".heat")).to_have_attribute("alt", "Heat map for digit 0")
    assert page.locator(".heat").get_attribute("src") != first
    button.click()
    expect(page.locator(".heat")).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_names_are_never_read_as_markup(page: Page, digits: list[Path]) -> None:
    name = "<img src=x onerror=\"document.title='hit'\">.png"
    content = list(digits[0].read_bytes())
    page.evaluate(_DROP, [[name, f"bad {name}"], [content, list(b"no")]])
    expect(page.locator(".explain:visible")).to_have_count(1)
    expect(page.locator(".failed")).to_have_count(1)
    expect(page.locator(".card .name").last).to_have_text(name)
    assert page.title() != "hit"
    assert page.locator(".card img[src=x]").count() == 0


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(
    browser: Browser, live: Live, digits: list[Path], width: int, scheme: Any
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
    page.set_default_timeout(SECONDS)
    page.goto(live.url)
    expect(page.locator("#model")).to_contain_text("classes")
    page.locator("#more summary").click()
    long = "a_very_long_name_without_any_space_" * 5 + ".png"
    page.evaluate(_DROP, [[long, "b" * 90], [list(digits[0].read_bytes()), list(b"no")]])
    expect(page.locator(".explain:visible")).to_have_count(1)
    expect(page.locator(".failed")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((e) => {
             const box = e.getBoundingClientRect();
             return box.width > 1 && (box.right > innerWidth + 0.5 || box.left < -0.5);
           }).map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    # fingers need room
    for button in page.locator("button:visible, .button:visible").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 44
    page.close()


def test_the_keyboard_is_enough(page: Page, digits: list[Path]) -> None:
    expect(page.locator("#model")).to_contain_text("classes")
    page.set_input_files("#files", digits[0])
    expect(page.locator(".explain")).to_be_visible()
    page.locator("#files").focus()
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.className || document.activeElement.id")
        )
    assert reached == ["only-js", "explain", "remove", "clear"]
    page.locator(".explain").focus()
    page.keyboard.press("Space")
    expect(page.locator(".heat")).to_be_visible()


def test_every_control_has_a_name(page: Page, digits: list[Path]) -> None:
    page.set_input_files("#files", digits[0])
    expect(page.locator(".explain")).to_be_visible()
    page.locator(".explain").click()
    expect(page.locator(".heat")).to_be_visible()
    for role in ("button", "combobox"):
        found = page.get_by_role(role)
        assert found.count()
        for control in found.all():
            labels = control.evaluate("e => [e.ariaLabel, e.labels?.[0]?.textContent]")
            text = "" if role == "combobox" else control.inner_text()
            assert any(words and words.strip() for words in (*labels, text))
    for image in page.locator("main img:visible").all():
        assert image.get_attribute("alt")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.get_by_role("main").count() == 1


def test_too_many_and_too_large_are_refused_before_they_are_sent(
    browser: Browser, run: Path, started: Starting, digits: list[Path]
) -> None:
    options = ("--threads", "1", "--max-files", "3", "--max-bytes", "50KB")
    with started(run, *options) as live:
        page = browser.new_page()
        page.set_default_timeout(SECONDS)
        sent: list[str] = []
        page.on("request", lambda r: sent.append(r.url) if "predict" in r.url else None)
        page.goto(live.url)
        small = list(digits[0].read_bytes())
        page.evaluate(_DROP, [["large.png"], [small + [0] * 60_000]])
        expect(page.locator(".failed")).to_contain_text("at most 0.1 MB")
        assert sent == []
        page.evaluate(_DROP, [[f"{i}.png" for i in range(5)], [small] * 5])
        expect(page.locator("#note")).to_contain_text("the first 3")
        expect(page.locator(".explain:visible")).to_have_count(3)
        page.close()


def test_the_page_asks_for_the_key(
    browser: Browser, run: Path, started: Starting, digits: list[Path]
) -> None:
    with started(run, "--threads", "1", environment={"FROSTLINE_API_KEY": "open-up"}) as live:
        page = browser.new_page()
        page.set_default_timeout(SECONDS)
        page.goto(live.url)
        page.fill("#key", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#key-note")).to_contain_text("not accepted")
        page.fill("#key", "open-up")
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_contain_text("3 classes")
        expect(page.locator("#key-form")).to_be_hidden()
        page.set_input_files("#files", digits[0])
        expect(page.locator(".label")).to_have_text("digit 0")
        page.close()


def test_a_photo_is_taken_with_the_camera(browser: Browser, live: Live) -> None:
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    other = browser.browser_type.launch(
        executable_path=_program(),
        args=["--no-sandbox", "--disable-dev-shm-usage", *camera],
    )
    page = other.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(live.url)
    page.locator("#camera").click()
    expect(page.locator("#shot")).to_be_visible()
    _until(page, "document.getElementById('video').videoWidth > 0")
    page.locator("#take").click()
    expect(page.locator("#shot")).to_be_hidden()
    expect(page.locator(".name")).to_have_text("photo 1.jpg")
    expect(page.locator(".sure")).to_contain_text("confidence")
    assert is_drawn(page, ".thumb")
    # the camera is off again
    assert page.evaluate("document.getElementById('video').srcObject") is None
    other.close()


def test_without_scripts_the_form_still_works(
    browser: Browser, live: Live, digits: list[Path]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(live.url)
    page.set_input_files("#files", digits[-1])
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator("body")).to_contain_text('"label":"digit 4"')
    context.close()


def _until(page: Page, condition: str, of: str | None = None) -> None:
    """Wait for a condition; the page's own policy forbids what Playwright waits by."""
    for _ in range(SECONDS // 50):
        if page.evaluate(condition, of):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def _program() -> str:
    """The program that the shared browser runs."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(path for name in names if (path := shutil.which(name)))
