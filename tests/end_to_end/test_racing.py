"""Options race on real images, and the verdict can be followed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import elpv_dataset
import pytest
from safetensors.torch import load_file

import frostline
from frostline.core.actions import Blend
from frostline.core.reasons import Fate
from frostline.fitting import decide
from frostline.fitting.train import judge_by
from frostline.training.train import train
from tests.end_to_end.twins import OneBar

pytestmark = pytest.mark.slow

Rows = set[int]


def test_options_race_and_the_plan_says_how_each_fared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: dict[str, Any]
) -> None:
    cells = Path(str(elpv_dataset.__file__)).parent / "data"
    lines = [line.split() for line in (cells / "labels.csv").read_text().splitlines()]
    sound = [path for path, level, _ in lines if level == "0.0"][:40]
    broken = [path for path, level, _ in lines if level == "1.0"][:40]
    table = tmp_path / "cells.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for label, paths in (("sound", sound), ("broken", broken)):
            for number, path in enumerate(paths):
                writer.writerow([cells / path, label, "test" if number % 4 == 0 else "train"])
    seen = watched(monkeypatch)
    bars = OneBar()
    result = frostline.fit(table, tmp_path / "run", progress=bars, epochs=1, **tiny_network)
    assert "Race" in bars.labels
    plan = result.plan
    assert plan.evidence is not None
    assert plan.evidence.shift.label in ("moderate", "different")
    tried = [c for c in plan.candidates if c.kind != "taps_head" and c.score is not None]
    assert tried
    assert all(c.standard_error is not None and c.stopped for c in tried)
    assert [c.fate for c in plan.candidates].count(Fate.CHOSEN) == 1
    chosen = next(c for c in plan.candidates if c.fate is Fate.CHOSEN)
    assert chosen.name == plan.chosen
    assert chosen.kind == plan.action.kind
    assert any("left-out images" in line for line in plan.explanation)
    # so few images cannot tell options apart: what they speak for is averaged, by weight
    assert isinstance(plan.action, Blend)
    members = [c for c in plan.candidates if c.fate is Fate.AVERAGED]
    assert 2 <= len(members) == len(plan.action.members) <= 4
    assert plan.action.weights is not None and len(set(plan.action.weights)) > 1
    assert {c.kind for c in members} == {action.kind for action in plan.action.members}
    weights = load_file(result.folder / "model" / "weights.safetensors")
    numbers = {name.split(".")[1] for name in weights if name.startswith("members.")}
    assert numbers == {str(i) for i in range(len(members))}
    # what judged an option never taught it, and no test image did either
    assert len(seen) >= len(tried)
    assert all(judged and not judged & learned for learned, judged in seen)
    rows = list(csv.DictReader(table.open()))
    taught = set().union(*(learned | judged for learned, judged in seen))
    assert len(taught) == sum(row["split"] == "train" for row in rows)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Rows, Rows]]:
    """Note which rows taught each option that races, and which judged it."""
    judge = judge_by
    learned: list[Rows] = []
    seen: list[tuple[Rows, Rows]] = []

    def training(problem: Any, store: Any, action: Any, rows: Any, *others: Any) -> Any:
        learned.append({int(row) for row in rows})
        return train(problem, store, action, rows, *others)

    def judging(problem: Any, store: Any, trained: Any, rows: Any, **more: Any) -> Any:
        seen.append((learned[-1], {int(row) for row in rows}))
        return judge(problem, store, trained, rows, **more)

    monkeypatch.setattr("frostline.fitting.decide.train", training)
    monkeypatch.setattr(decide, "judge_by", judging)
    return seen
