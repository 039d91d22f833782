"""Fill the template and write one self-contained file."""

from __future__ import annotations

from pathlib import Path

import jinja2

from frostline.files import write_text
from frostline.report import words
from frostline.report.data import ReportData
from frostline.report.view import build


def write_report(path: Path, *, data: ReportData) -> None:
    """Write ``report.html``: no scripts, nothing loaded from elsewhere.

    Parameters
    ----------
    path : Path
        Replaced as a whole.
    data : ReportData

    Raises
    ------
    RunFolderError
        If the file cannot be written.
    """
    write_text(path, render(data))


def render(data: ReportData) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frostline.report"),
        # names of classes and files come from anywhere
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (words.percent, words.interval, words.number, words.seconds, words.size):
        environment.filters[function.__name__] = function
    return environment.get_template("report.html").render(build(data)) + "\n"
