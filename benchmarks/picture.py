"""Draw the panel and the tables of the README from a fit of the solar cells.

    python benchmarks/picture.py

Writes docs/images/fit.svg and docs/images/advise.svg.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from rich.console import Console

from frostline.cli.advise import advice_parts
from frostline.cli.demo import write_table
from frostline.cli.show import result_panel
from frostline.pipeline import advise, fit

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def recorder() -> Console:
    """Return a console that prints nowhere and remembers."""
    return Console(record=True, width=100, file=io.StringIO(), highlight=False)


def main() -> None:
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
