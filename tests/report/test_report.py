"""The report is one file that says what it was given, and nothing foreign in it can run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.core.aliases import as_kept_in_files
from frostline.core.errors import RunFolderError
from frostline.core.run_record import Metrics, RunRecord
from frostline.evidence.shift import unmeasured
from frostline.explain.gallery import Gallery
from frostline.report import ReportData, write_report
from frostline.report.sections.running import flat
from frostline.stats.scores import score
from frostline.wording.decision import with_sentences

pytestmark = pytest.mark.slow

MakeData = Callable[..., ReportData]

VOID = {"meta", "link", "img", "br", "hr", "input"}
SECTIONS = (
    *("result", "network", "evidence", "options", "more", "errors", "trust"),
    *("mistakes", "doubtful", "sees", "images", "running", "use"),
)


class Page(HTMLParser):
    """Checks nesting while it collects text, tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag in ("td", "th", "text") else ""
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def of(self, name: str) -> list[str]:
        """Values of an attribute, in order."""
        return [value for _, attribute, value in self.attributes if attribute == name]

    @property
    def said(self) -> str:
        """The text with single spaces."""
        return re.sub(r"\s+", " ", self.text)


def metrics_of(data: ReportData) -> dict[str, Any]:
    return data.record.metrics.to_json()


def changed(data: ReportData, **values: Any) -> ReportData:
    """Return the same data with other values in the record."""
    record = RunRecord.model_validate({**data.record.to_json(), **values})
    return replace(data, record=record)


def page_of(tmp_path: Path, data: ReportData) -> tuple[Page, str]:
    path = tmp_path / "report.html"
    write_report(path, data=data)
    html = path.read_text(encoding="utf-8")
    return Page(html), html


@pytest.mark.parametrize("n_classes", [2, 4, 30, 300])
@pytest.mark.parametrize("given", [False, True])
def test_any_number_of_classes_with_and_without_evidence(
    tmp_path: Path, make_data: MakeData, n_classes: int, given: bool
) -> None:
    classes = tuple(f"class {i}" for i in range(n_classes))
    page, html = page_of(tmp_path, make_data(classes, given=given))
    assert html.startswith("<!DOCTYPE html>")
    assert page.tags.count("h1") == 1
    assert ("nothing was measured for it" in page.said) == given
    assert ("Probe accuracy by depth" in page.text) == (not given)
    assert "Most frequent mistakes" in page.text
    assert all(name in page.text for name in classes)
    assert len(html) < 600_000


def test_every_section_has_a_name_and_an_anchor(
    tmp_path: Path, make_data: MakeData, gallery: Gallery
) -> None:
    page, _ = page_of(tmp_path, make_data(("a", "b"), gallery=gallery))
    ids = page.of("id")
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    assert len(ids) == len(set(ids))
    assert {f"#{name}" for name in SECTIONS} <= set(page.of("href"))
    assert set(page.of("aria-labelledby")) <= set(ids)
    for landmark in ("header", "nav", "main", "footer"):
        assert page.tags.count(landmark) == 1
    headings = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_it_says_nothing_of_a_shift_that_nobody_knows(tmp_path: Path, make_data: MakeData) -> None:
    data = make_data(("dog", "cat"))
    plan = data.record.plan
    assert plan.evidence is not None
    evidence = plan.evidence.model_copy(update={"shift": unmeasured("Nobody can say.")})
    changes = {"evidence": evidence, "prior_case": None}
    unknown = with_sentences(plan.model_copy(update=changes))
    record = data.record.model_copy(update={"plan": unknown})
    page, _ = page_of(tmp_path, replace(data, record=record))
    assert page.text.count("not known") >= 3
    assert "Nobody can say." in page.text and "nothing was measured" in page.text
    assert not re.search(r"case \d|of 4,|similar images|different images|0\.00 on", page.text)
    assert not re.search(r"textbook (would say|calls)|[Mm]ostly in the (first|last)", page.text)


def test_it_says_what_it_was_given(tmp_path: Path, make_data: MakeData, gallery: Gallery) -> None:
    data = make_data(("dog", "cat", "eel"), gallery=gallery)
    page, _ = page_of(tmp_path, data)
    for expected in (
        "cells/solar",
        "80.2%",
        "95% interval 76.7 to 83.4%",
        "525 images, held out and looked at once",
        "compared with its fingerprints after training: identical",
        *data.record.plan.explanation,
        "its answer to case 3 of 4, small data, different images",
        "frost line",
        "cut after blocks.5 and train",
        "too expensive to try within the budget",
        "Three layers had no spread at all.",
        "blocks.5, 1.1 ± 0.7 points above the last one",
        "a/<b>broken</b>.png: truncated",
        "train/a.png, test/b.png (train, test)",
        "and 20 more in audit.json",
        "2 hidden, 1 not an image",
        "Only neighbours were compared.",
        "panel 7 (train, test)",
        "Without the 5 images that also occur in another given part: 79.9%",
        "Training stopped early.",
        "1 min 15 s",
        "1.2 GB",
        "frostline predict 'my run' photo.jpg",
        "frostline report 'my run'",
        "frostline fit cells/solar -o 'my run' --seed 0",
        "ab" * 32,
        "not set",
        "resolved threads",
        "Expected calibration error: 0.031",
        "labelled digit 0",
        "taken for digit 3 (98%)",
        "the same as digits/1.png",
        "In networks that learned from photos, first layers mostly respond to colours",
        "most like “window screen” (30%)",
    ):
        assert expected in page.said, expected
    plan = data.record.plan
    for layer in (*plan.frozen, *plan.trained, *plan.new, *plan.removed):
        assert layer in page.text


