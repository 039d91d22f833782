"""The page in a real browser: nothing overflows, overlaps or pales; sorting and filtering work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from frostline.explain.gallery import Gallery
from frostline.report import ReportData, write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MakeData = Callable[..., ReportData]
CASES = ("two", "eight", "hundred", "given", "labels", "numbers")

#: texts of one drawing that lie on each other by more than two pixels both ways
OVERLAPS = """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
  const boxes = [...svg.querySelectorAll("text")].map((t) => [t, t.getBoundingClientRect()])
    .filter(([, b]) => b.width > 0);
  const found = [];
  boxes.forEach(([t, a], i) => boxes.slice(i + 1).forEach(([u, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 2 && high > 2) found.push(`${t.textContent} | ${u.textContent}`);
  }));
  return found;
})"""

#: texts of drawings that reach beyond the card they lie in
CUT_OFF = """() => [...document.querySelectorAll("section svg text")].filter((text) => {
  if (text.closest(".sized")) return false;
  const card = text.closest("section").getBoundingClientRect();
  const box = text.getBoundingClientRect();
  return box.width > 0 && (box.left < card.left || box.right > card.right);
}).map((text) => text.textContent)"""

#: texts that stand out less from what is behind them than WCAG's level AA asks for
PALE = """() => {
  const numbers = (colour) => {
    const found = colour.match(/[\\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      // the header is a gradient between two dark blues; the lighter one decides
      if (e.matches(".top")) { layers.push([20, 69, 107, 1]); break; }
      layers.push(numbers(style.backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const pale = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || element.closest("script, desc, title, #tip")) continue;
    const style = getComputedStyle(element);
    if (!element.getClientRects().length || style.opacity === "0") continue;
    const back = behind(element);
    const colour = over(numbers(element.closest("svg") ? style.fill : style.color), back);
    const [a, b] = [light(colour), light(back)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24;
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < (large ? 3 : 4.5)) pale.add(`${text.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return [...pale];
}"""


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory,
    make_data: MakeData,
    gallery: Gallery,
    labels_data: ReportData,
    numbers_data: ReportData,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    eight = tuple(f"kind of cell number {i}" for i in range(8))
    kinds = ("plover", "sandpiper", "flycatcher", "woodpecker", "owl", "grebe", "gull", "tern")
    sorts = ("northern", "common", "great", "little", "lesser", "spotted", "greater", "eastern")
    hundred = tuple(f"{sort} {kind}" for sort in (*sorts, "old", "new") for kind in kinds)
    hundred += tuple(f"warbler {i}" for i in range(20))
    made = {
        "two": make_data(("sound", "broken"), gallery=gallery, head=True),
        "eight": make_data(eight, gallery=gallery),
        "hundred": make_data(hundred, n=4000, gallery=gallery),
        "given": replace(make_data(("a", "b"), given=True, perfect=True), gallery=Gallery()),
        "labels": labels_data,
        "numbers": numbers_data,
    }
    for name, data in made.items():
        write_report(folder / f"{name}.html", data=data)
    return {name: folder / f"{name}.html" for name in made}


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Path]) -> Iterator[Open]:
    """Return a function that opens a page; faults of its script fail the test."""
    opened: list[Page] = []
    faults: list[str] = []

    def call(name: str, *, width: int = 1280, height: int = 800, **options: Any) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(pages[name].as_uri())
        opened.append(page)
        return page

    yield call
    for page in opened:
        page.close()
    assert not faults


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 768, 1280])
@pytest.mark.parametrize("name", CASES)
def test_nothing_overflows_overlaps_or_pales(
    open_page: Open, name: str, width: int, theme: str
) -> None:
    page = open_page(name, width=width, color_scheme=theme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(PALE) == []


def test_the_decision_and_its_accuracy_are_on_the_first_screen_of_a_phone(open_page: Open) -> None:
    page = open_page("eight", width=375)
    for selector in ("#result h2", ".big b", ".ends"):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 800


def test_tables_sort_by_a_click_and_by_keys(open_page: Open) -> None:
    page = open_page("eight")
    table = page.locator("#classes-table")
    recall = table.locator("thead th").nth(2)

    def column() -> list[float]:
        return [
            float(cell.get_attribute("data-value") or "nan")
            for cell in table.locator("tbody tr td:nth-child(3)").all()
        ]

    recall.get_by_role("button").click()
    assert recall.get_attribute("aria-sort") == "descending"
    assert column() == sorted(column(), reverse=True)
    recall.get_by_role("button").press("Enter")
    assert recall.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(column())
    table.locator("thead th").first.get_by_role("button").click()
    assert recall.get_attribute("aria-sort") is None
    names = table.locator("tbody th").all_text_contents()
    assert names == sorted(names)


def test_tables_filter_by_what_is_typed(open_page: Open) -> None:
    page = open_page("hundred")
    box = page.get_by_label("Show classes with")
    box.fill("warbler")
    rows = page.locator("#classes-table tbody tr:visible")
    expect(rows).to_have_count(20)
    assert all("warbler" in text for text in rows.all_text_contents())
    expect(page.locator("[data-filter=classes-table] output")).to_have_text("20 of 100 classes")
    box.fill("")
    expect(rows).to_have_count(100)


def test_mistakes_filter_over_both_lists(open_page: Open) -> None:
    page = open_page("eight")
    expect(page.locator("#mistakes .tile:visible")).to_have_count(12)
    page.get_by_label("Show mistakes with").fill("digits/13.png")
    expect(page.locator("#mistakes .tile:visible")).to_have_count(1)
    expect(page.locator("[data-filter=mistake-tiles] output")).to_have_text("1 of 14 pictures")


def test_pictures_are_there(open_page: Open) -> None:
    page = open_page("eight")
    widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 2 * 14 + 4 + 3 + 1 + 4
    assert all(width > 0 for width in widths)


def test_hints_follow_the_pointer(open_page: Open) -> None:
    page = open_page("eight")
    page.locator("#evidence svg .hit").first.hover()
    expect(page.locator("#tip")).to_be_visible()
    expect(page.locator("#tip")).to_contain_text("blocks.0: 52.0%, standard error 1.1%")
    page.locator(".confusion td.right").first.hover()
    expect(page.locator("#tip")).to_contain_text("kind of cell number 0 taken for")
    page.locator("h1").hover()
    expect(page.locator("#tip")).to_be_hidden()


def test_the_matrix_names_the_pair_below_the_pointer_and_walks_by_keys(open_page: Open) -> None:
    # a page that is still scrolling has other cells below the pointer
    page = open_page("hundred", height=1600, reduced_motion="reduce")
    figure = page.locator("[data-matrix]")
    said = figure.locator("output")
    region = figure.get_by_role("region")
    region.focus()
    page.keyboard.press("ArrowDown")
    first = figure.locator("text.row").first.text_content() or ""
    expect(said).to_contain_text(f"{first}:")
    expect(said).to_contain_text("right")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text(f"{first} taken for")
    cell = figure.locator("path.cell.wrong").first
    box = figure.locator("svg").bounding_box()
    assert box is not None
    corner = (cell.get_attribute("d") or "").removeprefix("M").split("h")[0].split()
    view = page.evaluate("document.querySelector('[data-matrix] svg').viewBox.baseVal.width")
    scale = box["width"] / view
    figure.locator("svg").hover(
        position={"x": (float(corner[0]) + 3) * scale, "y": (float(corner[1]) + 3) * scale},
        force=True,
    )
    expect(said).to_have_text(re.compile(r".+ taken for .+: [1-9]\d* images?$"))


def test_the_matrix_changes_its_order(open_page: Open) -> None:
    page = open_page("hundred")
    figure = page.locator("[data-matrix]")

    def top() -> str:
        texts = figure.locator("text.row").all()
        first = min(texts, key=lambda text: float(text.get_attribute("y") or 0))
        return first.text_content() or ""

    cells = (
        "[...document.querySelectorAll('path.cell')].map((p) => p.getAttribute('d'))"
        ".join('').split('M').length"
    )
    before = page.evaluate(cells)
    page.get_by_label("Order of the classes").select_option("given")
    assert top() == "northern plover"
    page.get_by_label("Order of the classes").select_option("hard")
    hardest = page.locator("#classes-table tbody tr")
    recalls = [
        float(r.locator("td").nth(1).get_attribute("data-value") or 0) for r in hardest.all()
    ]
    names = hardest.locator("th").all_text_contents()
    lowest = {name for name, recall in zip(names, recalls, strict=True) if recall == min(recalls)}
    assert any(name.startswith(top().split("…")[0]) for name in lowest)
    # nothing is lost on the way
    assert page.evaluate(cells) == before > 100


def test_without_scripts_all_of_it_is_there(open_page: Open) -> None:
    page = open_page("hundred", java_script_enabled=False)
    for name in ("result", "network", "evidence", "errors", "trust", "mistakes", "running"):
        expect(page.locator(f"#{name}")).to_be_visible()
    expect(page.locator("#classes-table tbody tr")).to_have_count(100)
    expect(page.locator("#mistakes .tile").first).to_be_visible()
    # what needs a script does not pretend to work
    expect(page.locator(".filter").first).to_be_hidden()
    expect(page.locator("thead button")).to_have_count(0)
    assert page.locator("svg .hit title").first.text_content()


def test_it_can_be_walked_by_keys_alone(open_page: Open) -> None:
    page = open_page("eight")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    # whatever scrolls by itself can be reached
    boxes = page.evaluate(
        "[...document.querySelectorAll('.scroll')].every((box) => box.tabIndex === 0"
        " && box.getAttribute('aria-label'))"
    )
    assert boxes
    # drawings that only decorate say so
    unnamed = page.evaluate(
        "[...document.querySelectorAll('main svg:not([aria-hidden=true])')]"
        ".filter((s) => !s.getAttribute('aria-label'))"
    )
    assert unnamed == []
    assert page.evaluate("[...document.images].every((image) => image.alt)")


def test_on_paper_everything_is_unfolded(open_page: Open) -> None:
    page = open_page("eight")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every((one) => one.open)")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator("nav")).to_be_hidden()
    assert len(page.pdf(format="A4")) > 10_000
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.evaluate("[...document.querySelectorAll('details')].every((one) => one.open)")
