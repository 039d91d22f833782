"""The report is one file that says what it was given, and nothing in it can run."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.errors import RunFolderError
from frostline.evaluation.scores import score
from frostline.plan import (
    CandidateResult,
    EvidenceSummary,
    LayerShift,
    Plan,
    ProbeEvidence,
    ShiftEvidence,
    SizeEvidence,
    TapsHead,
)
from frostline.report import ReportData, write_report
from frostline.report.charts import probe_chart, shift_chart
from frostline.report.view import (
    MAX_CLASSES,
    MAX_LISTED,
    MAX_NAMED,
    confusion_table,
    shortened_audit,
    top_confusions,
)
from frostline.report.words import interval, number, percent, seconds, shortened, size

VOID = {"meta", "link", "img", "br", "hr", "input"}
ACCURACIES = [0.52, 0.61, 0.66, 0.71, 0.748, 0.752, 0.741]


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
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def probe(tap: str, accuracy: float) -> ProbeEvidence:
    return ProbeEvidence(
        tap=tap,
        dimensions=320,
        accuracy=accuracy,
        standard_error=0.011,
        balanced_accuracy=accuracy - 0.02,
        mse=0.1,
        train_accuracy=min(1.0, accuracy + 0.1),
        strength=10.0,
    )


def evidence(n_classes: int) -> EvidenceSummary:
    random = np.random.default_rng(0)
    probes = [probe(f"blocks.{i}", accuracy) for i, accuracy in enumerate(ACCURACIES)]
    return EvidenceSummary(
        size=SizeEvidence(
            n_images=2099,
            n_classes=n_classes,
            per_class=354.5,
            smallest_class=84,
            largest_class=1206,
            label="medium",
        ),
        shift=ShiftEvidence(
            measure="debiased squared shift of norm inputs",
            n_images=256,
            distance=0.83,
            interval=(0.79, 0.88),
            relative=4.6,
            early=1.1,
            middle=0.8,
            late=0.5,
            kind="input",
            label="different",
            layers=[
                LayerShift(
                    layer=f"blocks.{i // 3}.{i % 3}.bn1",
                    shift=float(1.1 * np.exp(-i / 30) * random.uniform(0.6, 1.2) - 0.02),
                    shift_median=0.5,
                    kl=0.4,
                )
                for i in range(49)
            ],
            warnings=["Three layers had no spread at all."],
        ),
        probes=probes,
        all_taps=probe("all", 0.79),
        best_tap="blocks.5",
        last_tap="blocks.6",
        cut_gain=0.011,
        cut_gain_error=0.007,
        gap=0.09,
        slope=0.021,
        headroom=0.2,
        chance=1 / n_classes,
    )


def plan(n_classes: int, *, given: bool = False) -> Plan:
    return Plan(
        case=3,
        prior="cut after blocks.3, freeze below",
        strategy="auto",
        chosen="head on all taps",
        backbone="efficientnet_lite0",
        cut="blocks.5",
        removed=["blocks.6", "conv_head", "bn2"],
        frozen=["conv_stem", "bn1", *(f"blocks.{i}" for i in range(4))],
        trained=["blocks.4", "blocks.5"],
        new=["new", "head"],
        seed=0,
        action=TapsHead(taps=["blocks.4", "blocks.5"]),
        evidence=None if given else evidence(n_classes),
        candidates=[]
        if given
        else [
            CandidateResult(
                name="head on all taps",
                kind="taps_head",
                score=0.79,
                standard_error=0.009,
                seconds=3.2,
                stopped="chosen",
            ),
            CandidateResult(
                name="fine-tune everything",
                kind="full",
                score=None,
                standard_error=None,
                seconds=0.0,
                stopped="not tried: beyond the budget",
            ),
        ],
        explanation=[]
        if given
        else [
            "2,099 training images in a few classes are a medium amount.",
            "They lie 4.6 times as far from the pretraining data as ordinary photos do.",
            "So the head on all depths was chosen: 79.0 % against 74.1 % for the last layer.",
        ],
    )


def make_data(
    classes: tuple[str, ...], *, given: bool = False, perfect: bool = False
) -> ReportData:
    random = np.random.default_rng(0)
    n = len(classes)
    confusion = np.diag(random.integers(20, 60, n))
    if not perfect:
        confusion = confusion + random.poisson(30 / n, (n, n))
    return ReportData(
        source="cells/solar",
        classes=classes,
        plan=plan(n, given=given),
        metrics={
            "test": {
                "method": "held-out",
                "accuracy": 0.802,
                "accuracy_interval": (0.767, 0.834),
                "balanced_accuracy": 0.744,
                "balanced_accuracy_interval": (0.7, 0.781),
                "macro_f1": 0.7512,
                "nll": 0.5291,
                "ece": 0.0312,
                "without_leaks": {"n": 520, "accuracy": 0.799, "accuracy_interval": [0.76, 0.83]},
            },
            "notes": ["Training stopped early."],
            "n_train": 2099,
            "n_test": 525,
            "seconds": {"decode": 4.1, "features": 18.0, "evidence": 3.5, "total": 75.3},
            "peak_memory_bytes": 1_234_000_000,
            "frozen_verified": True,
        },
        scores={
            "n": 525,
            "confusion": confusion.tolist(),
            "per_class": [
                {
                    "class": name,
                    "precision": None if i == 0 else 0.8,
                    "recall": 0.75,
                    "f1": 1 - i / n / 2,
                    "support": int(confusion[i].sum()),
                }
                for i, name in enumerate(classes)
            ],
        },
        audit={
            "class_counts": dict.fromkeys(classes, 30),
            "exact_duplicates": [["a/1.png", "a/2.png"]],
            "near_duplicates": [[f"b/{i}.png", f"b/{i}x.png"] for i in range(70)],
            "label_conflicts": [{"paths": ["a/3.png", "b/3.png"], "labels": list(classes[:2])}],
            "leaks": [{"paths": ["train/a.png", "test/b.png"], "parts": ["train", "test"]}],
            "unreadable": [{"path": "a/<b>broken</b>.png", "reason": "truncated"}],
            "ignored": {"hidden": 2, "not an image": 1},
            "shared_groups": [{"group": "panel 7", "parts": ["train", "test"], "images": 4}],
            "notes": ["Only neighbours were compared."],
        },
        settings={
            "strategy": "auto",
            "effort": "balanced",
            "cut": None,
            "resolved": {"threads": 2},
        },
        run="my run",
        version="0.1.0",
    )


def page_of(tmp_path: Path, data: ReportData) -> tuple[Page, str]:
    path = tmp_path / "report.html"
    write_report(path, data=data)
    html = path.read_text(encoding="utf-8")
    return Page(html), html


@pytest.mark.parametrize("n_classes", [2, 4, 30, 300])
@pytest.mark.parametrize("given", [False, True])
def test_any_number_of_classes_with_and_without_evidence(
    tmp_path: Path, n_classes: int, given: bool
) -> None:
    data = make_data(tuple(f"class {i}" for i in range(n_classes)), given=given)
    page, html = page_of(tmp_path, data)
    assert html.startswith("<!DOCTYPE html>")
    assert page.tags.count("h1") == 1
    assert page.tags.count("svg") == (0 if given else 2)
    assert ("true \\ predicted" in page.text) == (n_classes <= 30)
    assert "Most frequent mistakes" in page.text
    assert all(name in page.text for name in data.classes)
    assert len(html) < 400_000


def test_it_says_what_it_was_given(tmp_path: Path) -> None:
    data = make_data(("dog", "cat", "eel"))
    text = re.sub(r"\s+", " ", page_of(tmp_path, data)[0].text)
    for expected in (
        "cells/solar",
        "80.2 %",
        "76.7 – 83.4 %",
        "525 images, on images held out before training",
        "compared with its fingerprints after training: identical",
        *data.plan.explanation,
        "Case 3 of 4: small data, different images",
        "the frost line",
        "head on all taps",
        "not tried: beyond the budget",
        "Three layers had no spread at all.",
        "blocks.5, 1.1 ± 0.7 points above the last",
        "a/<b>broken</b>.png: truncated",
        "train/a.png, test/b.png (train, test)",
        "and 20 more in audit.json",
        "2 hidden, 1 not an image",
        "Only neighbours were compared.",
        "panel 7 (train, test)",
        "Without the 5 images that also occur in another given part: 79.9 %",
        "Training stopped early.",
        "1 min 15 s",
        "1.2 GB",
        "frostline predict 'my run' photo.jpg",
        "not set",
        "resolved threads",
    ):
        assert expected in text, expected
    for layer in (*data.plan.frozen, *data.plan.trained, *data.plan.new, *data.plan.removed):
        assert layer in text


def test_the_layers_come_in_the_order_of_depth(tmp_path: Path) -> None:
    text = page_of(tmp_path, make_data(("a", "b")))[0].text
    marks = ["6 frozen", "the frost line", "2 trained", "2 new", "3 removed"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_changed_frozen_layers_are_shouted(tmp_path: Path) -> None:
    data = make_data(("a", "b"))
    data = ReportData(**{**vars(data), "metrics": {**data.metrics, "frozen_verified": False}})
    assert "Do not use this model" in page_of(tmp_path, data)[0].text


EVIL = "<script>alert('x')</script>"
BREAKOUT = '"><img src=x onerror=alert(1)>'


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    data = make_data((EVIL, BREAKOUT, "{{ 7 * 7 }}"))
    values: dict[str, Any] = {**vars(data), "source": EVIL, "run": BREAKOUT}
    evil_plan = data.plan.model_copy(
        update={"explanation": [EVIL], "frozen": [EVIL, BREAKOUT], "prior": EVIL, "chosen": EVIL}
    )
    page, html = page_of(tmp_path, ReportData(**{**values, "plan": evil_plan}))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [a for _, a, _ in page.attributes if a.startswith("on")]
    assert EVIL not in html
    assert page.text.count(EVIL) >= 6
    assert "{{ 7 * 7 }}" in page.text


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page, html = page_of(tmp_path, make_data(("a", "b")))
    assert not re.search(r"(?i)\b(https?:|ftp:|//\w+\.\w|@import|url\()", html)
    assert not {"script", "link", "iframe", "img", "object", "form", "base"} & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "srcset", "data")]
    assert "default-src 'none'" in html


def test_a_perfect_model_and_empty_numbers(tmp_path: Path) -> None:
    data = make_data(("a", "b"), perfect=True)
    assert "No mistakes were made" in page_of(tmp_path, data)[0].text
    bare = ReportData(plan=plan(2, given=True), metrics={}, scores={}, audit={})
    text = page_of(tmp_path, bare)[0].text
    assert "None" not in text
    assert "nan" not in text


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    data = make_data(("a", "b"))
    assert page_of(tmp_path, data)[1] == page_of(tmp_path, data)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", data=make_data(("a", "b")))


def test_probe_bars_stand_for_their_numbers() -> None:
    chart = probe_chart(evidence(4))
    widths = np.array([bar.width for bar in chart.bars])
    np.testing.assert_allclose(widths / widths[0], np.array([*ACCURACIES, 0.79]) / 0.52)
    assert [bar.kind for bar in chart.bars] == ["tap"] * 5 + ["best", "tap", "all"]
    assert all(bar.y + bar.height <= chart.height for bar in chart.bars)
    for bar in chart.bars:
        assert bar.whisker is not None
        assert sum(bar.whisker) / 2 == pytest.approx(bar.x + bar.width)
    # chance of one in four lies a quarter along the axis
    assert chart.line == pytest.approx(chart.bars[0].x + widths[0] / 0.52 / 4)


def test_shift_bars_stand_on_zero() -> None:
    values = [0.5, 2.0, -0.25]
    layers = [LayerShift(layer=str(v), shift=v, shift_median=v, kl=v) for v in values]
    chart = shift_chart(layers)
    first, second, third = chart.bars
    assert second.height == pytest.approx(4 * first.height)
    assert third.height == pytest.approx(first.height / 2)
    assert first.y + first.height == pytest.approx(chart.line)
    assert third.y == pytest.approx(chart.line)
    assert third.y + third.height == pytest.approx(chart.height)
    assert [bar.kind for bar in chart.bars] == ["early", "middle", "late"]


def test_confusions_are_counted_by_row() -> None:
    counts = [[8, 2, 0], [1, 9, 0], [0, 3, 7]]
    rows = confusion_table(("a", "b", "c"), counts)
    assert [[cell.count for cell in cells] for _, cells in rows] == counts
    assert rows[0][1][1].share == pytest.approx(0.2)
    top = top_confusions(("a", "b", "c"), counts)
    assert [(c.true, c.predicted, c.count) for c in top] == [
        ("c", "b", 3),
        ("a", "b", 2),
        ("b", "a", 1),
    ]


def test_real_scores_are_shown(tmp_path: Path) -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    scores = score(probabilities, np.array([0, 0, 1, 1])).to_json(("left", "right"))
    values = {**vars(make_data(("left", "right"))), "scores": scores, "classes": (), "source": ""}
    values["audit"] = {"source": "hands"}
    text = page_of(tmp_path, ReportData(**values))[0].text
    assert "hands – Frostline report" in text
    assert "2 classes" in text
    assert re.search(r"right\s*left\s*1\s*50.0 %", text)
    # precision 1, recall one half
    assert re.search(r"right\s*2\s*100.0 %\s*50.0 %\s*0.667", text)


def test_words() -> None:
    assert percent(0.8734) == "87.3 %"
    assert percent(None) == percent(float("nan")) == percent(True) == "–"
    assert interval((0.1, 0.25)) == "10.0 – 25.0 %"
    assert interval(None) == interval((0.1,)) == "–"
    assert number(12345) == "12\u202f345"
    assert number(0.5) == "0.5"
    assert number(3.0) == "3"
    assert number(1e-7) == "1e-07"
    assert [seconds(s) for s in (1.23, 59.4, 59.9, 3725)] == [
        "1.2 s",
        "59 s",
        "1 min 0 s",
        "1 h 2 min",
    ]
    assert size(18_400_000) == "18 MB"
    assert shortened("blocks.5.2.bn1", 9) == "bloc….bn1"
    assert shortened("blocks.5", 8) == "blocks.5"


def test_the_report_stays_small_for_many_images_and_classes(tmp_path: Path) -> None:
    """30,000 images in 20,000 classes; most are copies of each other and labelled differently."""
    names = [f"train/a class with a long name {i}/image {i}.jpg" for i in range(30_000)]
    classes = tuple(f"a class with a long name {i}" for i in range(20_000))
    sets = [names[:20_000], *([a, b] for a, b in zip(names[20_000:], names, strict=False))]
    audit = {
        "class_counts": dict.fromkeys(classes, 1),
        "unreadable": [{"path": name, "reason": "truncated"} for name in names],
        "exact_duplicates": sets,
        "near_duplicates": sets,
        "label_conflicts": [{"paths": s, "labels": ["a"] * len(s), "kind": "exact"} for s in sets],
        "leaks": [{"paths": s, "parts": ["test"] * len(s)} for s in sets],
    }
    per_class = [
        {"class": i, "precision": 0.5, "recall": None, "f1": i / 20_000, "support": 1}
        for i in range(20_000)
    ]
    data = dataclasses.replace(
        make_data(("a", "b")), classes=classes, audit=audit, scores={"per_class": per_class}
    )
    write_report(tmp_path / "report.html", data=data)
    html = (tmp_path / "report.html").read_text()
    assert len(html.encode()) < 2_000_000
    text = Page(html).text
    assert "and 19,980 more" in text
    assert f"and {20_000 - MAX_CLASSES:,} more in metrics.json" in text
    assert f"and {20_000 - MAX_CLASSES:,} more classes in audit.json" in text
    assert "10\u202f001" in text, "how many sets there are is counted in full"


def test_short_audits_are_shown_whole() -> None:
    names = [f"{i}.png" for i in range(MAX_NAMED)]
    audit: dict[str, Any] = {
        "exact_duplicates": [names] * MAX_LISTED,
        "leaks": [{"paths": names, "parts": ["test"] * MAX_NAMED}],
        "shared_groups": [{"group": "p", "parts": ["train", "test"], "images": 900}],
        "class_counts": {"a": 3},
    }
    short = shortened_audit(audit)
    assert {key: short[key] for key in audit} == audit
    longer = shortened_audit({"near_duplicates": [[*names, "x", "y"]]})["near_duplicates"]
    assert longer == [[*names, "and 2 more"]]
