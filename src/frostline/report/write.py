"""Fill the templates and write one self-contained file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from frostline.core.files import write_text
from frostline.report.bounds import bounded
from frostline.report.data import ReportData
from frostline.report.view import build
from frostline.wording import numbers

_STYLES = ("base", "charts", "tables", "pictures", "print")
_SCRIPTS = ("tips", "tables", "matrix", "page")


def write_report(path: Path, *, data: ReportData) -> None:
    """Write ``report.html``: nothing is loaded from elsewhere, and it reads without scripts.

    Raises RunFolderError if the file cannot be written.

    ``path``: replaced as a whole.
    """
    write_text(path, render(data))


def render(data: ReportData) -> str:
    """Return the page as text."""
    page = environment().get_template("page.html")
    return page.render(**page_parts(), **build(bounded(data))) + "\n"


def environment() -> jinja2.Environment:
    """Return what fills templates, with the filters that they use."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("frostline.report"),
        # names of classes and files come from anywhere
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        numbers.percent,
        numbers.interval,
        numbers.number,
        numbers.fixed,
        numbers.points,
        numbers.seconds,
        numbers.size,
        numbers.plural,
        numbers.listed,
    ):
        found.filters[function.__name__] = function
    return found


def page_parts(more: Sequence[str] = ()) -> dict[str, str]:
    """Return the style and the script of a page, and the digest that lets this script run.

    ``more``: further styles by name.
    """
    script = "\n".join(own_file(f"page/{name}.js") for name in _SCRIPTS)
    return {
        "style": Markup("\n".join(own_file(f"page/{name}.css") for name in (*_STYLES, *more))),
        "script": Markup(script),
        # only this very script may run, whatever names contain
        "script_digest": digest_of_script(f"\n{script}\n"),
    }


def own_file(name: str) -> str:
    """Return a style or script below the templates, as text."""
    folder = resources.files("frostline.report") / "templates"
    return (folder / name).read_text(encoding="utf-8").strip()


def digest_of_script(script: str) -> str:
    """Return what a page's policy calls the one script that may run."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
