"""How far sets lie from letters for a transformer that learned letters, by three kinds of card.

The card of source pictures is of the 64 letters beside its weights. Beside it: the card of photos
that come with Frostline, and what that kind of card would say of the same letters. What is right
follows from how a set is made: letters in colour are what the network learned (other scripts and
fonts), letters in grey are letters still, all else is something else.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.decision.glyphs import ORDINARY, Look, covering, draw, find_fonts, generator
from benchmarks.decision.sets import INVERTED, STRIPED, Places, table_of
from benchmarks.shift_cards import N_IMAGES, Measured, image_sets
from benchmarks.vit.network import LETTERS, load
from benchmarks.vit.pictures import coloured
from benchmarks.vit.tasks import TASKS
from frostline.compute.moments import NormMoments
from frostline.core.runtime import Runtime
from frostline.evidence import picture_card, source_card
from frostline.evidence.source_pictures import SourcePictures
from tools.reference_cards import on_white, windows

#: of the twelve tasks, those between which the limits of the label were placed
PLACED = ("greek-coloured", "greek", "cyrillic-striped", "textures")
#: scripts that neither pretraining nor any task has
_ARMENIAN, _HEBREW = "ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄ", "אבגדהוזחטיכלמנסעפצקרשת"
_GREY = {"greek", "cyrillic", "greek-inverted", "cyrillic-striped", "styles", "letters"}
#: letters of the card, besides all
_FEWER = (16, 32)


def measure(places: Places, runtime: Runtime) -> dict[str, Any]:
    """Measure every set by every card."""
    sets = _sets(places)
    measured = Measured(load(), n_pictures=64, threads=runtime.threads)
    network, norms = measured.network, measured.inputs.norms
    letters = measured.moments(SourcePictures(LETTERS).pixels(network.preprocessing, 64, runtime))
    values = {name: measured.moments_of(images) for name, (_, images) in sets.items()}
    # those that come with Frostline are many things, and have been through the network already
    sets["photos that come with it"] = "different", []
    values["photos that come with it"] = measured.photos
    moments = {name: NormMoments(norms, v, np.arange(len(v))) for name, v in values.items()}
    by_letters = picture_card.make_card(norms, letters, measured.drawn)
    card = source_card.make_card(norms, letters)
    rows: list[dict[str, Any]] = []
    for name, (expected, _) in sets.items():
        of_source = source_card.shift_from_source(moments[name], card)
        photos = picture_card.shift_from_card(moments[name], measured.card)
        other = picture_card.shift_from_card(moments[name], by_letters)
        rows.append(
            {
                "set": name,
                "images": len(moments[name].rows),
                "is": expected,
                "distance": round(of_source.distance, 3),
                "interval": [round(end, 3) for end in of_source.interval],
                "label": of_source.label,
                "placed": name in PLACED,
                "by photos": [round(photos.distance, 3), photos.label],
                "by mean and variance of letters": [round(other.distance, 3), other.label],
            }
        )
        print(
            f"{name:28s} {expected:10s} {of_source.distance:6.2f} {of_source.label:10s} "
            f"photos {photos.distance:.2f} {photos.label:10s} "
            f"mean and variance {other.distance:.2f} {other.label}"
        )
    found: dict[str, Any] = {"noise": round(card.noise, 3), "sets": rows}
    for n in (*_FEWER, len(letters)):
        fewer = source_card.make_card(norms, letters[:n])
        labels = {m: source_card.shift_from_source(moments[m], fewer).label for m in moments}
        found[f"right with {n} letters"] = _counted(sets, labels)
    found["right by photos"] = _counted(sets, {r["set"]: r["by photos"][1] for r in rows})
    print({key: value for key, value in found.items() if key != "sets"})
    return found


def _counted(
    sets: Mapping[str, tuple[str, list[Image.Image]]], labels: Mapping[str, str]
) -> dict[str, int]:
    others = [name for name in sets if name not in PLACED]
    return {
        "of placed": sum(labels[name] == sets[name][0] for name in PLACED),
        "of others": sum(labels[name] == sets[name][0] for name in others),
        "others": len(others),
        "not known": sum(label == "unknown" for label in labels.values()),
    }


def _sets(places: Places) -> dict[str, tuple[str, list[Image.Image]]]:
    """Return what every set is by design, and its images."""
    found = {name: (_design(name), _of_task(name, places)) for name in TASKS}
    grey: list[tuple[str, str, Look]] = [
        ("Armenian", _ARMENIAN, ORDINARY),
        ("Hebrew, inverted", _HEBREW, INVERTED),
        ("Armenian, striped", _ARMENIAN, STRIPED),
    ]
    for name, script in (("Armenian in colour", _ARMENIAN), ("Hebrew in colour", _HEBREW)):
        found[name] = "similar", coloured(places.fonts, script, seen=False, n=N_IMAGES)
    for name, script, look in grey:
        found[name] = "moderate", _letters(name, script, look, places)
    others = image_sets(places.stamps, places.fonts, places.clip_art)
    # full frames, where all others are cut out on white
    found["windows of two photos"] = "different", windows()
    done = ("solar cells", "digits, 8 x 8", "photos of all kinds", "clip art")
    return found | {n: (_design(n), v) for n, v in others.items() if n not in done}


def _design(name: str) -> str:
    if name.endswith("-coloured"):
        return "similar"
    return "moderate" if name in _GREY else "different"


def _of_task(name: str, places: Places) -> list[Image.Image]:
    with table_of(TASKS[name], places).open(encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    order = np.random.default_rng(0).permutation(len(paths))[:N_IMAGES]
    return [on_white(Image.open(paths[i])) for i in order]


def _letters(name: str, script: str, look: Look, places: Places) -> list[Image.Image]:
    fonts = [font for font in covering(find_fonts(places.fonts)) if "dejavu" in font.parts]
    images = []
    for i in range(N_IMAGES):
        random = generator(name, i)
        font = fonts[int(random.integers(len(fonts)))]
        images.append(Image.fromarray(draw(script[i % len(script)], font, random, look)))
    return images
