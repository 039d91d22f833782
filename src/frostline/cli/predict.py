"""Classify images with a fitted model; PyTorch is not needed."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from frostline.cli.console import err
from frostline.cli.prediction_formats import print_csv, print_json, print_table
from frostline.core.errors import InputError, TooLargeImageError, UnreadableImageError
from frostline.data.naming import visible
from frostline.data.sources.folders import instead
from frostline.data.sources.odd_endings import odd_endings, told
from frostline.data.sources.scanning import files_below
from frostline.model.model import Model
from frostline.wording.folder_notes import folder_sentence
from frostline.wording.sources import left_out_words


def predict_images(
    run: Path,
    images: list[Path],
    *,
    as_json: bool,
    as_csv: bool,
    top: int,
    max_pixels: int,
    at_most_wrong: float | None = None,
    shares: str | None = None,
) -> None:
    """Print labels and probabilities; images that cannot be read are named, never skipped.

    Raises InputError if both formats are asked for, a folder has no image, or no image could be
    read; SettingsError if the model cannot keep the bound on wrong answers or has no such class.

    ``at_most_wrong`` and ``shares``: as for :meth:`Model.load`.
    """
    if as_json and as_csv:
        raise InputError("Ask for --json or --csv, not both.")
    model = Model.load(run, max_pixels=max_pixels, at_most_wrong=at_most_wrong, shares=shares)
    paths = expand(images)
    results = list(zip(paths, model.predict_each(paths), strict=True))
    if as_json:
        print_json(model.classes, results)
    elif as_csv:
        print_csv(model.classes, results)
    else:
        print_table(results, top=top)
    failed = [r for _, r in results if isinstance(r, UnreadableImageError)]
    for error in failed:
        said = f"Not classified: {visible(error.path)}: {error.reason}"
        err.print(Text(said, style="yellow"))
    large = any(isinstance(error, TooLargeImageError) for error in failed)
    raised = "Larger images are read with --max-pixels, or made smaller first." if large else ""
    if len(failed) == len(results):
        raise InputError("None of the images could be read.", hint=raised)
    if raised:
        err.print(Text(raised, style="yellow"))


def expand(images: list[Path]) -> list[Path]:
    """Replace folders by the images in them, at any depth, in order of name.

    Says what a folder holds besides. What is called an image is one here: broken links and pipes
    too, which the decoder names.
    """
    found: list[Path] = []
    for path in images:
        if not path.is_dir():
            found.append(path)
            continue
        files, left_out = files_below(path, every_picture=True)
        if not files:
            raise InputError(f"The folder {path} has no image{instead(left_out)}.")
        if left_out:
            said = f"Left out of {path}: {left_out_words(told(left_out))}."
            err.print(Text(visible(said), style="yellow"))
        if (odd := odd_endings(left_out)) is not None:
            err.print(Text(folder_sentence(odd), style="yellow"))
        found += sorted(Path(file.path) for file in files)
    return found
