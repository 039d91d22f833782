"""The demonstration: solar cells under electroluminescence, from sound to broken."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rich.text import Text

from frostline.cli.console import TerminalProgress, err
from frostline.core.cancel import CancelToken
from frostline.core.extras import missing_extra
from frostline.core.files import write_text
from frostline.core.settings import Effort

#: probability of a defect, as the data set gives it, in words
_LEVELS = {0.0: "0 sound", 1 / 3: "1 possibly damaged", 2 / 3: "2 likely damaged", 1.0: "3 broken"}


def write_table(folder: Path) -> Path:
    """Write a table of the 2,624 images that the package ``elpv-dataset`` carries.

    Raises MissingExtraError if the package is not installed.
    """
    try:
        import elpv_dataset
    except ImportError:
        raise missing_extra("demo", "The demonstration, with its images of solar cells,") from None
    home = Path(str(elpv_dataset.__file__)).parent / "data"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label"])
    for line in (home / "labels.csv").read_text(encoding="utf-8").splitlines():
        path, probability, _ = line.split()
        level = min(_LEVELS, key=lambda p: abs(p - float(probability)))
        writer.writerow([home / path, _LEVELS[level]])
    table = folder / "solar-cells.csv"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(table, text.getvalue())
    return table


def run_demo(
    output: Path, *, effort: Effort, seed: int, cancel: CancelToken, started: float
) -> None:
    """Fit the solar cells and print the result."""
    table = write_table(output)
    from frostline.cli.show import show_result
    from frostline.fitting.pipeline import fit

    run = output / "run"
    command = f"frostline fit {table} -o {run} --effort {effort} --seed {seed}"
    err.print(Text(command, style="dim"))
    result = fit(
        table,
        run,
        overwrite=True,
        progress=TerminalProgress(),
        cancel=cancel,
        started=started,
        effort=effort,
        seed=seed,
    )
    show_result(result)
