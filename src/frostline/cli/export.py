"""Export a finished run, in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from frostline.cli.console import err, out
from frostline.core.task import Task
from frostline.exporting.export import export
from frostline.exporting.exported import Exported, Loss
from frostline.run.run_folder import MANIFEST

#: what 8 bits keep, what differs, and the score that shows what they cost
_WORDS: dict[Task, tuple[str, str, str]] = {
    "single": ("keep their class", "probabilities", "Accuracy"),
    "ordinal": ("keep their grade", "probabilities", "Accuracy"),
    "multilabel": ("keep all their labels", "probabilities", "Mean average precision"),
    "regression": (
        "keep their numbers to a tenth of the spread",
        "numbers, as shares of the largest,",
        "R2",
    ),
}


def export_run(
    run: Path,
    output: Path,
    *,
    to: str,
    quantize: str | None,
    opset: int | None,
    images: Path | None,
    overwrite: bool,
) -> None:
    """Write the export and say what it is, how large, and how close to the model."""
    done = export(
        run, output, to=to, quantize=quantize, opset=opset, images=images, overwrite=overwrite
    )
    out.print(Text.assemble("Wrote ", (str(done.path), "bold green"), f" ({_size(done.n_bytes)})"))
    for note in done.notes:
        err.print(Text(note))
    if done.loss is None:
        out.print(Text(_agreement(done)))
    else:
        for line in _loss(done.loss, done.n_bytes, done.task):
            out.print(Text(line))


def _agreement(done: Exported) -> str:
    found = done.agreement
    what = "images" if found.real else "made-up images, as those of the run are not where they were"
    differing = _WORDS[done.task][1]
    return (
        f"Read back and compared with the model on {found.n} {what}: {differing} differ by at "
        f"most {found.largest:.1g}."
    )


def _loss(loss: Loss, n_bytes: int, task: Task) -> list[str]:
    kept, differing, _ = _WORDS[task]
    lines = [
        f"{_size(loss.bytes_before)} in float32: {loss.bytes_before / n_bytes:.1f} times smaller.",
        f"{loss.recipe[0].upper()}{loss.recipe[1:]}; {loss.layers_in_float} of {loss.layers} "
        "layers kept weights in float32.",
    ]
    whom = "other images" if loss.apart else "the same images"
    measured = (
        f"Ranges from {loss.calibrated_on} images; on {loss.judged_on} {whom}, "
        f"{loss.same_class / loss.judged_on:.1%} {kept}"
    )
    if loss.largest_difference is not None and loss.mean_difference is not None:
        measured += (
            f", and {differing} differ by at most {loss.largest_difference:.2g} "
            f"({loss.mean_difference:.1g} on average)"
        )
    return [*lines, f"{measured}.", *_accuracy(loss, task)]


def _accuracy(loss: Loss, task: Task) -> list[str]:
    """Say what 8 bits cost on new images, or why that was not measured."""
    said, score = [], _WORDS[task][2]
    if loss.accuracy is not None and loss.accuracy_before is not None:
        said.append(
            f"{score} {loss.accuracy:.1%}, before {loss.accuracy_before:.1%} "
            f"({(loss.accuracy - loss.accuracy_before) * 100:+.1f} points), on {loss.tested_on} "
            "of them that the model did not learn from."
        )
    elif loss.labelled and loss.learned_from is None:
        said.append(
            f"No {_small(score)}: whether the model learned from these images cannot be told "
            f"without the {MANIFEST} of its run."
        )
    if loss.learned_from:
        which = "these images" if loss.learned_from == loss.judged_on else "some of these images"
        said.append(
            f"The model learned from {which} and knows them by heart: no score on them is "
            "given, and of new ones more may change their answer. --images FOLDER, with labelled "
            "images that it has not seen, shows what 8 bits cost there."
        )
    return said


def _small(score: str) -> str:
    return score if score.isupper() else score[0].lower() + score[1:]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
