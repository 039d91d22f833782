"""Plant changed copies into sets of pictures, and count how many are found, by kind."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from frostline.backbones.network import Network
from frostline.compute.passes import FeatureStore, run_passes
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.audit import audit
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates.copies import find_copies
from frostline.data.sources.open_source import open_source
from tests.soak._pictures import CHANGES, PictureSet

#: pictures of each set that get a copy in the test part
_COPIED = 60
#: what was seen of the altered copies of a set, by their number
_BY_EYE = {
    (
        "drawings",
        20,
    ): " (by eye, each group is one drawing in variants, or arrows that way and this)"
}


def plant(
    of: PictureSet, work: Path, found: dict[str, Any], until: float, keep: Callable[[], None]
) -> None:
    """Fill in what is missing in ``found``: alarms on the clean set, recall of each change."""
    wanted = [_name(change) for change in CHANGES]
    if "clean" in found and all(name in found["recall"] for name in wanted):
        return
    own = np.stack([thumbnail(of.colour(i)) for i in range(len(of.images))])
    store = _store(of, work / of.name)
    tap = list(store.slices.values())[-1]
    features = store.taps[:, tap]
    digests = [_digest(image) for image in of.images]
    if "clean" not in found:
        began = time.process_time()
        clean = audit(_catalog(of.labels, digests, []), find_copies(digests, own, features))
        found["clean"] = {
            "images": len(own),
            "near_duplicates": clean.near_duplicates,
            "altered_copies": clean.altered_copies,
            "seconds": round(time.process_time() - began, 2),
        }
        found["recall"] = {}
        keep()
    rng = np.random.default_rng(0)
    copied = np.sort(rng.permutation(len(own))[:_COPIED])
    labels = [*of.labels, *(of.labels[i] for i in copied)]
    for which, change in CHANGES.items():
        if _name(which) in found["recall"] or time.monotonic() > until:
            continue
        copies = [change(of.colour(i), rng) for i in copied]
        catalog = _catalog(labels, [*digests, *map(_digest, copies)], copied.tolist())
        prepared = np.stack([store.network.preprocessing.apply(copy) for copy in copies])
        all_copies = find_copies(
            catalog.digests,
            np.concatenate([own, [thumbnail(copy) for copy in copies]]),
            np.concatenate([features, store.features_of(prepared, Runtime())[:, tap]]),
        )
        seen = audit(catalog, all_copies)
        groups = seen.groups[len(own) :] == seen.groups[copied]
        found["recall"][_name(which)] = {"found": int(groups.sum()), "of": len(copied)}
        keep()


def _name(change: tuple[str, str]) -> str:
    return ", ".join(filter(None, change))


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(image.convert("RGB").tobytes() + str(image.size).encode()).hexdigest()


def _store(of: PictureSet, folder: Path) -> FeatureStore:
    """The frozen features of a set, in its order."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "images.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for i, (image, label) in enumerate(zip(of.images, of.labels, strict=True)):
            path = folder / f"{i:05d}.png"
            if not path.exists():
                image.save(path, compress_level=1)
            writer.writerow([path.name, label])
    runtime = Runtime.of(Settings())
    store = run_passes(Network.load("efficientnet_lite0"), open_source(table), runtime)
    if [row.path.name for row in store.catalog.rows] != [
        f"{i:05d}.png" for i in range(len(of.images))
    ]:
        raise ValueError(f"The pictures of {of.name} came back in another order.")
    return store


def _catalog(labels: list[str], digests: list[str], copied: list[int]) -> Catalog:
    """Pictures for training, and behind them copies for testing."""
    classes = tuple(sorted(set(labels)))
    n = len(labels) - len(copied)
    rows = tuple(
        ImageRow(Path(f"/pictures/{i}"), f"{i}.png", classes.index(label),
                 "train" if i < n else "test", None)
        for i, label in enumerate(labels)
    )  # fmt: skip
    return Catalog("planted", classes, rows, tuple(digests))


def table(sets: dict[str, Any]) -> list[str]:
    """Recall by change (rows) and set (columns), and what was said about clean sets."""
    names = [name for name in sets if sets[name]]
    lines = [f"| copy | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for kind in sets[names[0]]["recall"]:
        cells = [sets[name]["recall"].get(kind) for name in names]
        said = [f"{cell['found']} of {cell['of']}" if cell else "–" for cell in cells]
        lines.append(f"| {kind} | {' | '.join(said)} |")
    lines.append("")
    for name in names:
        clean = sets[name]["clean"]
        near, altered = len(clean["near_duplicates"]), len(clean["altered_copies"])
        words = f"{near} near-duplicates and {altered} altered copies"
        if clean.get("seconds") is not None:
            words += f" in {clean['seconds']:.1f} s of a core"
        words += _BY_EYE.get((name, altered), "")
        lines.append(f"- {name}, {clean['images']:,} pictures without any planted copy: {words}.")
    return lines
