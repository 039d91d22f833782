"""Compare the card of reference pictures with what BatchNorm knows, on image sets of known answer.

Run::

    python -m benchmarks.shift_cards --photos STAMPS [--fonts FONTS] [--clip-art PNG]
    python -m benchmarks.shift_cards --photos STAMPS --backbone NAME --weights FILE

STAMPS and PNG are those of ``python -m tools.reference_cards``; FONTS is a folder with fonts, of
which letters are drawn. The first form takes the bundled networks as if nobody knew their stored
statistics, and tells how the label of the card of photos agrees with that of the statistics, with
all pictures and with fewer, and how a card of source pictures would, if these photos were some. The
second measures any other network, which may store none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from benchmarks.accuracy_and_time import PHOTO_CLASSES
from frostline.backbones.described import described
from frostline.backbones.frozen_network import FrozenNetwork
from frostline.backbones.load.bundled import BUNDLED
from frostline.compute.engines.base import run_batches
from frostline.compute.engines.moments_of import NormInputs, norm_inputs, open_moments
from frostline.compute.moments import NormMoments, SourceNorm
from frostline.core.plan import ShiftEvidence
from frostline.core.preprocessing import UInt8Array
from frostline.core.runtime import Runtime
from frostline.evidence import source_card
from frostline.evidence.cards import load_card
from frostline.evidence.picture_card import PictureCard, make_card, shift_from_card
from frostline.evidence.pictures import N_PICTURES, are_photos, reference_pictures
from frostline.evidence.shift import measure_shift
from tools.reference_cards import clip_art, digits, on_white, solar_cells

#: images of a set, at most
N_IMAGES = 64
RESULT = Path(__file__).parent / "results" / "shift_cards.json"
#: pictures that a card is made of, besides all
_FEWER = (16, 32, 48)
#: smallest distance whose logarithm counts
_LEAST = 0.01


def image_sets(
    stamps: Path, fonts: Path | None, clips: Path | None
) -> dict[str, list[Image.Image]]:
    """Return the sets by name: photos first, then what is less and less of a photo."""
    sets = {f"photos: {kind}": _photos(stamps / kind) for kind in PHOTO_CLASSES}
    every = [image for images in sets.values() for image in images]
    rng = np.random.default_rng(0)
    sets["photos of all kinds"] = [every[i] for i in rng.permutation(len(every))[:N_IMAGES]]
    sets["cartoons"] = _sample(sorted(stamps.rglob("*cartoon*/*.png")))
    sets["symbols"] = _sample(sorted((stamps / "symbols").rglob("*.png")))
    if clips is not None:
        sets["clip art"] = clip_art(clips, N_IMAGES)
    if fonts is not None:
        sets["letters"] = _letters(sorted(fonts.rglob("*.[to]tf")))
    return {**sets, "solar cells": solar_cells(N_IMAGES), "digits, 8 x 8": digits(N_IMAGES)}


def _photos(folder: Path) -> list[Image.Image]:
    return _sample(
        path
        for path in sorted(folder.rglob("*.png"))
        if "cartoon" not in path.parts and not path.stem.endswith(("_mirror", "_flip"))
    )


def _sample(paths: Iterable[Path]) -> list[Image.Image]:
    found = list(paths)
    order = np.random.default_rng(0).permutation(len(found))[:N_IMAGES]
    return [on_white(Image.open(found[i])) for i in order]


def _letters(fonts: list[Path]) -> list[Image.Image]:
    rng, found = np.random.default_rng(0), []
    for _ in range(N_IMAGES):
        image = Image.new("RGB", (128, 128), "white")
        font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), 90)
        ImageDraw.Draw(image).text((30, 10), chr(65 + rng.integers(26)), "black", font=font)
        found.append(image)
    return found


class Measured:
    """One network and the moments of image sets at its norm layers."""

    def __init__(self, network: FrozenNetwork, *, n_pictures: int, threads: int) -> None:
        self.network = network
        self.inputs: NormInputs = norm_inputs(network)
        self._engine = open_moments(network, self.inputs, Runtime(threads=threads))
        pictures = self.moments(reference_pictures(network.preprocessing, n_pictures))
        photos = are_photos(n_pictures)
        self.photos, self.drawn = pictures[photos], pictures[~photos]
        self.card: PictureCard = make_card(self.inputs.norms, self.photos, self.drawn)
        self._pictures = pictures

    def card_of(self, n: int) -> PictureCard:
        """Return the card of the first ``n`` pictures."""
        some, photos = self._pictures[:n], are_photos(n)
        return make_card(self.inputs.norms, some[photos], some[~photos])

    def moments_of(self, images: list[Image.Image]) -> npt.NDArray[np.float32]:
        """Return the moments of images (n, width)."""
        return self.moments(self._pixels(images))

    def _pixels(self, images: list[Image.Image]) -> UInt8Array:
        return np.stack([np.asarray(self.network.preprocessing.apply(i)) for i in images])

    def moments(self, pixels: UInt8Array) -> npt.NDArray[np.float32]:
        """Return the moments of pictures as the network takes them, (n, width)."""
        results = run_batches(self._engine, ((None, image) for image in pixels))
        return np.stack([result for _, result in results])


def measure(measured: Measured, sets: Mapping[str, list[Image.Image]]) -> dict[str, object]:
    """Measure every set, print a table, and return it."""
    card, network, norms = measured.card, measured.network, measured.inputs.norms
    print(
        f"{network.name}, {card.n_pictures} pictures: yardstick {card.yardstick:.3f}, "
        f"noise {card.noise:.3f}"
    )
    unknown = [replace(norm, stored=None) for norm in norms]
    moments = {name: _beside(norms, measured.moments_of(images)) for name, images in sets.items()}
    found: dict[str, object] = {
        "network": network.name,
        "pictures": card.n_pictures,
        "yardstick": round(card.yardstick, 4),
        "noise": round(card.noise, 4),
    }
    by_card = {
        name: shift_from_card(_beside(unknown, m.values), card) for name, m in moments.items()
    }
    rows = {
        name: {"set": name, "images": len(m.rows), **_row("card", by_card[name])}
        for name, m in moments.items()
    }
    if measured.inputs.stored:
        bundled = load_card(network.name, weights_id=network.weights_id)
        truth = {n: measure_shift(m.beside_stored(), card=bundled) for n, m in moments.items()}
        for name, shift in truth.items():
            rows[name] |= _row("statistics", shift)
        found |= _agreement(by_card, truth)
        for n in _FEWER:
            fewer = measured.card_of(n)
            some = {m: _beside(unknown, moments[m].values[:n]) for m in moments}
            labels = {m: shift_from_card(one, fewer) for m, one in some.items()}
            found[f"with {n} pictures"] = _agreement(labels, truth)
        # principal directions of photos that are not those of pretraining
        directions = source_card.make_card(norms, measured.photos)
        others = {m: source_card.shift_from_source(moments[m], directions) for m in moments}
        for name, shift in others.items():
            rows[name]["with principal directions"] = round(shift.distance, 4)
        correlation = _correlation(others, truth)
        found["correlation with principal directions"] = round(correlation, 3)
    for row in rows.values():
        print("  ".join(f"{v:>22}" if key == "set" else f"{v}" for key, v in row.items()))
    print({key: value for key, value in found.items() if key != "network"})
    return found | {"sets": list(rows.values())}


def _beside(norms: list[SourceNorm], values: npt.NDArray[np.float32]) -> NormMoments:
    return NormMoments(norms, values, np.arange(len(values)))


def _agreement(
    found: Mapping[str, ShiftEvidence], truth: Mapping[str, ShiftEvidence]
) -> dict[str, object]:
    return {
        "agree": sum(found[name].label == truth[name].label for name in truth),
        "not known": sum(found[name].label == "unknown" for name in truth),
        "of": len(truth),
        "correlation": round(_correlation(found, truth), 3),
    }


def _correlation(found: Mapping[str, ShiftEvidence], truth: Mapping[str, ShiftEvidence]) -> float:
    pairs = [(max(found[name].distance, _LEAST), truth[name].distance) for name in truth]
    return float(np.corrcoef(np.log(np.array(pairs)).T)[0, 1])


def _row(what: str, shift: ShiftEvidence) -> dict[str, object]:
    return {what: round(shift.distance, 4), f"{what} says": shift.label, f"{what} kind": shift.kind}


def main() -> None:
    """Measure the bundled networks, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder 'stamps'")
    parser.add_argument("--fonts", type=Path, help="folder with fonts")
    parser.add_argument("--clip-art", type=Path, help="folder 'png'")
    parser.add_argument("--backbone", help="another network")
    parser.add_argument("--weights", type=Path, help="its weights")
    parser.add_argument("--pictures", type=int, default=N_PICTURES)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    sets = image_sets(given.photos, given.fonts, given.clip_art)
    options = {"n_pictures": given.pictures, "threads": given.threads}
    if given.backbone is not None:
        from frostline.backbones.network import Network

        network = Network.load(given.backbone, weights=given.weights)
        measure(Measured(network, **options), sets)
    else:
        found = [measure(Measured(described(name), **options), sets) for name in BUNDLED]
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
