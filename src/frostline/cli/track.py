"""What ``--log-to`` does before and after a fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from frostline.cli.console import out


def check_trackers(trackers: Sequence[str] | None) -> None:
    """Refuse what is unknown or not installed before any work is done."""
    if trackers:
        from frostline.integrations.tracking import check_tracker

        for tracker in trackers:
            check_tracker(tracker)


def track(run: Path, trackers: Sequence[str] | None) -> None:
    """Hand a finished run to every tracker that was named, and say where to look."""
    if trackers:
        from frostline.integrations.tracking import log_run

        for tracker in trackers:
            out.print(Text(f"Logged: {log_run(run, tracker)}"))
