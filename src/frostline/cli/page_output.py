"""A finding in a file: as a page or as JSON, by the name's ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from rich.text import Text

from frostline.cli.console import err
from frostline.core.errors import RunFolderError
from frostline.core.files import write_text

_PAGES, _JSON = (".html", ".htm"), ".json"


class Finding(Protocol):
    """What can be told as JSON and as a page."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON types."""
        ...

    def write_html(self, path: str | Path) -> Any:
        """Write the page."""
        ...


def check_page_output(path: Path | None) -> None:
    """Refuse a name that says neither page nor JSON, before any work; raises RunFolderError."""
    if path is not None and path.suffix.lower() not in (*_PAGES, _JSON):
        raise RunFolderError(
            f"{path} is neither a page nor JSON.", hint="Give a name that ends in .html or .json."
        )


def write_page_output(path: Path | None, found: Finding) -> None:
    """Write a finding and say so; nothing without a path."""
    if path is None:
        return
    if path.suffix.lower() == _JSON:
        import json

        write_text(path, json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n")
    else:
        found.write_html(path)
    err.print(Text(f"Wrote {path}"))
