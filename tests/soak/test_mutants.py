"""Break functions that promises rest on, one operation at a time: tests nearby notice it.

Nothing is pinned but the names of functions and of files with tests.
"""

from __future__ import annotations

import ast
import copy
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.ground import ROUNDS

pytestmark = pytest.mark.soak
_ROOT = Path(__file__).resolve().parents[2]
#: the function, and the tests of which one has to fail
_GUARDED = {
    "verify_frozen": "tests/backbones/test_freezing.py tests/training/test_frozen.py",
    "ridge_loo": "tests/stats/test_ridge.py",
    "wilson": "tests/stats/test_intervals.py",
    "fit_temperature": "tests/stats/test_calibration.py",
    "stratified_holdout": "tests/data/test_split.py",
    "audit": "tests/data/test_audit.py",
    "find_copies": "tests/data/test_moved_copies.py tests/data/test_turned_copies.py",
    "is_whole": "tests/compute/test_eviction.py",
}
_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OTHER: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code and its tests."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("src", "tests", "benchmarks"):
        shutil.copytree(_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(_ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("function", _GUARDED)
def test_most_changes_are_noticed(tree: Path, function: str) -> None:
    found = [
        (path, node)
        for path in (tree / "src").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    tests = _GUARDED[function].split()
    assert len(found) == 1, "renamed, or no longer the only one"
    assert all((tree / test).exists() for test in tests), "tests are not where they were"
    ((path, node),) = found
    text = path.read_text(encoding="utf-8")
    mutants = list(_mutants(node))
    chosen = random.Random(function).sample(mutants, min(len(mutants), ROUNDS))
    assert _pass(tree, tests)
    noticed = 0
    for mutant in chosen:
        lines = text.splitlines()
        lines[node.lineno - 1 : node.end_lineno] = ast.unparse(mutant).splitlines()
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        noticed += not _pass(tree, tests)
        path.write_text(text, encoding="utf-8")
    # some changes change nothing that anybody sees
    assert noticed >= 0.6 * len(chosen)


def _mutants(function: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    """Copies of a function with one comparison turned round, or one operation replaced."""
    for place in range(len(list(ast.walk(function)))):
        mutant = copy.deepcopy(function)
        node = list(ast.walk(mutant))[place]
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPPED:
            node.ops[0] = _FLIPPED[type(node.ops[0])]()
        elif isinstance(node, ast.BinOp) and type(node.op) in _OTHER:
            node.op = _OTHER[type(node.op)]()
        elif isinstance(node, ast.BoolOp):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        else:
            continue
        yield mutant


def _pass(tree: Path, tests: list[str]) -> bool:
    """Whether these tests pass; one that hangs has noticed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    assert done.returncode in (0, 1), done.stdout.decode()[-2000:]
    return done.returncode == 0
