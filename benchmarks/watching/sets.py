"""Sets of pictures, some of whose classes come later, and the same pictures by other cameras."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from benchmarks.decision.glyphs import generator
from benchmarks.head_sets import Pictures, digits, some
from benchmarks.suggesting.sets import clip_art, drawn_letter, font_files, solar_cells

Picture = Image.Image
Array = npt.NDArray[np.float32]

#: pictures of known classes, and of each kind of change
KNOWN, CHANGED = 900, 240
_FONTS, _OTHER_FONTS = 50, 14
_LETTERS = "ABCDEFGHIJKLMNOPQR"
_NEW_LETTERS = "STUVWXYZ"
#: classes that no reference has seen
_NEW_DIGITS = {"7", "8", "9"}
_NEW_CELLS = {"3"}
_NEW_FOLDERS = {"animals", "food", "plants", "recreation", "people", "transportation", "tools"}


@dataclass(frozen=True)
class WatchedSet:
    """Features (n, D) of known pictures and of each change, and the columns of each depth."""

    clean: Array
    changed: dict[str, Array]
    blocks: dict[str, slice]


def blurred(picture: Picture, random: np.random.Generator) -> Picture:
    """Out of focus by a fortieth of the shorter side, and at least 0.8 pixels."""
    del random
    return picture.filter(ImageFilter.GaussianBlur(max(0.8, min(picture.size) / 40)))


def noisy(picture: Picture, random: np.random.Generator) -> Picture:
    """Noise of 20 grey levels at every pixel."""
    values = np.asarray(picture, dtype=np.float64)
    return Image.fromarray(
        np.clip(values + random.normal(0.0, 20.0, values.shape), 0, 255).astype(np.uint8)
    )


def inverted(picture: Picture, random: np.random.Generator) -> Picture:
    """Light is dark."""
    del random
    return ImageOps.invert(picture)


def compressed(picture: Picture, random: np.random.Generator) -> Picture:
    """JPEG of quality 20."""
    del random
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


CAMERAS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "blur": blurred,
    "noise": noisy,
    "inverted": inverted,
    "JPEG 20": compressed,
}


def sets(clips: Path, fonts: Path) -> dict[str, Callable[[], dict[str, list[Picture]]]]:
    """Return what makes every set: known pictures, those of new classes, and of other fonts."""
    return {
        "digits": lambda: _divided(digits(), _NEW_DIGITS),
        "letters": lambda: _letters(fonts),
        "clip art": lambda: _divided(clip_art(clips), _NEW_FOLDERS),
        "solar cells": lambda: _divided(solar_cells(), _NEW_CELLS),
    }


def _divided(pictures: Pictures, new: set[str]) -> dict[str, list[Picture]]:
    known = [picture for picture, name in pictures if name not in new]
    return {
        "clean": _some(known, KNOWN + CHANGED, "known"),
        "new classes": _some([p for p, name in pictures if name in new], CHANGED, "new"),
    }


def _letters(fonts: Path) -> dict[str, list[Picture]]:
    files = font_files(fonts)
    slanted = [file for file in files if _is(file, "italic", "oblique")]
    usual = some([f for f in files if f not in slanted and not _is(f, "bold")], _FONTS, "usual")
    other = some([f for f in slanted if _is(f, "bold")], _OTHER_FONTS, "other")
    known = [drawn_letter(file, letter) for file in usual for letter in _LETTERS]
    new = [drawn_letter(file, letter) for file in usual for letter in _NEW_LETTERS]
    strange = [drawn_letter(file, letter) for file in other for letter in _LETTERS]
    return {
        "clean": _some(known, KNOWN + CHANGED, "known"),
        "new classes": _some(new, CHANGED, "new"),
        "other fonts": _some(strange, CHANGED, "fonts"),
    }


def _is(font: Path, *styles: str) -> bool:
    return any(style in font.name.lower() for style in styles)


def _some(pictures: list[Picture], most: int, what: str) -> list[Picture]:
    order = generator("watch", what, str(len(pictures))).permutation(len(pictures))
    return [pictures[i] for i in order[:most]]


def features_of(make: Callable[[], dict[str, list[Picture]]], kept: Path) -> WatchedSet:
    """Return what the bundled network gives for a set, from ``kept`` if it was asked before."""
    if not kept.exists():
        _describe(make(), kept)
    with np.load(kept) as found:
        edges = json.loads(str(found["edges"]))
        changed = {n: found[n] for n in found.files if n not in ("edges", "clean")}
        return WatchedSet(
            found["clean"], changed, {name: slice(*edge) for name, edge in edges.items()}
        )


def _describe(pictures: dict[str, list[Picture]], kept: Path) -> None:
    from frostline.backbones.described import described
    from frostline.core.cuts import tap_columns
    from frostline.core.onnx_runtime import open_session
    from frostline.onnx_graph.network_graph import IMAGES, RESULT

    network = described("efficientnet_lite0")
    graph = network.graph_without_weights()
    if graph is None:
        raise SystemExit("The bundled network has no graph.")
    session = open_session(graph.taps(network.taps, network.preprocessing), threads=1)

    def run(some: list[Picture]) -> Array:
        rows = [network.preprocessing.apply(one)[None] for one in some]
        return np.concatenate([session.run([RESULT], {IMAGES: row})[0] for row in rows])

    known = pictures["clean"]
    changed = known[-CHANGED:]
    tables = {name: run(some) for name, some in pictures.items() if name != "clean"}
    for name, camera in CAMERAS.items():
        random = generator("watch", name)
        tables[name] = run([camera(one, random) for one in changed])
    columns = tap_columns(map(network.cut, network.taps))
    kept.parent.mkdir(parents=True, exist_ok=True)
    edges = json.dumps({name: [s.start, s.stop] for name, s in columns.items()})
    arrays: dict[str, Any] = {"clean": run(known[:-CHANGED]), "edges": edges, **tables}
    np.savez(kept, **arrays)
