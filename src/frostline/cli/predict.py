"""Classify images with a fitted model; PyTorch is not needed."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from frostline.artifact.model import Model, Prediction
from frostline.cli.console import err, out
from frostline.errors import InputError, UnreadableImageError
from frostline.files import os_reason
from frostline.images.decode import EXTENSIONS
from frostline.images.naming import visible

Result = tuple[Path, Prediction | UnreadableImageError]


def predict_images(run: Path, images: list[Path], *, as_json: bool, as_csv: bool, top: int) -> None:
    """Print labels and probabilities; images that cannot be read are named, never skipped.

    Raises
    ------
    InputError
        If both formats are asked for, a folder has no image, or no image could be read.
    """
    if as_json and as_csv:
        raise InputError("Ask for --json or --csv, not both.")
    model = Model.load(run)
    paths = expand(images)
    results = list(zip(paths, model.predict_each(paths), strict=True))
    if as_json:
        _print_json(model, results)
    elif as_csv:
        _print_csv(model, results)
    else:
        _print_table(results, top)
    failed = [r for _, r in results if isinstance(r, UnreadableImageError)]
    for error in failed:
        said = f"Not classified: {visible(error.path)}: {error.reason}"
        err.print(Text(said, style="yellow"))
    if len(failed) == len(results):
        raise InputError("None of the images could be read.")


def expand(images: list[Path]) -> list[Path]:
    """Replace folders by the images in them, at any depth, in order of name."""
    found: list[Path] = []
    for path in images:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(_images_below(path))
        if not inside:
            raise InputError(f"The folder {path} has no image.")
        found += inside
    return found


def _images_below(folder: Path) -> Iterator[Path]:
    """Yield what is called an image: broken links and pipes too, which the decoder names."""
    for base, _, names in os.walk(folder, onerror=_unreachable):
        yield from (path for name in names if _is_image(path := Path(base, name)))


def _unreachable(error: OSError) -> None:
    raise InputError(f"Folder {error.filename} cannot be read: {os_reason(error)}.") from None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _print_json(model: Model, results: list[Result]) -> None:
    answers = [
        {"path": str(path), "error": result.reason}
        if isinstance(result, UnreadableImageError)
        else {
            "path": str(path),
            "label": result.label,
            "confidence": result.confidence,
            "unknown": result.unknown,
            "unfamiliarity": result.unfamiliarity,
            "probabilities": dict(
                zip(model.classes, map(float, result.probabilities), strict=True)
            ),
        }
        for path, result in results
    ]
    sys.stdout.write(json.dumps(answers, indent=2) + "\n")


def _print_csv(model: Model, results: list[Result]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "label", "confidence", "unknown", "unfamiliarity", *model.classes])
    for path, result in results:
        if not isinstance(result, UnreadableImageError):
            shares = [f"{p:.6f}" for p in result.probabilities]
            # empty where the model does not tell
            unknown = "" if result.unknown is None else str(result.unknown).lower()
            score = "" if result.unfamiliarity is None else f"{result.unfamiliarity:.4f}"
            writer.writerow(
                [path, result.label, f"{result.confidence:.6f}", unknown, score, *shares]
            )


def _print_table(results: list[Result], top: int) -> None:
    table = Table(box=None)
    table.add_column("image", overflow="fold")
    table.add_column("label", style="bold")
    table.add_column("confidence", justify="right")
    strange = any(isinstance(r, Prediction) and r.unknown for _, r in results)
    if strange:
        table.add_column("", style="yellow")
    table.add_column("then", style="dim")
    for path, result in results:
        if not isinstance(result, UnreadableImageError):
            others = ", ".join(f"{visible(name)} {p:.1%}" for name, p in result.top(top)[1:])
            mark = ["unknown" if result.unknown else ""] if strange else []
            table.add_row(
                Text(visible(str(path))),
                Text(visible(result.label)),
                f"{result.confidence:.1%}",
                *mark,
                Text(others),
            )
    if table.row_count:
        out.print(table)
    if strange:
        said = (
            "unknown: unlike everything in training; the label is the nearest of the known classes"
        )
        out.print(said, style="dim")
