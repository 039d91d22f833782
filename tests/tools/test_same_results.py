"""The comparer of runs notices what changed, and nothing that did not."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tools._same_compare import Difference, compare, flat, same
from tools.same_results import Allowed

_PREDICTIONS = "path,label,prediction,confidence\na.png,cat,cat,0.912345\nb.png,dog,cat,0.512345\n"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """What a job leaves: a run, an answer of ``predict``, and a store."""
    folder = tmp_path / "before"
    (folder / "run" / "model").mkdir(parents=True)
    plan = {"chosen": "head", "action": {"kind": "taps_head", "strength": None}}
    plan["explanation"] = ["Few images.", "They look like photos."]
    _write(folder / "run/plan.json", plan)
    metrics = {"test": {"accuracy": 0.75, "n": 4}, "seconds": {"total": 3.0}, "history": []}
    _write(folder / "run/metrics.json", metrics)
    (folder / "run/predictions.csv").write_text(_PREDICTIONS)
    save_file({"head": np.ones((2, 3), np.float32)}, folder / "run/model/weights.safetensors")
    _write(folder / "predict-1.json", [{"path": "c.png", "probabilities": {"cat": 0.25}}])
    _store(folder / "cache/images/one/first.shard", "taps", np.arange(8, dtype=np.float32))
    return folder


@pytest.fixture
def after(before: Path) -> Path:
    """The same once more, to be changed by a test."""
    folder = before.with_name("after")
    shutil.copytree(before, folder)
    return folder


def test_equal_runs_do_not_differ_and_every_kind_was_looked_at(before: Path, after: Path) -> None:
    found = compare(before, after)
    assert found.differences == []
    for kind in ("plan", "taps", "predictions", "metrics", "weights", "words"):
        assert found.checked[kind] > 0


def _change(file: str, key: str, value: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        *outer, last = [int(k) if k.isdigit() else k for k in key.split(".")]
        inner = content
        for step in outer:
            inner = inner[step]
        inner[last] = value
        _write(folder / file, content)

    return apply


def _replace(old: str, new: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "run/predictions.csv"
        path.write_text(path.read_text().replace(old, new))

    return apply


def _heavier(folder: Path) -> None:
    weights = np.ones((2, 3), np.float32)
    weights[1, 1] = np.nextafter(np.float32(1), np.float32(2))
    save_file({"head": weights}, folder / "run/model/weights.safetensors")


def _other_taps(folder: Path) -> None:
    taps = np.arange(8, dtype=np.float32)
    taps[5] += 0.5
    _store(folder / "cache/images/one/first.shard", "taps", taps)


@pytest.mark.parametrize(
    ("change", "field", "what"),
    [
        (_replace("0.912345", "0.912365"), "predictions.confidence", "0.912365"),
        (_replace("b.png,dog,cat", "b.png,dog,dog"), "predictions.prediction", "'dog'"),
        (_replace("a.png", "z.png"), "predictions.path", "other images"),
        (_change("predict-1.json", "0.probabilities.cat", 0.26), "predict-1.0.*.cat", "0.26"),
        (_change("run/plan.json", "action.kind", "full"), "plan.action.kind", "now 'full'"),
        (_change("run/plan.json", "action.strength", 0.1), "plan.action.strength", "now 0.1"),
        (_change("run/plan.json", "seed", [1]), "added.plan.seed.0", "was missing before"),
        (_change("run/plan.json", "chosen", None), "plan.chosen", "now None"),
        (_change("run/plan.json", "explanation.0", "Few."), "words.plan.explanation", "Few."),
        (_change("run/metrics.json", "test.accuracy", 0.7501), "metrics.test.accuracy", "0.7501"),
        (lambda f: (f / "run/metrics.json").unlink(), "metrics", "is missing now"),
        (lambda f: (f / "run/predictions.csv").unlink(), "predictions", "is missing now"),
        (lambda f: (f / "run/model/weights.safetensors").unlink(), "weights", "is missing now"),
        (_heavier, "weights.head", "largest difference 1.2e-07"),
        (_other_taps, "taps.4", "1 images: other bits, largest difference 5.0e-01"),
        (lambda f: shutil.rmtree(f / "cache"), "taps.4", "2 images: 1 rows, now 0"),
    ],
)
def test_a_change_is_reported_alone_and_by_name(
    before: Path, after: Path, change: Callable[[Path], object], field: str, what: str
) -> None:
    change(after)
    found = compare(before, after).differences
    assert len(found) == 1
    assert Allowed("*", field, "expected").covers("any job", found[0])
    assert what in found[0].what


def test_time_tiny_steps_and_the_layout_of_the_store_are_no_difference(
    before: Path, after: Path
) -> None:
    _change("run/metrics.json", "seconds", {"total": 9.0, "reading": 1.0})(after)
    _change("run/metrics.json", "test.accuracy", 0.75 + 1e-9)(after)
    _replace("0.912345", "0.912346")(after)
    shutil.rmtree(after / "cache")
    _store(after / "cache/partitions/x", "activations", np.arange(8, dtype=np.float32))
    assert compare(before, after).differences == []


def test_leaves_have_dotted_names_and_empty_lists_count() -> None:
    assert dict(flat({"a": [1, {"b": None}], "c": []}, "x")) == {
        "x.a.0": 1,
        "x.a.1.b": None,
        "x.c": "[]",
    }


def test_a_list_that_grew_is_more_than_a_new_key(before: Path, after: Path) -> None:
    for folder, names in ((before, ["cat"]), (after, ["cat", "dog"])):
        _change("run/plan.json", "names", names)(folder)
    (grown,) = compare(before, after).differences
    assert (grown.kind, grown.field) == ("plan", "plan.names.1")


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (1e9, 1e9 + 10, True),
        (0.0, 2e-6, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 0.0, False),
        (True, 1, False),
        (None, 0.0, False),
        ("1", 1, False),
    ],
)
def test_numbers_are_compared_as_numbers(
    a: str | float | None, b: str | float | None, equal: bool
) -> None:
    assert same(a, b) is equal


def test_allowed_differences_name_job_field_and_reason() -> None:
    allowed = Allowed.parse("solar-*:plan.candidates.*=groups are counted: 3=3")
    difference = Difference("plan", "plan.candidates.0.standard_error", "1, now 2")
    assert allowed.covers("solar-race", difference)
    assert not allowed.covers("digits-fast", difference)
    assert allowed.reason == "groups are counted: 3=3"
    with pytest.raises(argparse.ArgumentTypeError, match="reason"):
        Allowed.parse("solar-race:plan.seed")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def _store(path: Path, name: str, values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digests = np.stack([np.full(32, i, np.uint8) for i in range(2)])
    save_file({"digests": digests, name: values.reshape(2, 4)}, path)
