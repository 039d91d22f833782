"""Draw the pictures of the docs: a fit of the solar cells, and what a network responds to.

    python -m tools.docs.picture

Writes docs/images/fit.svg, docs/images/advise.svg and docs/images/responses.jpg.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from sklearn.datasets import load_sample_image

from frostline.backbones.network import Network
from frostline.cli.advise import advice_parts
from frostline.cli.demo import write_table
from frostline.cli.show import result_panel
from frostline.explain.responses import draw_responses
from frostline.fitting.pipeline import advise, fit

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def recorder() -> Console:
    """Return a console that prints nowhere and remembers."""
    return Console(record=True, width=100, file=io.StringIO(), highlight=False)


def draw_flower() -> None:
    """Draw what successive depths respond to in scikit-learn's photo of a flower."""
    photo = Image.fromarray(load_sample_image("flower.jpg"))
    drawn = draw_responses(Network.load("efficientnet_lite0"), photo)
    drawn.save(IMAGES / "responses.jpg", quality=85)


def main() -> None:
    draw_flower()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        table = write_table(Path("cells"))
        console = recorder()
        console.print(result_panel(fit(table, "run", effort="fast")))
        console.save_svg(
            str(IMAGES / "fit.svg"), title="frostline fit cells.csv -o run --effort fast"
        )
        console = recorder()
        for part in advice_parts(advise(table, effort="fast").plan):
            console.print(part)
        console.save_svg(
            str(IMAGES / "advise.svg"), title="frostline advise cells.csv --effort fast"
        )


if __name__ == "__main__":
    main()
