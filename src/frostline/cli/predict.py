"""Classify images with a fitted model; PyTorch is not needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.text import Text

from frostline.cli.console import TerminalProgress, err
from frostline.cli.prediction_files import check_output, write_predictions
from frostline.cli.prediction_formats import Result, print_csv, print_json, print_table
from frostline.core.errors import InputError, TooLargeImageError, UnreadableImageError
from frostline.core.settings import Settings
from frostline.data.naming import counted, visible
from frostline.data.sources.folders import instead
from frostline.data.sources.odd_endings import odd_endings, told
from frostline.data.sources.scanning import files_below
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.wording.folder_notes import folder_sentence
from frostline.wording.sources import left_out_words


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be told of images, and how.

    ``output``: a file in place of the terminal; its ending says which kind. ``embeddings``: whether
    what the head reads is told as well. ``nearest``: how many training images are named for each;
    None for none.
    """

    as_json: bool = False
    as_csv: bool = False
    top: int = 3
    output: Path | None = None
    embeddings: bool = False
    nearest: int | None = None

    def check(self) -> None:
        """Refuse what contradicts itself; raises InputError."""
        ways = {"--json": self.as_json, "--csv": self.as_csv, "-o": self.output is not None}
        chosen = [way for way, is_so in ways.items() if is_so]
        if len(chosen) > 1:
            raise InputError(f"Ask for {' or '.join(chosen)}, not both.")
        if self.output is not None:
            check_output(self.output, embeddings=self.embeddings)
        elif self.embeddings and not self.as_json:
            place = "CSV has no column" if self.as_csv else "The table has no room"
            raise InputError(
                f"{place} for a vector.",
                hint="Add --json, or write --embeddings to a file: -o FILE.parquet or FILE.jsonl.",
            )


def predict_images(
    run: Path,
    images: list[Path],
    wanted: Wanted,
    *,
    max_pixels: int,
    at_most_wrong: float | None = None,
    shares: str | None = None,
) -> None:
    """Print or write labels and probabilities; images that cannot be read are named, never skipped.

    Raises InputError if several formats are asked for, a folder has no image, no image could be
    read, or the model has no embedding; SettingsError if the model cannot keep the bound on wrong
    answers or has no such class.

    ``at_most_wrong`` and ``shares``: as for :meth:`Model.load`.
    """
    wanted.check()
    model = Model.load(run, max_pixels=max_pixels, at_most_wrong=at_most_wrong, shares=shares)
    paths = expand(images)
    results = _predicted(run, model, paths, wanted)
    if wanted.output is not None:
        write_predictions(wanted.output, model.classes, results)
        err.print(Text(visible(f"Wrote {wanted.output}."), style="dim"))
    elif wanted.as_json:
        print_json(model.classes, results)
    elif wanted.as_csv:
        print_csv(model.classes, results)
    else:
        print_table(results, top=wanted.top)
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


def _predicted(run: Path, model: Model, paths: list[Path], wanted: Wanted) -> list[Result]:
    """Predict, and name the training images that each is most like where that was asked for."""
    if wanted.nearest is None:
        predicted = model.predict_each(paths, embeddings=wanted.embeddings)
        return list(zip(paths, predicted, strict=True))
    from frostline.fitting.pipeline import runtime_of
    from frostline.fitting.training_images import open_training_images, with_nearest

    runtime = runtime_of(Settings(), TerminalProgress(), None)
    known = open_training_images(run, model, runtime)
    known.check(wanted.nearest)
    if known.missing:
        said = f"{counted(known.missing, 'training image')} neither stored nor where it was: "
        err.print(Text(f"Not compared: {said}only the others are named.", style="yellow"))
    results: list[Result] = list(
        zip(paths, model.predict_each(paths, embeddings=True), strict=True)
    )
    named = with_nearest(results, known, wanted.nearest)
    told: list[Result] = []
    for place, (path, one) in enumerate(results):
        if isinstance(one, Prediction):
            vector = one.embedding if wanted.embeddings else None
            told.append((path, replace(one, nearest=named[place], embedding=vector)))
        else:
            told.append((path, one))
    return told


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
