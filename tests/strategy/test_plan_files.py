"""Plan files that somebody edited, or made up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from frostline.core.actions import Recipe, SuffixTraining
from frostline.core.errors import PlanError
from frostline.core.plan import Plan

RECIPE = Recipe(epochs=1, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2)
PLAN = Plan(
    case=1,
    prior="head",
    strategy="auto",
    chosen="suffix",
    backbone="x",
    cut=None,
    removed=[],
    frozen=["a"],
    trained=["b"],
    new=["head"],
    seed=0,
    action=SuffixTraining(freeze_to="a", recipe=RECIPE),
)


def refused(path: Path, content: bytes | str) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PlanError) as caught:
        Plan.from_file(path)
    return str(caught.value)


def test_a_written_plan_comes_back(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(PLAN.to_json())
    assert Plan.from_file(tmp_path / "plan.json") == PLAN


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe{}", b'{"version": 1', b"[" * 100_000, b'{"a":' * 100_000, b"null"]
)
def test_bytes_that_are_no_plan(content: bytes, tmp_path: Path) -> None:
    assert "plan.json" in refused(tmp_path / "plan.json", content)


@pytest.mark.parametrize(
    ("version", "said"), [(0, "older than this.*fresh plan"), (2, "newer.*Update Frostline")]
)
def test_other_versions_are_named(version: int, said: str, tmp_path: Path) -> None:
    text = json.dumps(json.loads(PLAN.to_json()) | {"version": version, "surprise": True})
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match=rf"is of version {version}, {said}"):
        Plan.from_file(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 10**12),
        ("batch_size", 10**9),
        ("learning_rate", float("inf")),
        ("head_learning_rate", 1e300),
        ("weight_decay", float("inf")),
    ],
)
def test_numbers_have_ends(field: str, value: Any, tmp_path: Path) -> None:
    values = json.loads(PLAN.to_json())
    values["action"]["recipe"][field] = value
    assert f"recipe.{field}" in refused(tmp_path / "plan.json", json.dumps(values))


def test_pipes_and_files_without_end_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(PlanError, match="not a regular file"):
        Plan.from_file(tmp_path / "pipe.json")
    with (tmp_path / "hollow.json").open("wb") as stream:
        stream.truncate(8 * 2**40)
    with pytest.raises(PlanError, match="the limit is 32"):
        Plan.from_file(tmp_path / "hollow.json")
