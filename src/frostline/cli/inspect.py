"""Show a network: its blocks and cuts, what would be frozen or removed, filters and responses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from frostline.backbones.described import described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.plots import bar, letters
from frostline.cli.streams import write_json
from frostline.core.cuts import Cut
from frostline.core.errors import BackboneError, InputError, UnreadableImageError
from frostline.core.extras import require_extra
from frostline.core.files import replacing
from frostline.core.reading_rules import FIRST_RULES
from frostline.data.decoding.decode import decode
from frostline.explain.filters import draw_filters
from frostline.explain.responses import draw_responses
from frostline.fitting.saved_network import saved_network
from frostline.wording.progress import worded

_BAR = 10


def inspect_network(
    name: str,
    *,
    weights: Path | None,
    random_weights: bool,
    cut: str | None,
    freeze_to: str | None,
    everywhere: bool,
    filters: Path | None,
    features: tuple[Path, Path] | None,
    as_json: bool,
    checked: bool,
) -> None:
    """Print the table of ``frostline inspect`` and write the pictures that were asked for."""
    if checked:
        require_extra("train", "'frostline inspect --check'")
    network = _open(name, weights, pretrained=not random_weights)
    kept = network.last if cut is None else network.cut(cut)
    frozen = None if freeze_to is None else network.cut(freeze_to)
    cuts = list(network.all_cuts if everywhere else network.cuts)
    if as_json:
        write_json([_plain(c, _mark(c, kept, frozen)) for c in cuts])
    else:
        out.print(_table(network, cuts, kept, frozen))
        for note in network.notes:
            err.print(Text(note, style="dim"))
    if filters is not None:
        _save(draw_filters(network), filters)
    if features is not None:
        source, target = features
        try:
            # one picture alone shows what it has, whatever its values mean
            image = decode(source, max_pixels=100_000_000, rules=FIRST_RULES)
        except UnreadableImageError as error:
            raise InputError(f"{source} cannot be drawn: {error.reason}.") from error
        _save(draw_responses(network, image), target)
    if checked:
        _check(network)


def _open(name: str, weights: Path | None, *, pretrained: bool) -> FrozenNetwork:
    # as where PyTorch loads networks, a folder of that name comes first
    if name in BUNDLED and weights is None and pretrained and not Path(name).is_dir():
        return described(name)
    if weights is None and pretrained and Path(name).is_dir():
        saved = saved_network(Path(name))
        if saved is not None:
            return saved
    require_extra("train", f"'frostline inspect {name}'")
    from frostline.backbones.load.hub_weights import at_hand
    from frostline.backbones.network import Network

    wanted = pretrained and weights is None
    with at_hand(name, pretrained=wanted, progress=worded(TerminalProgress())):
        return Network.load(name, weights=weights, pretrained=pretrained)


def _table(network: FrozenNetwork, cuts: Sequence[Cut], kept: Cut, frozen: Cut | None) -> Table:
    size, last_cut = network.preprocessing.size, network.last
    whole = network.macs + last_cut.macs_after
    parameters = last_cut.parameters_before + last_cut.parameters_after
    table = Table(
        title=f"{network.name}: {parameters / 1e6:.2f} M "
        f"parameters, {whole / 1e9:.2f} G multiply-adds at {size} px, weights: {network.licence}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("ends after", overflow="fold", min_width=12)
    table.add_column("depth", no_wrap=True)
    for label in ("shape", "sees", "KB", "params", "M MACs"):
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("")
    before: Cut | None = None
    last, kind = "", letters(out)
    for one in cuts:
        mark = _mark(one, kept, frozen)
        if last == "frozen" and mark != last:
            table.add_row(Text("~ frost line", style="bold cyan"))
        last = mark
        macs = one.macs_before - (before.macs_before if before else 0)
        params = one.parameters_before - (before.parameters_before if before else 0)
        field = one.receptive_field
        table.add_row(
            Text(one.name, style="bold" if one.stage_end else ""),
            f"{bar(one.depth, 1.0, _BAR, kind):{_BAR}}{one.depth:5.0%}",
            "x".join(map(str, one.shape)),
            f"{field} px" if field is not None else "all",
            f"{one.bytes_per_image / 1024:,.0f}",
            _short(params),
            f"{macs / 1e6:,.1f}",
            Text(mark, style=_STYLES[mark]),
        )
        before = one
    table.caption = (
        "depth: share of the work up to here. sees: side of the square one value depends on. "
        "KB: what passes, for one image at half precision. params and M MACs: since the row above."
    )
    table.caption_justify = "left"
    return table


_STYLES = {"": "", "frozen": "cyan", "trained": "yellow", "removed": "dim", "old head": "dim"}


def _short(count: int) -> str:
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1e3:,.0f} k" if count < 1_000_000 else f"{count / 1e6:,.1f} M"


def _mark(one: Cut, kept: Cut, frozen: Cut | None) -> str:
    if one.macs_before > kept.macs_before:
        return "removed"
    if one.position > kept.position and one.macs_before == kept.macs_before:
        return "old head"
    if frozen is None:
        return ""
    return "frozen" if one.macs_before <= frozen.macs_before else "trained"


def _plain(one: Cut, mark: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "aliases": list(one.aliases),
        "index": one.index,
        "shape": list(one.shape),
        "layout": one.layout,
        "depth": round(one.depth, 6),
        "bytes_per_image": one.bytes_per_image,
        "macs_before": one.macs_before,
        "macs_after": one.macs_after,
        "parameters_before": one.parameters_before,
        "parameters_after": one.parameters_after,
        "receptive_field": one.receptive_field,
        "stage_end": one.stage_end,
        "mark": mark,
    }


def _save(image: Any, path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError(f"{path} is no picture file.", hint="Give a name that ends in .png.")
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
    with replacing(path) as temporary:
        image.save(temporary, format=kind)
    err.print(Text(f"Wrote {path}"))


def _check(network: FrozenNetwork) -> None:
    from frostline.backbones.conformance import check, random_images
    from frostline.backbones.trainable import trainable

    own = trainable(network)
    result = check(own.module, random_images(2, own.example_shape[1:]))
    if not result.passed:
        raise BackboneError(
            f"{network.name} breaks a promise: "
            f"{result.error or '; '.join(': '.join(pair) for pair in result.failures.items())}."
        )
    out.print(Text("Every promise about cutting and freezing holds on this network.", "green"))
