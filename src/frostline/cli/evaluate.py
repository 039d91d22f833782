"""Score a fitted model on labelled images, in the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.artifact.evaluate import evaluate
from frostline.cli.console import TerminalProgress, err, out


def show_evaluation(run: Path, source: Path, *, as_json: bool) -> None:
    """Print accuracy with its interval, and every class."""
    result = evaluate(run, source, progress=TerminalProgress())
    found = result.scores.to_json(result.classes)
    for row in result.unreadable:
        err.print(Text(f"Left out: {row.path}: {row.reason}", style="yellow"))
    if as_json:
        unreadable = [{"path": r.path, "reason": r.reason} for r in result.unreadable]
        sys.stdout.write(json.dumps({**found, "unreadable": unreadable}, indent=2) + "\n")
        return
    low, high = result.scores.accuracy_interval
    out.print(
        f"Accuracy [bold green]{result.scores.accuracy:.1%}[/] "
        f"(95 %: {low:.1%} to {high:.1%}) on {result.scores.n} images; "
        f"balanced {result.scores.balanced_accuracy:.1%}, macro F1 {result.scores.macro_f1:.1%}"
    )
    table = Table(box=None)
    for name in ("class", "images", "precision", "recall", "F1"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for row in found["per_class"]:
        table.add_row(
            Text(row["class"]),
            str(row["support"]),
            *("" if row[k] is None else f"{row[k]:.1%}" for k in ("precision", "recall", "f1")),
        )
    out.print(table)
