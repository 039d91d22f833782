"""Compare the card of reference pictures with what BatchNorm knows, on image sets of known answer.

Run::

    python -m benchmarks.shift_cards --photos STAMPS [--fonts FONTS] [--clip-art PNG]
    python -m benchmarks.shift_cards --photos STAMPS --fonts FONTS --letters [--clip-art PNG]
    python -m benchmarks.shift_cards --photos STAMPS --backbone NAME --weights FILE

STAMPS and PNG are those of ``python -m tools.reference_cards``; FONTS is a folder with fonts, of
which letters are drawn. The first form takes the bundled networks as if nobody knew their stored
statistics, and tells how the label of the card agrees with that of the statistics. The second
takes the transformer of ``benchmarks/vit``, which learned letters and no photos, by the card of
photos and by one of 40 letters that it learned from. The third measures any other network.
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
from frostline.compute.moments import NormMoments
from frostline.core.plan import ShiftEvidence
from frostline.core.preprocessing import UInt8Array
from frostline.core.runtime import Runtime
from frostline.evidence.cards import load_card
from frostline.evidence.picture_card import PictureCard, make_card, shift_from_card
from frostline.evidence.pictures import N_PICTURES, are_photos, reference_pictures
from frostline.evidence.shift import measure_shift
from tools.reference_cards import clip_art, digits, on_white, solar_cells

#: images of a set, at most
N_IMAGES = 64
RESULT = Path(__file__).parent / "results" / "shift_cards.json"
LETTERS = Path(__file__).parent / "results" / "shift_cards_letters.json"


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
        values = self._values(reference_pictures(network.preprocessing, n_pictures))
        photos = are_photos(n_pictures)
        self._drawn = values[~photos]
        self.card: PictureCard = make_card(self.inputs.norms, values[photos], self._drawn)

    def know(self, images: list[Image.Image]) -> None:
        """Make the card of images that the network learned from, in place of photos."""
        self.card = make_card(self.inputs.norms, self._values(self._pixels(images)), self._drawn)

    def shifts(self, images: list[Image.Image]) -> tuple[ShiftEvidence | None, ShiftEvidence]:
        """Return the shift by stored statistics, if there are any, and by the card."""
        pixels = self._pixels(images)
        values = self._values(pixels)
        rows, norms = np.arange(len(pixels)), self.inputs.norms
        known = NormMoments(norms, values, rows)
        unknown = NormMoments([replace(norm, stored=None) for norm in norms], values, rows)
        by_statistics = None
        if known.stored:
            card = load_card(self.network.name, weights_id=self.network.weights_id)
            by_statistics = measure_shift(known.beside_stored(), card=card)
        return by_statistics, shift_from_card(unknown, self.card)

    def _pixels(self, images: list[Image.Image]) -> UInt8Array:
        return np.stack([np.asarray(self.network.preprocessing.apply(i)) for i in images])

    def _values(self, pixels: UInt8Array) -> npt.NDArray[np.float32]:
        results = run_batches(self._engine, ((None, image) for image in pixels))
        return np.stack([result for _, result in results])


def measure(measured: Measured, sets: Mapping[str, list[Image.Image]]) -> dict[str, object]:
    """Measure every set, print a table, and return it."""
    card, network = measured.card, measured.network
    n_pictures = card.n_pictures
    rows, agree = [], []
    distances: list[tuple[float, float]] = []
    print(
        f"{network.name}, {n_pictures} pictures: yardstick {card.yardstick:.3f}, "
        f"noise {card.noise:.3f}"
    )
    for name, images in sets.items():
        stored, by_card = measured.shifts(images)
        row = {"set": name, "images": len(images), **_row("card", by_card)}
        if stored is not None:
            row |= _row("statistics", stored)
            agree.append(stored.label == by_card.label)
            distances.append((by_card.distance, stored.distance))
        rows.append(row)
        print(
            "  ".join(f"{value:>22}" if key == "set" else f"{value}" for key, value in row.items())
        )
    found: dict[str, object] = {
        "network": network.name,
        "pictures": n_pictures,
        "yardstick": round(card.yardstick, 4),
        "noise": round(card.noise, 4),
        "sets": rows,
    }
    if agree:
        logs = np.log(np.array(distances))
        found |= {
            "agree": sum(agree),
            "of": len(agree),
            "correlation": round(float(np.corrcoef(logs.T)[0, 1]), 3),
        }
        print({key: found[key] for key in ("agree", "of", "correlation")})
    return found


def coloured_letters(fonts: Path, letters: str, *, seen: bool, n: int) -> list[Image.Image]:
    """Draw letters as the transformer learned them, in fonts that it saw or did not see."""
    import torch

    from benchmarks.decision.glyphs import covering, find_fonts
    from benchmarks.vit.pictures import masks, pictures

    faces = covering(find_fonts(fonts))
    half = len(faces) // 2
    ink = masks(letters, faces[:half] if seen else faces[half:])
    random = torch.Generator().manual_seed(int(seen))
    kinds = torch.randint(len(letters), (n,), generator=random)
    drawn, _ = pictures(ink[torch.randint(len(ink), (n,), generator=random), kinds], random)
    pixels = (255 * drawn).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(one) for one in pixels]


def measure_letters(
    fonts: Path, sets: Mapping[str, list[Image.Image]], *, n_pictures: int, threads: int
) -> list[dict[str, object]]:
    """Measure the transformer that learned letters, by the card of photos and by theirs."""
    from benchmarks.decision.glyphs import GREEK
    from benchmarks.vit.network import GLYPHS, load

    measured = Measured(load(), n_pictures=n_pictures, threads=threads)
    near = {
        "letters in colour": coloured_letters(fonts, GLYPHS, seen=False, n=N_IMAGES),
        "Greek in colour": coloured_letters(fonts, GREEK, seen=False, n=N_IMAGES),
        "digits in colour": coloured_letters(fonts, "0123456789", seen=False, n=N_IMAGES),
    }
    by_photos = measure(measured, {**near, **sets})
    measured.know(coloured_letters(fonts, GLYPHS, seen=True, n=int(are_photos(n_pictures).sum())))
    return [by_photos, measure(measured, {**near, **sets})]


def _row(what: str, shift: ShiftEvidence) -> dict[str, object]:
    return {what: round(shift.distance, 4), f"{what} says": shift.label, f"{what} kind": shift.kind}


def main() -> None:
    """Measure the bundled networks, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder 'stamps'")
    parser.add_argument("--fonts", type=Path, help="folder with fonts")
    parser.add_argument("--clip-art", type=Path, help="folder 'png'")
    parser.add_argument("--letters", action="store_true", help="the transformer that learned them")
    parser.add_argument("--backbone", help="another network")
    parser.add_argument("--weights", type=Path, help="its weights")
    parser.add_argument("--pictures", type=int, default=N_PICTURES)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    sets = image_sets(given.photos, given.fonts, given.clip_art)
    options = {"n_pictures": given.pictures, "threads": given.threads}
    if given.letters:
        _write(LETTERS, measure_letters(given.fonts, sets, **options))
    elif given.backbone is not None:
        from frostline.backbones.network import Network

        network = Network.load(given.backbone, weights=given.weights)
        measure(Measured(network, **options), sets)
    else:
        _write(RESULT, [measure(Measured(described(n), **options), sets) for n in BUNDLED])


def _write(path: Path, found: list[dict[str, object]]) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
