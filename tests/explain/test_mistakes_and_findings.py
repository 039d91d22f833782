"""Which images are shown: the surest mistakes, and what the audit found, the worst first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from frostline.data.audit import Audit, audit
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates.copies import find_copies
from frostline.data.sources.open_source import open_source
from frostline.explain.findings import list_findings
from frostline.stats.mistakes import worst_mistakes


def test_the_surest_mistakes_come_first() -> None:
    p = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]])
    labels = np.array([1, 0, 1, 0, 0])
    assert worst_mistakes(p, labels, most=9).tolist() == [1, 4, 0]
    assert worst_mistakes(p, labels, most=2).tolist() == [1, 4]
    assert worst_mistakes(p, p.argmax(axis=1), most=9).tolist() == []


def found_by(**changes: object) -> Audit:
    nothing: dict[str, object] = {
        "class_counts": {},
        "exact_duplicates": [],
        "near_duplicates": [],
        "label_conflicts": [],
        "leaks": [],
        "shared_groups": [],
        "leaked": np.zeros(0, dtype=bool),
        "groups": np.zeros(0, dtype=np.int64),
    }
    return Audit(**(nothing | changes))  # type: ignore[arg-type]


def test_leaks_come_first_and_a_group_is_told_once() -> None:
    found = found_by(
        exact_duplicates=[["a", "b"], ["e", "f"]],
        near_duplicates=[["c", "d", "x"]],
        label_conflicts=[{"paths": ["c", "d"], "labels": ["cat", "dog"], "kind": "near"}],
        leaks=[{"paths": ["a", "b"], "parts": ["train", "test"]}],
    )
    listed = list_findings(found, most=24)
    assert [f.name for f in listed] == ["a", "b", "c", "d", "c", "d", "x", "e", "f"]
    assert listed[1].note == "Leak: the same picture is in train and test; this one in test."
    assert listed[3].note == "Nearly the same picture is labelled cat and dog; this one dog."
    assert listed[4].note == "Near-duplicate of d and 1 more."
    assert listed[-1].note == "Same file as e."


def test_large_groups_show_what_differs_and_the_list_is_bounded() -> None:
    parts = ["train"] * 6 + ["test"]
    names = [f"{i}.png" for i in range(7)]
    listed = list_findings(found_by(leaks=[{"paths": names, "parts": parts}]), most=24)
    assert [f.name for f in listed] == ["0.png", "1.png", "2.png", "6.png"]
    many = found_by(exact_duplicates=[[f"{i}a", f"{i}b"] for i in range(40)])
    assert len(list_findings(many, most=24)) == 24
    # half of a pair says nothing
    assert len(list_findings(many, most=5)) == 4


def test_a_real_audit_is_told(tmp_path: Path, digits_into: Callable[..., None]) -> None:
    digits_into(tmp_path, per_class=5)
    first = tmp_path / "digit 0" / "0.png"
    (tmp_path / "digit 1" / "wrong.png").write_bytes(first.read_bytes())
    catalog = open_source(tmp_path)
    shown = [thumbnail(Image.open(row.path).convert("RGB")) for row in catalog.rows]
    listed = list_findings(audit(catalog, find_copies(catalog.digests, np.stack(shown))), most=24)
    assert {f.name for f in listed} == {"digit 0/0.png", "digit 1/wrong.png"}
    assert all("The same file is labelled digit 0 and digit 1" in f.note for f in listed)
