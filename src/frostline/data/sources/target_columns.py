"""Which columns of a table are predicted, and as what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from frostline.core.errors import InputError, SettingsError, did_you_mean
from frostline.data.naming import printable, shorten
from frostline.data.notes import TargetColumns
from frostline.data.sources.columns import (
    Roles,
    Table,
    columns_are,
    comparable,
    position_of,
    roles_of,
)
from frostline.data.sources.mark_columns import holds_marks, is_unknown, read_marks
from frostline.data.sources.number_columns import holds_numbers, meant_as_numbers, read_numbers
from frostline.data.sources.read_targets import read_targets
from frostline.data.sources.target_choice import TargetChoice, Targets


def roles_and_targets(
    title: str, table: Table, group_by: str | None, choice: TargetChoice
) -> tuple[Roles, list[int]]:
    """Return which columns are what, and those that are predicted; none where one is the label.

    Raises what :func:`roles_of` does, and SettingsError for a column that was asked for and does
    not exist, is there twice, or holds something else.
    """
    if choice.columns or _all_known(table, choice):
        roles = roles_of(title, table, group_by, labelled=False)
        taken = {
            roles.path: "paths",
            roles.split: "parts",
            roles.group: "groups",
            roles.weight: "weights",
        }
        return roles, asked_columns(title, table, choice, taken)
    if choice.task == "regression":
        _need_known(title, table, choice)
    if choice.task != "multilabel":
        return roles_of(title, table, group_by), []
    if position_of(title, [comparable(name) for name in table.names], "label") is not None:
        return roles_of(title, table, group_by), []
    roles = roles_of(title, table, group_by, labelled=False)
    others = {roles.path, roles.split, roles.group, roles.weight}
    found = [i for i, name in enumerate(table.names) if i not in others and comparable(name)]
    if choice.known:
        found = [i for i in found if printable(table.names[i].strip()) in choice.known]
    found = [i for i in found if table.flat(i) and holds_marks(table.cells(i))]
    if not found:
        raise InputError(
            columns_are(title, table),
            hint="Add a column 'labels', or name columns of 0 and 1 by --target a,b.",
        )
    return roles, found


def read_target_columns(
    title: str, table: Table, columns: Sequence[int], choice: TargetChoice
) -> Targets:
    """Return what columns say of every row.

    Columns of 0 and 1 are labels, other numbers are numbers, and a single column of anything else
    is a column of labels. Raises InputError if they are of different kinds, or hold something else
    than the task says; SettingsError for several columns where the task takes one.

    ``title``: what to call the table in messages. ``columns``: their positions.
    """
    names = tuple(printable(table.names[column].strip()) for column in columns)
    kinds = [_kind(table, column) for column in columns]
    if not choice.known:
        _refuse_blank(title, table, columns, names)
    task = choice.task
    if task == "auto" and choice.separator is None:
        task = _task_of(title, names, kinds) or task
        if kinds == ["other"] and table.flat(columns[0]):
            _refuse_numbers_with_others(title, table, columns[0], names[0])
    if task == "regression":
        read = [
            read_numbers(f"{title}: column {name!r}", table.cells(column), table.place)
            for name, column in zip(names, columns, strict=True)
        ]
        rows = list(zip(*read, strict=True))
        note = TargetColumns("regression", names)
        return Targets("regression", values=rows, outputs=names, notes=[note])
    if task == "multilabel" and (len(columns) > 1 or kinds == ["marks"]):
        found = read_marks(title, table, columns)
        found.notes.append(TargetColumns("multilabel", names))
        return found
    if len(columns) > 1:
        raise SettingsError(
            f"task={task!r} takes one target column, not {len(columns)}.",
            hint="For columns of 0 and 1 use task='multilabel', for numbers task='regression'.",
        )
    return read_targets(
        table.cells(columns[0]),
        f"{title}: column {names[0]!r}",
        lambda i: f"{title}, {table.place(i)}",
        choice=choice,
        column=names[0],
        order=table.order(columns[0]),
    )


def _refuse_blank(title: str, table: Table, columns: Sequence[int], names: Sequence[str]) -> None:
    """Refuse columns that say nothing of any image. Raises InputError."""
    for name, column in zip(names, columns, strict=True):
        if all(map(is_unknown, table.cells(column))):
            raise InputError(
                f"{title}: column {name!r} is blank in every row, so there is nothing to learn.",
                hint="Leave it out of --target, or look at the table.",
            )


def _refuse_numbers_with_others(title: str, table: Table, column: int, name: str) -> None:
    """Refuse numbers of which some have a unit, a comma, or are none.

    Raises InputError. As classes nearly every image would have one of its own.
    """
    cells = table.cells(column)
    if not meant_as_numbers(cells):
        return
    try:
        read_numbers(f"{title}: column {name!r}", cells, table.place)
    except InputError as error:
        hint = f"{error.hint} If these are classes: --task single."
        raise InputError(error.message, hint=hint) from None


def _kind(table: Table, column: int) -> Literal["marks", "numbers", "other"]:
    if not table.flat(column):
        return "other"
    cells = table.cells(column)
    if holds_marks(cells):
        return "marks"
    return "numbers" if holds_numbers(cells) else "other"


def _task_of(
    title: str, names: Sequence[str], kinds: Sequence[str]
) -> Literal["multilabel", "regression"] | None:
    """Return what columns are for, None for one that is to be read as labels."""
    of_kind: dict[str, list[str]] = {}
    for name, kind in zip(names, kinds, strict=True):
        of_kind.setdefault(kind, []).append(name)
    if len(of_kind) == 1 and kinds[0] != "other":
        return "multilabel" if kinds[0] == "marks" else "regression"
    if len(names) == 1:
        return None
    if "other" in of_kind:
        raise InputError(
            f"{title}: of the target columns, {_shown(of_kind['other'])} hold neither 0 and 1 nor "
            "other numbers.",
            hint="Name columns of 0 and 1, columns of numbers, or one column of labels.",
        )
    raise InputError(
        f"{title}: of the target columns, {_shown(of_kind['marks'])} hold 0 and 1, and "
        f"{_shown(of_kind['numbers'])} other numbers.",
        hint="Name columns of one kind, or say --task regression to read all as numbers.",
    )


def _need_known(title: str, table: Table, choice: TargetChoice) -> None:
    """Refuse a table that lacks numbers which a model predicts, unless its labels are the only one.

    Raises InputError.
    """
    if not choice.known:
        return
    label = position_of(title, [comparable(name) for name in table.names], "label")
    if label is not None and len(choice.known) == 1 and _kind(table, label) != "other":
        return
    names = {printable(name.strip()) for name in table.names}
    missing = [repr(name) for name in choice.known if name not in names]
    raise InputError(
        f"{title} has no column {shorten(missing)}, which the model predicts.",
        hint=f"It has {shorten([name.strip() or '(unnamed)' for name in table.names], limit=12)}.",
    )


def _all_known(table: Table, choice: TargetChoice) -> tuple[str, ...]:
    """Return the outputs of a model where each has a column of its name."""
    if not choice.known or choice.task not in ("multilabel", "regression"):
        return ()
    names = {printable(name.strip()) for name in table.names}
    return choice.known if set(choice.known) <= names else ()


def asked_columns(
    title: str, table: Table, choice: TargetChoice, taken: Mapping[int | None, str]
) -> list[int]:
    """Return where columns are that were asked for, or that bear the names of a model's outputs.

    Raises SettingsError for one that does not exist, is there twice, or holds something else.

    ``taken``: what columns hold that cannot be predicted.
    """
    names = choice.columns or _all_known(table, choice)
    known = [comparable(name) for name in table.names]
    table_is = title[:1].lower() + title[1:]
    found = []
    for name in names:
        exact = [i for i, own in enumerate(table.names) if own.strip() == name.strip()]
        at = exact or [i for i, own in enumerate(known) if own == comparable(name)]
        if not at:
            raise SettingsError(
                f"There is no column {name!r} to predict; {table_is} has "
                f"{shorten([own.strip() or '(unnamed)' for own in table.names], limit=12)}.",
                hint=did_you_mean(comparable(name), known),
            )
        if len(at) > 1:
            raise SettingsError(
                f"{title} has more than one column {name!r}.", hint="Rename all but one."
            )
        if at[0] in taken:
            raise SettingsError(
                f"Column {name!r} of {table_is} holds the {taken[at[0]]}, so it cannot be "
                "predicted.",
                hint="Name the columns of what is to be learned by --target.",
            )
        found.append(at[0])
    return found


def _shown(names: Sequence[str]) -> str:
    return shorten([repr(name) for name in names])
