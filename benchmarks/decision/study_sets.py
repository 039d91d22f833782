"""The target sets of the large study: 59, of which 23 are drawn for the small network.

Real pictures meet EfficientNet-Lite0 in at most eight classes. They come from Debian packages:
clip art of openclipart-png, photos of tuxpaint-stamps-default, icons of gnome-icon-theme,
mate-icon-theme, oxygen-icon-theme, elementary-xfce-icon-theme, faenza-icon-theme, lxde-icon-theme
and tango-icon-theme; the solar cells and the digits from the Python packages elpv-dataset and
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import elpv_dataset

from benchmarks.decision import pictures
from benchmarks.decision.glyphs import CYRILLIC, GREEK, ORDINARY, Look
from benchmarks.decision.pictures import Row, Spoil, in_folders, spoiled
from benchmarks.decision.sets import (
    INVERTED,
    SETS,
    STRIPED,
    Places,
    TargetSet,
    digits,
    fonts_apart,
    letters,
    photos,
    solar_cells,
    textures,
)

Make = Callable[[Places, Path], list[Row]]
Kind = Literal["similar", "input", "feature", "other"]

#: pictures of a class that are looked at, those that teach and those that judge
_MOST = 260
#: at most so many judge, three fifths of a small set, and so many that may teach are "all"
_TEST, _LARGEST = 1000, 1000
_EIGHT = 8

LOOKS = {
    "ordinary": ORDINARY,
    "inverted": INVERTED,
    "striped": STRIPED,
    "blurred": Look(blur=(1.4, 2.2)),
    "faint": Look(contrast=(0.12, 0.25)),
    "noisy": Look(noise=70.0),
}
SPOILS: tuple[Spoil, ...] = (
    pictures.blur,
    pictures.noise,
    pictures.grey,
    pictures.inverted,
    pictures.jpeg,
)

_MANY_FOLDERS = {
    "things": (
        "animals",
        "buildings",
        "computer",
        "food",
        "geography",
        "office",
        "people",
        "plants",
    ),
    "uses": (
        "recreation",
        "transportation",
        "tools",
        "education",
        "electronics",
        "special",
        "shapes",
        "signs_and_symbols",
    ),
}
_FOLDERS = {
    "animals": ("birds", "bugs", "fish", "dinosaurs", "mammals"),
    "food": ("beverages", "breads_and_carbs", "desserts", "fruit", "meats_and_eggs"),
    "recreation": ("games", "holiday", "music", "party", "sports", "toys"),
    "people": ("bodypart", "clothing", "smilies", "stickmen"),
    "signs_and_symbols": ("flags", "map_symbols", "led", "clocks", "weather"),
    "shapes": ("arrows", "stars", "jigsaw", "flowchart", "callouts"),
    "transportation": ("aiga-symbols", "boating", "roadsigns", "vehicles"),
}
_PAIRS = (
    ("animals", "people"),
    ("food", "plants"),
    ("tools", "transportation"),
    ("geography", "recreation"),
)
#: folders of icons by theme: where they lie, and what they are for
_ICONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gnome": ("gnome/48x48/{}", ("actions", "apps", "devices", "status")),
    "mate": ("mate/48x48/{}", ("actions", "apps", "devices", "mimetypes", "status")),
    "oxygen": (
        "oxygen/base/64x64/{}",
        ("actions", "apps", "categories", "devices", "mimetypes", "places", "status"),
    ),
    "elementary": (
        "elementary-xfce/{}/48",
        ("actions", "apps", "categories", "devices", "mimes", "status"),
    ),
    "faenza": (
        "Faenza/{}/64",
        ("actions", "apps", "devices", "mimetypes", "places", "status"),
    ),
}
_THEMES = {
    "gnome": "gnome/48x48",
    "oxygen": "oxygen/base/48x48",
    "elementary": "elementary-xfce/apps/48",
    "faenza": "Faenza/apps/48",
    "nuove": "nuoveXT2/48x48",
    "tango": "Tango/32x32",
}


def _drawn(name: str, family: str, make: Make) -> TargetSet:
    kind: Kind = "similar" if name.endswith("ordinary") else "input"
    return TargetSet(name, "glyphs", kind, _TEST, _LARGEST, make, family=family)


def _real(name: str, family: str, make: Make, *, natural: bool = False) -> TargetSet:
    return TargetSet(name, "lite0", "other", _TEST, _LARGEST, make, natural=natural, family=family)


def _clip_art(classes: Mapping[str, Sequence[str]]) -> Make:
    return lambda places, _: in_folders(places.clip_art, classes, _MOST)


def _icons(classes: Mapping[str, Sequence[str]]) -> Make:
    return lambda places, _: in_folders(places.icons, classes, _MOST)


def _spoiled(make: Make, how: Spoil) -> Make:
    return lambda places, folder: spoiled(make(places, folder), how, folder)


def _eight_digits(places: Places, folder: Path) -> list[Row]:
    return [row for row in digits(places, folder) if int(row[1].split()[1]) < _EIGHT]


def _cells_by(what: Literal["type", "both"]) -> Make:
    """Solar cells by how their crystal grew, or by that and their level of damage."""

    def make(places: Places, folder: Path) -> list[Row]:
        home = Path(str(elpv_dataset.__file__)).parent / "data"
        lines = (home / "labels.csv").read_text(encoding="utf-8").splitlines()
        kinds = {home / line.split()[0]: line.split()[2] for line in lines}
        levels = dict(solar_cells(places, folder))
        if what == "type":
            return list(kinds.items())
        return [(path, f"{kind} {levels[path]}") for path, kind in kinds.items()]

    return make


def _scripts(places: Places, folder: Path) -> list[Row]:
    """Greek against Cyrillic: a class has twelve letters."""
    rows: list[Row] = []
    for script, make in (("greek", letters("s", GREEK, n=2100)), ("cyrillic", _cyrillic)):
        place = folder / script
        place.mkdir(exist_ok=True)
        rows += [(path, script) for path, _ in make(places, place)]
    return rows


_cyrillic = letters("t", CYRILLIC, n=2100)


def _corrupted_digits(how: Spoil, places: Places, folder: Path) -> list[Row]:
    return spoiled(digits(places, folder), how, _subfolder(folder, how.__name__))


def _subfolder(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _sets() -> list[TargetSet]:
    found: list[TargetSet] = []
    for script, alphabet in (("greek", GREEK), ("cyrillic", CYRILLIC)):
        for look, how in LOOKS.items():
            name = f"{script}-letters-{look}"
            found.append(_drawn(name, "letters", letters(name, alphabet, how, n=2400)))
    found.append(_drawn("scripts-ordinary", "letters", _scripts))
    for look in ("ordinary", "inverted", "striped"):
        make = partial(fonts_apart, look=LOOKS[look], name=f"fonts-{look}")
        found.append(_drawn(f"fonts-{look}", "fonts", make))
    found.append(_drawn("gratings", "textures", textures))
    found += [
        _drawn(f"gratings-{how.__name__}", "textures", _spoiled(textures, how))
        for how in (pictures.blur, pictures.inverted)
    ]
    found.append(_drawn("little-digits", "digits", digits))
    found += [
        _drawn(f"little-digits-{how.__name__}", "digits", partial(_corrupted_digits, how))
        for how in (pictures.blur, pictures.noise, pictures.inverted)
    ]
    for name, folders in _FOLDERS.items():
        classes = {sub: [f"{name}/{sub}"] for sub in folders}
        found.append(_real(f"clip-art-{name}", "clip art", _clip_art(classes)))
    for name, folders in _MANY_FOLDERS.items():
        found.append(_real(f"clip-art-{name}", "clip art", _clip_art({f: [f] for f in folders})))
    for pair in _PAIRS:
        found.append(
            _real("clip-art-" + "-or-".join(pair), "clip art", _clip_art({f: [f] for f in pair}))
        )
    things = _clip_art({f: [f] for f in _MANY_FOLDERS["things"]})
    found += [
        _real(f"clip-art-things-{how.__name__}", "clip art", _spoiled(things, how))
        for how in SPOILS
    ]
    found.append(_real("cells-by-level", "solar cells", solar_cells, natural=True))
    found.append(_real("cells-by-type", "solar cells", _cells_by("type")))
    found.append(_real("cells-by-both", "solar cells", _cells_by("both"), natural=True))
    for spoil in (pictures.blur, pictures.inverted):
        name = f"cells-by-level-{spoil.__name__}"
        found.append(_real(name, "solar cells", _spoiled(solar_cells, spoil), natural=True))
    found.append(_real("stamps", "photos", photos))
    found += [
        _real(f"stamps-{how.__name__}", "photos", _spoiled(photos, how))
        for how in (pictures.grey, pictures.noise, pictures.jpeg)
    ]
    found.append(_real("eight-digits", "digits", _eight_digits))
    found.append(
        _real("eight-digits-inverted", "digits", _spoiled(_eight_digits, pictures.inverted))
    )
    for theme, (place, uses) in _ICONS.items():
        classes = {use: [place.format(use)] for use in uses}
        found.append(_real(f"icons-{theme}", "icons", _icons(classes)))
    found.append(_real("icons-by-theme", "icons", _icons({t: [p] for t, p in _THEMES.items()})))
    found.append(
        _real(
            "icons-by-theme-grey",
            "icons",
            _spoiled(_icons({t: [p] for t, p in _THEMES.items()}), pictures.grey),
        )
    )
    return found


STUDY_SETS: dict[str, TargetSet] = {one.name: one for one in _sets()}
EVERY_SET: dict[str, TargetSet] = SETS | STUDY_SETS
#: where the options that are likely to win are trained with 100 images a class as well
ALSO_TRAINED = (
    "greek-letters-striped",
    "cyrillic-letters-inverted",
    "fonts-ordinary",
    "gratings",
    "clip-art-things",
    "cells-by-level",
    "eight-digits",
    "icons-oxygen",
)
