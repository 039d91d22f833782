"""Take answers, in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.cli.streams import write_json
from frostline.core.cancel import CancelToken
from frostline.data.naming import visible
from frostline.fitting.label import label
from frostline.wording.suggesting import labelling_sentences, next_sentence


def label_images(
    run: Path,
    answers: Path | None,
    *,
    output: Path | None,
    new_classes: list[str],
    undo: bool,
    measure: bool,
    as_json: bool,
    cancel: CancelToken,
) -> None:
    """Take answers, or take the last ones back, and say what they brought.

    Raises what :func:`frostline.label` does.
    """
    found = label(
        run,
        answers,
        output=output,
        new_classes=new_classes,
        undo=undo,
        measure=measure,
        progress=TerminalProgress(),
        cancel=cancel,
    )
    if as_json:
        write_json(found.to_json())
        return
    for sentence in labelling_sentences(found):
        out.print(Text(visible(sentence)))
    if found.labels and not found.undone:
        err.print(Text(visible(next_sentence(str(run), found))))