def test_settings_have_the_names_that_are_typed() -> None:
    kept = as_kept_in_files({"test_size": 0.3, "activation_dtype": "uint8", "seed": 1})
    shown = flat({**kept, "resolved": as_kept_in_files({"activation_dtype": "float16"})})
    assert shown == {
        "test_size": 0.3,
        "activation_dtype": "uint8",
        "seed": 1,
        "resolved activation_dtype": "float16",
    }


def test_the_first_screen_comes_first(tmp_path: Path, make_data: MakeData) -> None:
    said = page_of(tmp_path, make_data(("dog", "cat")))[0].said
    said = said[said.index("Decided") :]
    marks = (
        *("Decided", "cut after blocks.5 and train", "How good", "80.2%", "76.7 to 83.4%", "Why"),
        *("2,099 training images", "Frozen features alone classify 74.1%", "so the decision is"),
        "Where the frost line runs",
    )
    places = [said.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_layers_come_in_the_order_of_depth(tmp_path: Path, make_data: MakeData) -> None:
    text = page_of(tmp_path, make_data(("a", "b")))[0].said
    text = text[text.index("your image Frozen") :]
    marks = (
        *("Frozen: 6 layers", "conv_stem", "blocks.3", "frost line", "Trained: 2 layers"),
        *("blocks.4: trained", "New: 2 layers", "head: new", "2 classes", "Removed: 3 layers"),
    )
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_changed_frozen_layers_are_shouted(tmp_path: Path, make_data: MakeData) -> None:
    data = make_data(("a", "b"))
    data = changed(data, metrics={**metrics_of(data), "frozen_verified": False})
    page, _ = page_of(tmp_path, data)
    assert "Do not use this model" in page.text
    assert "identical, bit by bit" not in page.text


EVIL = "<script>alert('x')</script>"
BREAKOUT = '"><img src=x onerror=alert(1)>'


def test_names_cannot_become_markup(tmp_path: Path, make_data: MakeData, gallery: Gallery) -> None:
    evil_tile = replace(gallery.mistakes[0], path=BREAKOUT, label=EVIL, note=EVIL)
    data = make_data((EVIL, BREAKOUT, "{{ 7 * 7 }}"))
    evil_plan = data.record.plan.model_copy(
        update={"explanation": [EVIL], "frozen": [EVIL, BREAKOUT], "prior": EVIL, "chosen": EVIL}
    )
    data = changed(
        replace(data, gallery=Gallery(mistakes=(evil_tile,), findings=(evil_tile,))),
        source=EVIL,
        run=BREAKOUT,
        plan=evil_plan,
        provenance={"command": EVIL, "versions": {EVIL: EVIL}, "fingerprints": {BREAKOUT: EVIL}},
    )
    page, html = page_of(tmp_path, data)
    assert page.tags.count("script") == 1
    assert page.tags.count("img") == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.of("src"))
    assert not [a for _, a, _ in page.attributes if a.startswith("on")]
    assert EVIL not in html
    assert page.text.count(EVIL) >= 6
    assert "{{ 7 * 7 }}" in page.text


def test_many_classes_with_evil_names_stay_data(tmp_path: Path, make_data: MakeData) -> None:
    classes = (EVIL, BREAKOUT, *(f"class {i}" for i in range(30)))
    page, html = page_of(tmp_path, make_data(classes))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert EVIL not in html


def test_nothing_is_loaded_from_elsewhere(
    tmp_path: Path, make_data: MakeData, gallery: Gallery
) -> None:
    page, html = page_of(tmp_path, make_data(("a", "b"), gallery=gallery))
    assert not re.search(r"(?i)\b(https?:(?!//www\.w3\.org/2000/svg)|ftp:|@import|url\()", html)
    assert not {"link", "iframe", "object", "form", "base"} & set(page.tags)
    assert all(value.startswith("#") for value in page.of("href"))
    assert all(value.startswith("data:image/") for value in page.of("src"))
    assert not page.of("srcset")
    assert "default-src 'none'" in html


def test_only_its_own_script_may_run(tmp_path: Path, make_data: MakeData) -> None:
    _, html = page_of(tmp_path, make_data(("a", "b")))
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in html or f"'sha256-{digest}'" in html
    assert "unsafe-inline'; script-src" not in html


