"""The lines that the study of broken lines changes are still there, and so are their tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def _mutants() -> Any:
    path = _ROOT / "benchmarks" / "attacking" / "_mutants.py"
    spec = importlib.util.spec_from_file_location("attacking_mutants", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.MUTANTS


@pytest.mark.parametrize("mutant", _mutants(), ids=lambda mutant: mutant.promise)
def test_the_line_is_there_once(mutant: Any) -> None:
    text = (_ROOT / "src" / "frostline" / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.line) == 1
    assert all((_ROOT / test.partition("::")[0]).exists() for test in mutant.tests)
