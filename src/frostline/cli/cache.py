"""Show, verify and prune what is kept between runs."""

from __future__ import annotations

import re
import time

from rich.table import Table
from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.streams import write_json
from frostline.compute.cache.eviction import Item, damaged, items, limit, parse_size, prune
from frostline.compute.cache.locations import cache_root
from frostline.core.errors import InputError

_AGE = re.compile(r"^(\d+(?:\.\d+)?)\s*([dhm])$")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0}
_WORDS = {
    "images": "features of images",
    "engines": "exported networks",
    "fits": "fits, exports, pictures",
    "choices": "measured engines",
}


def show(*, as_json: bool) -> None:
    """Print how much lies there, of what, and when it was last used."""
    found = items()
    if as_json:
        kinds = {kind: _sum(found, kind) for kind in _WORDS}
        write_json({"folder": str(cache_root()), "limit": limit(), **kinds})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("kept")
    for label in ("files", "size", "last used"):
        table.add_column(label, justify="right", no_wrap=True)
    for kind, words in _WORDS.items():
        own = [item for item in found if item.kind == kind]
        used = _ago(max((item.used for item in own), default=None))
        table.add_row(words, str(len(own)), in_words(sum(item.size for item in own)), used)
    out.print(table)
    total = in_words(sum(item.size for item in found))
    err.print(Text(f"{cache_root()}: {total} of at most {in_words(limit())}", style="dim"))


def verify() -> None:
    """Read everything; name and remove what is damaged."""
    wrong = damaged(TerminalProgress())
    for path in wrong:
        out.print(Text(f"damaged, removed: {path}"))
    out.print(f"{len(items())} files are whole, {len(wrong)} were damaged.")


def make_room(*, to: str | None, older: str | None, everything: bool) -> None:
    """Remove what was asked for, and say how much that was.

    Raises InputError or SettingsError if nothing was asked for, or an age or size cannot be
    understood.
    """
    if not everything and to is None and older is None:
        raise InputError(
            "Say what may go.", hint="Use --older 30d, --to 5GB, or --all; it is computed again."
        )
    size = 0 if everything else None if to is None else parse_size(to, "--to")
    removed = prune(to=size, older_than=None if older is None else _age(older))
    freed = in_words(sum(item.size for item in removed))
    out.print(f"{len(removed)} files removed, {freed} freed.")


def in_words(size: float) -> str:
    """Return bytes in the largest fitting unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _age(text: str) -> float:
    match = _AGE.match(text.strip())
    if match is None:
        raise InputError(f"--older must look like '30d', '12h' or '5m', not {text!r}.")
    return float(match.group(1)) * _SECONDS[match.group(2)]


def _sum(found: list[Item], kind: str) -> dict[str, int]:
    own = [item.size for item in found if item.kind == kind]
    return {"files": len(own), "bytes": sum(own)}


def _ago(used: float | None) -> str:
    if used is None:
        return ""
    seconds = max(0.0, time.time() - used)
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"
