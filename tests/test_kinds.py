"""Nobody asks an action or a classifier for its kind, but the files that define the kinds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import frostline

ROOT = Path(str(frostline.__file__)).parent

#: where the kinds are defined, and may be told apart
HOMES = ("core/actions.py", "core/plan.py", "backbones/heads/")
CLASSES = {
    *("TapsHead", "SuffixTraining", "FullTraining", "LayerTraining", "Blend", "Single", "Adapters"),
    *("CutClassifier", "TapsClassifier", "BlendClassifier", "SingleClassifier", "Classifier"),
    *("LinearOnTaps", "SingleFittedClassifier", "FittedClassifier"),
}
#: what ``kind`` says; "full" is a strategy as well, so that counts only beside a ``kind``
NAMES = {"taps_head", "suffix", "full", "blend"}
#: what some kinds have and others lack
FIELDS = {
    *("freeze_to", "keep_to", "part", "start", "recipe", "head_init", "statistics", "new_block"),
    *("taps", "members", "kept", "body", "temperatures"),
}
#: file and what it says there, with the reason
EXCEPTIONS = {
    ("report/charts/race.py", "taps_head"): "a table with words for each kind",
    ("report/charts/race.py", "suffix"): "the same table",
    ("report/charts/race.py", "blend"): "the same table",
}


def names_in(node: ast.AST) -> set[str]:
    """Names and attributes anywhere in an expression."""
    return {
        *(one.id for one in ast.walk(node) if isinstance(one, ast.Name)),
        *(one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)),
    }


def texts_in(node: ast.AST) -> set[str]:
    return {
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def questions(tree: ast.AST) -> Iterator[str]:
    """Yield what a file asks kinds by: a class, a name of a kind, or a field of some kinds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called = node.func.id
            if called in ("isinstance", "issubclass"):
                yield from names_in(node.args[1]) & CLASSES
            if called in ("getattr", "hasattr"):
                yield from texts_in(node.args[1]) & FIELDS
        elif isinstance(node, ast.MatchClass):
            yield from names_in(node.cls) & CLASSES
        elif isinstance(node, ast.Compare):
            asked = names_in(node)
            if asked & {"type", "__class__", "__name__"}:
                yield from (asked | texts_in(node)) & CLASSES
            if "kind" in asked | texts_in(node):
                yield from texts_in(node) & {"full"}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from {node.value} & (NAMES - {"full"})


def found() -> set[tuple[str, str]]:
    every = set()
    for file in sorted(ROOT.rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if not name.startswith(HOMES):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            every |= {(name, asked) for asked in questions(tree)}
    return every


def test_nobody_asks_for_the_kind_of_an_action_or_a_classifier() -> None:
    assert found() - EXCEPTIONS.keys() == set()
    # those that are gone are taken out of the list
    assert EXCEPTIONS.keys() - found() == set()
    assert len(EXCEPTIONS) <= 8


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(a, Blend)",
        "isinstance(a.action, plan.TapsHead | Blend)",
        "type(a) is TapsHead",
        "a.__class__ == heads.BlendClassifier",
        "type(a).__name__ == 'CutClassifier'",
        "match a:\n    case SuffixTraining():\n        pass",
        "match a.kind:\n    case 'blend':\n        pass",
        "a.kind == 'full'",
        "a['kind'] != 'full'",
        "a.kind in ('taps_head', 'full')",
        "{'suffix': 1}[a.kind]",
        "hasattr(a, 'members')",
        "getattr(a, 'freeze_to', None)",
    ],
)
def test_the_question_is_found_however_it_is_put(code: str) -> None:
    assert list(questions(ast.parse(code)))
