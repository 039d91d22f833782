"""Rewording a sentence changes nothing but the sentence."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import frostline
from frostline.core.plan import Plan
from frostline.fitting.run_result import RunResult

#: what a plan, and a mapping of metrics, tell people and nobody else
_SENTENCES = {"prior", "explanation", "stopped", "caveats", "notes", "seconds", "engine_reason"}
#: what a second run does not do again
_CHANGING = {"engine", "images_computed", "pass", "peak_memory_bytes"}


class Skeleton(HTMLParser):
    """Tags with their classes and identifiers, as they follow one another."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, str | None, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found.get("class"), found.get("id")))


def reworded(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let every sentence be an x, wherever its function was imported; return how many were."""
    count = 0
    for module in [m for name, m in sys.modules.items() if name.startswith("frostline.")]:
        for name, value in list(vars(module).items()):
            home = getattr(value, "__module__", None) or ""
            annotations = getattr(value, "__annotations__", {})
            said = annotations.get("return") if home.startswith("frostline.wording.") else None
            if callable(value) and said in ("str", "list[str]"):
                monkeypatch.setattr(module, name, in_other_words(value))
                count += 1
    return count


def in_other_words(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that says an x wherever this one says anything."""

    @functools.wraps(function)
    def other(*given: Any, **named: Any) -> Any:
        said = function(*given, **named)
        if isinstance(said, list):
            return ["x" if one else "" for one in said]
        return "x" if said else ""

    return other


def facts(value: Any) -> Any:
    """Everything that no sentence says, of a plan or of metrics."""
    if isinstance(value, dict):
        kept = value.keys() - _SENTENCES - _CHANGING
        return {name: facts(value[name]) for name in sorted(kept)}
    return [facts(one) for one in value] if isinstance(value, list) else value


def structure(run: RunResult) -> list[tuple[str, str | None, str | None]]:
    return Skeleton((run.folder / "report.html").read_text(encoding="utf-8")).tags


def test_a_fit_decides_and_reports_the_same_in_other_words(
    tmp_path: Path,
    digits_into: Callable[..., None],
    tiny_network: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digits_into(tmp_path / "images", per_class=12)
    options = {**tiny_network, "effort": "fast", "workers": 0, "threads": 1}
    before = frostline.fit(tmp_path / "images", tmp_path / "before", **options)
    assert "x" not in before.plan.explanation
    assert reworded(monkeypatch) > 20
    after = frostline.fit(tmp_path / "images", tmp_path / "after", **options)
    assert set(after.plan.explanation) == {"x"}
    assert facts(after.plan.model_dump()) == facts(before.plan.model_dump())
    assert facts(after.metrics) == facts(before.metrics)
    assert structure(after) == structure(before)
    again = Plan.from_file(after.folder / "plan.json")
    carried = frostline.fit(tmp_path / "images", tmp_path / "given", plan=again, **options)
    assert carried.plan.given
    assert carried.plan.action == before.plan.action


#: attributes that hold sentences
_SAID = {"explanation", "prior", "stopped", "caveats"}


def test_nothing_compares_or_takes_apart_a_sentence() -> None:
    wrong = []
    for file in Path(str(frostline.__file__)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            read: list[ast.AST] = []
            if isinstance(node, ast.Compare):
                read = [node.left, *node.comparators]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                read = [node.func.value]
            said = (one for one in read if isinstance(one, ast.Attribute) and one.attr in _SAID)
            wrong += [f"{file.name}:{one.lineno}: {one.attr}" for one in said]
    assert not wrong
