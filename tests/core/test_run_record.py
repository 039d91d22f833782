"""What a run found is written once, under names that scripts rely on, and read back whole."""

from __future__ import annotations

import json

import pytest

from frostline.core.audit_record import AuditRecord
from frostline.core.run_record import Metrics
from frostline.core.score_record import HeldOutScores, ScoreSummary
from frostline.fitting.run_result import RunResult
from frostline.report import load_record

#: as version 0.1 wrote them, in this order
METRICS = (
    *("test", "n_train", "n_validation", "n_test", "engine", "engine_reason", "images_computed"),
    *(
        "pass",
        "temperature",
        "unknown",
        "sets",
        "abstention",
        "kept_features",
        "refit",
        "history",
        "caveats",
        "shortcuts",
        "confounds",
        "notes",
        "seconds",
    ),
    *("peak_memory_bytes", "frozen_verified"),
)
TEST = (
    *("method", "folds", "expected_accuracy", "expected_interval", "baseline", "n", "accuracy"),
    *("accuracy_interval", "balanced_accuracy", "balanced_accuracy_interval", "macro_f1", "nll"),
    *("brier", "ece", "reliability", "classes", "confusion", "per_class", "calibration"),
)
AUDIT = (
    *("source", "images", "class_counts", "unreadable", "ignored", "understood"),
    *("exact_duplicates", "near_duplicates", "altered_copies", "near_duplicate_search"),
    *("label_conflicts", "leaks", "shared_groups", "values", "unseen", "notes"),
)
NESTED = {
    "baseline": ("always", "accuracy"),
    "calibration": ("before", "after", "ece_by_chance"),
}


def test_the_files_have_the_keys_that_they_always_had(fast_run: RunResult) -> None:
    metrics = json.loads((fast_run.folder / "metrics.json").read_text())
    audit = json.loads((fast_run.folder / "audit.json").read_text())
    assert tuple(metrics) == METRICS
    assert tuple(metrics["test"]) == TEST
    for name, keys in NESTED.items():
        assert tuple(metrics["test"][name]) == keys
    row = ("class", "precision", "recall", "f1", "support")
    assert {tuple(one) for one in metrics["test"]["per_class"]} == {row}
    one_bin = ("n", "low", "high", "confidence", "accuracy", "interval")
    assert {tuple(one) for one in metrics["test"]["reliability"]} == {one_bin}
    assert tuple(metrics["pass"]) == (
        *("images", "seconds_waiting_for_images", "seconds_computing", "limited_by"),
    )
    assert tuple(audit) == AUDIT
    assert fast_run.metrics == metrics
    assert fast_run.audit == audit


def test_the_files_are_read_back_whole(fast_run: RunResult) -> None:
    for name, kind in (("metrics.json", Metrics), ("audit.json", AuditRecord)):
        text = (fast_run.folder / name).read_text()
        assert kind.model_validate_json(text).to_json() == json.loads(text)


def test_times_are_measured_once(fast_run: RunResult) -> None:
    kept = load_record(fast_run.folder / "report.json")
    assert dict(kept.record.metrics.seconds) == fast_run.metrics["seconds"]


def test_a_card_tells_what_the_record_does(fast_run: RunResult) -> None:
    card = fast_run.model.card
    assert card.test == fast_run.record.metrics.test.summary
    written = json.loads((fast_run.folder / "model" / "model.json").read_text())["test"]
    assert tuple(written) == (
        *("method", "n", "accuracy", "accuracy_interval", "balanced_accuracy"),
        *("expected_accuracy", "expected_interval"),
    )


def test_a_summary_writes_what_it_was_given_and_no_more() -> None:
    for given in ({}, {"n": 3, "accuracy": 0.5}, {"accuracy": 0.5, "later": [1]}):
        assert ScoreSummary.model_validate(given).to_json() == given


def test_a_confusion_matrix_is_square(fast_run: RunResult) -> None:
    values = fast_run.record.metrics.test.to_json()
    values["confusion"][0].append(1)
    with pytest.raises(ValueError, match="not square"):
        HeldOutScores.model_validate(values)


def test_files_of_a_newer_version_are_read(fast_run: RunResult) -> None:
    metrics = {**fast_run.metrics, "later": 1}
    assert Metrics.model_validate(metrics) == fast_run.record.metrics
