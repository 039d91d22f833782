"""Take labels that people gave: checked, kept in a table, and what they brought."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from frostline.compute.torch_context import torch_context
from frostline.core.cancel import CancelToken
from frostline.core.errors import (
    BackboneError,
    InputError,
    MissingExtraError,
    UnreadableImageError,
    did_you_mean,
)
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.core.suggestion_record import Labelling, RealisedGain
from frostline.core.threads import blas_threads
from frostline.data.decoding.image_refs import content_of
from frostline.data.naming import counted, shorten
from frostline.fitting.feedback_pictures import with_pictures
from frostline.fitting.run_pool import LabelledRun, fit_view, open_run_pool, read_labelled_run
from frostline.run.answers import GivenAnswer, read_answers
from frostline.run.label_table import CORRECTIONS, LABELS, Answer, LabelTable, read_label_table
from frostline.stats.gain_forecast import forecast_gain
from frostline.stats.intervals import paired_difference
from frostline.wording.progress import worded

#: answers that an error names
_NAMED = 3


def label(
    run: str | Path,
    answers: str | Path | None = None,
    *,
    output: str | Path | None = None,
    new_classes: Sequence[str] = (),
    undo: bool = False,
    measure: bool = True,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Labelling:
    """Take labels that people gave to images, and keep them in a table beside the run.

    All answers of a file are checked before one is taken; the table is written whole or not at
    all, and every call is one step that can be undone.

    Parameters
    ----------
    run : str or Path
        Folder of a finished run of one class or grade an image.
    answers : str, Path or None
        The ``.json`` of a contact sheet, ``suggestions.csv`` with its column ``label`` filled in,
        or the ``feedback.jsonl`` of a service, whose pictures are kept beside it, are images of the
        run, or lie in the folder ``images`` beside it. Relative paths start from its folder.
    output : str, Path or None, default=None
        The table of labels; for None ``labels.csv`` in the run folder, or ``corrections.csv`` for
        answers about images of the run. It has the columns path, label and digest, as
        :func:`frostline.update` reads them.
    new_classes : sequence of str, default=()
        Classes that the run does not know and that are meant.
    undo : bool, default=False
        Take the last step back, in place of taking answers.
    measure : bool, default=True
        Say what the answers brought, by a head in closed form on stored features.
    progress : Progress or None, default=None
    cancel : CancelToken or None, default=None
        Ends the work early, from another thread; what was taken is kept.

    Raises
    ------
    InputError
        If a file is no such one; an image is missing or has changed; one has two answers; a class
        is unknown; there is no answer, or nothing to undo.
    RunFolderError
        If there is no finished run, or the table cannot be written.
    SettingsError
        If an image of the run may have several labels, or numbers.
    """
    if undo == (answers is not None):
        raise InputError(
            "Give a file of answers, or ask to undo the last one, not both."
            if undo
            else "There are no answers to take.",
            hint="frostline label RUN ANSWERS, or frostline label RUN --undo.",
        )
    known = read_labelled_run(Path(run), what="frostline label")
    if undo or answers is None:
        table = _last_changed(known, output)
        before = table.undone()
        before.write()
        step = len(table.steps[-1]["after"])
        return Labelling(table=str(table.path), labels=len(before.answers), undone=step)
    given = read_answers(Path(answers))
    below = Path(answers).expanduser().absolute().parent
    checked = _checked(with_pictures(given.answers, known, below), below)
    if not checked:
        raise InputError(
            f"{answers} has no answer; {counted(given.skipped, 'image')} without one.",
            hint="Fill in the column 'label', or answer in the sheet and save.",
        )
    kinds = _by_kind(checked, known, str(answers), mixed=given.mixed and output is None)
    tables = {
        of_run: read_label_table(_table_path(known, output, corrections=of_run)) for of_run in kinds
    }
    _check_classes(given.answers, known, tables.values(), {*new_classes, *given.new_classes})
    taken = {
        of_run: _taken(known, tables[of_run], kinds[of_run], of_run=of_run) for of_run in kinds
    }
    # the labels of new images tell what answers brought, where there are some
    lead = min(taken)
    found, after = taken[lead]
    found = replace(found, skipped=given.skipped, of_run=taken[True][0] if len(taken) > 1 else None)
    if not measure or not any(one.label for one in _changed(tables[lead], kinds[lead])):
        return found
    runtime = Runtime.of(Settings(device="cpu"), progress=worded(progress), cancel=cancel)
    try:
        with torch_context(runtime), blas_threads(runtime.threads):
            return replace(found, realised=_realised(known, tables[lead], after, runtime))
    except (BackboneError, MissingExtraError, InputError) as error:
        return replace(found, untold=str(error))


def _taken(
    run: LabelledRun, table: LabelTable, given: Sequence[Answer], *, of_run: bool
) -> tuple[Labelling, LabelTable]:
    """Write a table with some answers; say what became of them, and return the table."""
    changed = _changed(table, given)
    after = table.with_answers(changed) if changed else table
    after.write()
    labels_of_run = {one.digest: one.label for one in run.known}
    found = Labelling(
        table=str(table.path),
        taken=len(changed),
        same=len(given) - len(changed),
        corrected=sum(
            bool(one.label) and labels_of_run.get(one.digest, one.label) != one.label
            for one in changed
        ),
        aside=sum(not one.label for one in changed),
        labels=len(after.answers),
        corrections=of_run,
        new_classes=tuple(
            sorted({one.label for one in after.answers.values()} - set(run.card.classes))
        ),
    )
    return found, after


def _changed(table: LabelTable, given: Sequence[Answer]) -> list[Answer]:
    return [one for one in given if one != _held(table, one)]


def _table_path(run: LabelledRun, output: str | Path | None, *, corrections: bool) -> Path:
    if output is not None:
        return Path(output)
    return run.path / (CORRECTIONS if corrections else LABELS)


def _last_changed(run: LabelledRun, output: str | Path | None) -> LabelTable:
    """Return the table whose last step is the latest."""
    paths = {_table_path(run, output, corrections=kind) for kind in (False, True)}
    there = [path for path in paths if path.is_file()]
    tables = [read_label_table(path) for path in there]
    with_steps = [table for table in tables if table.steps]
    if not with_steps:
        raise InputError(f"There is nothing to undo in {run.path if output is None else output}.")
    return max(with_steps, key=lambda table: table.path.stat().st_mtime_ns)


def _by_kind(
    given: Sequence[Answer], run: LabelledRun, name: str, *, mixed: bool
) -> dict[bool, list[Answer]]:
    """Return answers about other images under False, about images of the run under True.

    Raises InputError if a file has both and must not (``mixed``).
    """
    known = {one.digest for one in run.known}
    found: dict[bool, list[Answer]] = {}
    for one in given:
        found.setdefault(one.digest in known, []).append(one)
    if len(found) > 1 and not mixed:
        raise InputError(
            f"{name} has {counted(len(found[True]), 'answer')} about images of the run and "
            f"{len(found[False]):,} about others.",
            hint="Give them in two files: an update adds the ones and relabels the others.",
        )
    return dict(sorted(found.items()))


def _held(table: LabelTable, one: Answer) -> Answer | None:
    return table.answers.get(one.digest) or table.aside.get(one.digest)


def _checked(given: Iterable[GivenAnswer], below: Path) -> list[Answer]:
    """Return answers about images that are there and unchanged, each image once."""
    found: dict[str, tuple[GivenAnswer, Answer]] = {}
    missing: list[GivenAnswer] = []
    changed: list[GivenAnswer] = []
    for one in given:
        path = (below / Path(one.path).expanduser()).absolute()
        if not path.is_file():
            missing.append(one)
            continue
        try:
            digest = content_of(path, name=one.path).digest
        except UnreadableImageError as error:
            raise InputError(f"{one.place}: {error}") from None
        if one.digest and digest != one.digest:
            changed.append(one)
            continue
        answer = Answer(str(path), one.label, digest)
        earlier = found.setdefault(digest, (one, answer))
        if earlier[1].label != answer.label:
            raise InputError(
                f"One image has two answers: {earlier[0].place} says "
                f"{_named(earlier[1].label)}, {one.place} says {_named(answer.label)}.",
                hint="Leave one of them out.",
            )
    for rows, said in ((missing, "does not exist"), (changed, "is another image by now")):
        if rows:
            others = f", and so do {len(rows) - 1:,} more" if len(rows) > 1 else ""
            raise InputError(
                f"{rows[0].place}: {rows[0].path} {said}{others}.",
                hint="Nothing was taken. Put the images back, or leave their answers out.",
            )
    return [answer for _, answer in found.values()]


def _named(label: str) -> str:
    return repr(label) if label else "none of the classes"


def _check_classes(
    given: Iterable[GivenAnswer],
    run: LabelledRun,
    tables: Iterable[LabelTable],
    meant: set[str],
) -> None:
    """Refuse classes that nobody knows: a slip of the pen would become a class of one image."""
    before = (one.label for table in tables for one in table.answers.values())
    known = {*run.card.classes, *before, *meant}
    unknown = {one.label: one for one in reversed(list(given)) if one.label not in {*known, ""}}
    if not unknown:
        return
    name, first = next(iter(sorted(unknown.items())))
    others = [other for other in sorted(unknown) if other != name]
    more = f" So are {shorten(others, limit=_NAMED)}." if others else ""
    hint = did_you_mean(name, run.card.classes)
    raise InputError(
        f"{first.place}: {name!r} is none of the {len(run.card.classes)} classes of the run.{more}",
        hint=f"{hint} If it is meant, add --new-class {name!r}.".strip(),
    )


def _realised(
    run: LabelledRun, before: LabelTable, after: LabelTable, runtime: Runtime
) -> RealisedGain:
    """Compare heads with and without the answers on the images that the run had before."""
    known = read_labelled_run(run.path, after.answers.values(), what="frostline label")
    opened = open_run_pool(known, None, runtime)
    digests = opened.catalog.digests
    answered = {d for d, a in after.answers.items() if before.answers.get(d) != a}
    new = np.array([digests[at] in answered for at in opened.labelled])
    old = ~new
    first = fit_view(opened, old, opened.labelled[new])
    whole = fit_view(opened, np.ones(len(old), dtype=bool), np.empty(0, dtype=np.int64))
    right_before, right_after = first.past.right, whole.past.right[old]
    mistaken = first.head.mistaken(first.others)
    _, error = paired_difference(right_after, right_before, groups=opened.groups[old])
    return RealisedGain(
        images=int(old.sum()),
        before=float(right_before.mean()),
        after=float(right_after.mean()),
        margin=2.0 * error,
        forecast=forecast_gain(first.past, mistaken, 1.0 - first.past.accuracy).gain,
    )
