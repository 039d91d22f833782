"""Attacks on every promise: kills, hostile files, strangers' models, load, leaks, determinism.

    python -m tests.soak.reliability run [--parts kills poison ...] [--minutes 20] [--work DIR]
    python -m tests.soak.reliability report          # docs/reliability.md from the figures

Each part is a module of this folder and is bounded in time; a part that was stopped goes on where
it stopped. Figures are written to benchmarks/results/reliability/, one file a part. Bugs that were
found stand in benchmarks/results/reliability/bugs/, one file a part, each with the test that now
guards it.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import tempfile
import time
from pathlib import Path
from types import ModuleType

from tests.soak import record

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HELPERS = ("record", "reliability", "newcomer", "cuts", "privacy")


def main() -> None:
    """Run parts, or write the page."""
    parts = _parts()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--parts", nargs="+", choices=sorted(parts), default=sorted(parts))
    parser.add_argument("--minutes", type=float, default=20.0, help="at most, for each part")
    parser.add_argument("--work", type=Path, help="a folder for runs; default: a temporary one")
    options = parser.parse_args()
    if options.what == "run":
        for name in options.parts:
            with tempfile.TemporaryDirectory(dir=options.work) as folder:
                parts[name].run(Path(folder), time.monotonic() + options.minutes * 60)
            print(f"{name}: done", flush=True)
    _report(parts)


def _parts() -> dict[str, ModuleType]:
    """The modules of ``tests.soak`` with ``run(work, until)`` and ``section(found)``."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name not in HELPERS and not module.name.startswith("_"):
            found[module.name] = importlib.import_module(f"tests.soak.{module.name}")
    return found


def _report(parts: dict[str, ModuleType]) -> None:
    """Write the page: a section for every part with figures, then the bugs."""
    text = [
        "# Reliability\n",
        "Written by `python -m tests.soak.reliability report` from"
        " `benchmarks/results/reliability/`. Each part attacks one promise; `run --parts NAME`"
        " repeats it.\n",
    ]
    for part in sorted(parts.values(), key=lambda part: part.ORDER):
        found = record.read(part.__name__.rpartition(".")[2])
        if found:
            text += [f"## {part.TITLE}\n", part.section(found)]
    text += ["## Bugs found\n", "Each was mended, and has a test.\n"]
    text += ["| found by | what was wrong | guarded by |", "|---|---|---|"]
    text += [f"| {bug['by']} | {bug['found']} | `{bug['test']}` |" for bug in record.bugs()]
    PAGE.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
