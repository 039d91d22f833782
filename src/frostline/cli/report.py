"""Make the report of a finished run anew."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from frostline.cli.console import err
from frostline.core.errors import RunFolderError
from frostline.report import load_record, write_report
from frostline.run.run_folder import METRICS, REPORT, REPORT_DATA

_ENDINGS = (".html", ".htm")


def rebuild_report(run: Path, output: Path | None) -> None:
    """Write the page of ``frostline report`` from what the run folder keeps.

    Raises RunFolderError if there is no finished run, its file is damaged or newer, or the page
    cannot be written.
    """
    if not run.is_dir():
        said = "is a file, not a run folder" if run.exists() else "does not exist"
        raise RunFolderError(
            f"The run folder {run} {said}.", hint="Give the folder that 'frostline fit -o' wrote."
        )
    source = run / REPORT_DATA
    if not source.exists() and not (run / METRICS).exists():
        raise RunFolderError(
            f"{run} holds no finished run.",
            hint="Run 'frostline fit' first; the same command finishes a run that was interrupted.",
        )
    target = run / REPORT if output is None else output
    if target.suffix.lower() not in _ENDINGS:
        raise RunFolderError(f"{target} is no page.", hint="Give a name that ends in .html.")
    write_report(target, data=load_record(source))
    err.print(Text(f"Wrote {target}"))
