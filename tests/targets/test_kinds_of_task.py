"""Nobody asks which task it is, but the targets, the sources that say it, and the faces."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import frostline

ROOT = Path(str(frostline.__file__)).parent
#: where a task is said, read or shown
HOMES = (
    *("core/task.py", "core/settings.py", "targets/", "data/sources/", "data/notes.py"),
    *("wording/", "report/", "cli/", "serve/", "integrations/", "exporting/readme.py"),
)
CLASSES = {"SingleLabel", "Ordinal", "MultiLabel", "Regression"}
#: "single" means too much else
NAMES = {"multilabel", "ordinal", "regression"}
#: file and what it asks, with the reason
EXCEPTIONS: dict[tuple[str, str], str] = {
    **{("explain/told.py", name): "a table with pictures for each task" for name in NAMES},
}


def questions(tree: ast.AST) -> Iterator[str]:
    """Yield what a file tells tasks apart by: a class of targets, or the name of a task."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                named = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                yield from named & CLASSES
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from {node.value} & NAMES


def test_nobody_asks_which_task_it_is() -> None:
    found = set()
    for file in sorted(ROOT.rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        if not name.startswith(HOMES):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found |= {(name, asked) for asked in questions(tree)}
    assert found - EXCEPTIONS.keys() == set()
    assert EXCEPTIONS.keys() - found == set()


@pytest.mark.parametrize(
    "code", ["isinstance(t, MultiLabel | Ordinal)", "x.task == 'ordinal'", "{'regression': 1}[t]"]
)
def test_the_question_is_found_however_it_is_put(code: str) -> None:
    assert list(questions(ast.parse(code)))