def test_a_perfect_model_and_empty_numbers(tmp_path: Path, make_data: MakeData) -> None:
    data = make_data(("a", "b"), perfect=True, gallery=Gallery())
    page, _ = page_of(tmp_path, data)
    assert "No mistakes were made" in page.text
    assert "There are none" in page.text
    bare = make_data(("a", "b"), given=True)
    summary = bare.record.metrics.test.summary.to_json()
    kept = ("balanced_accuracy_interval", "macro_f1", "nll", "brier", "ece")
    test = {**summary, **{name: metrics_of(bare)["test"][name] for name in kept}}
    metrics = {"test": test, "n_train": 3, "n_test": 2, "frozen_verified": True}
    record = RunRecord(plan=bare.record.plan, metrics=Metrics.model_validate(metrics))
    text = page_of(tmp_path, ReportData(record=record))[0].text
    assert "None" not in text
    assert "nan" not in text
    assert "Where it errs" not in text


def test_without_pictures_the_page_does_without(tmp_path: Path, make_data: MakeData) -> None:
    page, _ = page_of(tmp_path, make_data(("a", "b")))
    assert "img" not in page.tags
    assert not {"#mistakes", "#doubtful", "#sees"} & set(page.of("href"))


def test_the_same_data_give_the_same_bytes(
    tmp_path: Path, make_data: MakeData, gallery: Gallery
) -> None:
    data = make_data(("a", "b"), gallery=gallery)
    assert page_of(tmp_path, data)[1] == page_of(tmp_path, data)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_an_unwritable_place_is_named(tmp_path: Path, make_data: MakeData) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", data=make_data(("a", "b")))


def test_a_hundred_classes_and_many_images_stay_small(
    tmp_path: Path, make_data: MakeData, gallery: Gallery
) -> None:
    classes = tuple(f"a rather long name of class number {i}" for i in range(100))
    data = make_data(classes, n=20_000, gallery=gallery)
    copies = [[f"folder/{i}/{k}.png" for k in range(30)] for i in range(5000)]
    data = changed(data, audit={**data.record.audit.to_json(), "near_duplicates": copies})
    page, html = page_of(tmp_path, data)
    assert len(html.encode()) < 2_000_000
    assert "and 4,950 more in audit.json" in page.said
    assert "5,000 sets of near-duplicates" in page.said
    assert "and 19 more" in page.said


def test_the_folder_that_all_files_share_is_named_once(tmp_path: Path, make_data: MakeData) -> None:
    data = make_data(("a", "b"))
    copies = [[f"/data/set/a/{i}.png", f"/data/set/b/{i}.png"] for i in range(3)]
    copies.append([f"/data/set/c/{i}.png" for i in range(30)])
    page, _ = page_of(tmp_path, changed(data, audit={"near_duplicates": copies}))
    assert page.said.count("/data/set") == 1
    assert "Paths are below /data/set." in page.said
    assert "a/0.png, b/0.png" in page.said
    page, _ = page_of(tmp_path, changed(data, audit={"near_duplicates": [["/x/a.png", "b.png"]]}))
    assert "Paths are below" not in page.said
    assert "/x/a.png, b.png" in page.said


def test_real_scores_are_shown(tmp_path: Path, make_data: MakeData) -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    scores = score(probabilities, np.array([0, 0, 1, 1])).to_json(("left", "right"))
    data = make_data(("left", "right"))
    metrics = {**metrics_of(data), "test": {"method": "given", **scores}}
    data = changed(data, metrics=metrics, classes=(), source="", audit={"source": "hands"})
    page, _ = page_of(tmp_path, data)
    assert "hands – Frostline report" in page.said
    assert "2 classes" in page.said
    assert re.search(r"right left 1 50.0%", page.said)
    # one of two found: the interval of Wilson
    assert re.search(r"right 2 50% 9 to 91% 100% 0.67", page.said)


def test_a_head_on_frozen_layers_is_said_to_read_them(tmp_path: Path, make_data: MakeData) -> None:
    page, _ = page_of(tmp_path, make_data(("a", "b"), head=True))
    assert "All 9 layers stay frozen; a new classifier reads 3 depths." in page.said
    assert "read by the new head" in page.text
    assert "Loss by epoch" not in page.text


def test_chance_is_that_of_the_judged_images(tmp_path: Path, make_data: MakeData) -> None:
    data = make_data(("a", "b", "c", "d"))
    metrics = metrics_of(data)
    test = {**metrics["test"], "baseline": {"always": "class 1", "accuracy": 0.1234}}
    words = ["Always naming 'a <b>' would do."]
    data = changed(data, metrics={**metrics, "test": test, "caveats": words})
    page, _ = page_of(tmp_path, data)
    assert "chance would give 12.3%" in page.said
    assert words[0] in page.said
