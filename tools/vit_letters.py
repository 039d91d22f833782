"""Draw 64 pictures of what the transformer of benchmarks/vit learned, to lie beside its weights.

Run::

    python -m tools.vit_letters --fonts FONTS

FONTS is a folder with unpacked Debian packages of fonts, as for ``python -m tools.pretrain_vit``.
The letters, fonts, colours and grounds are those of its pretraining.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.vit.network import GLYPHS, LETTERS
from benchmarks.vit.pictures import coloured
from frostline.evidence.source_pictures import MOST

# nothing that a network of 64 pixels sees is lost, at a fifth of the bytes of PNG
_QUALITY = 90


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=Path, required=True, help="folder with fonts")
    given = parser.parse_args()
    LETTERS.mkdir(exist_ok=True)
    for number, picture in enumerate(coloured(given.fonts, GLYPHS, seen=True, n=MOST)):
        picture.save(LETTERS / f"{number:02d}.webp", quality=_QUALITY)


if __name__ == "__main__":
    main()
