"""What was asked to be read as the target, and what was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from frostline.core.errors import SettingsError
from frostline.core.task import Task, TaskSetting
from frostline.data.notes import Note

#: what to call the place of a label, given its position
Place = Callable[[int], str]


@dataclass(frozen=True)
class TargetChoice:
    """What was asked for.

    - ``task``: ``"auto"`` where the source may say it.
    - ``columns``: of a table, that are predicted; the column of labels where there are none.
    - ``separator``: between the labels of one image; found out for None.
    - ``known``: outputs of a model that is judged; none where one is to be fitted.
    """

    task: TaskSetting = "auto"
    columns: tuple[str, ...] = ()
    separator: str | None = None
    known: tuple[str, ...] = ()


#: what nobody asked for anything
ANY = TargetChoice()


def refuse_columns(choice: TargetChoice, given: str) -> None:
    """Refuse columns where there are none to choose from.

    Raises SettingsError. ``given``: what was given instead of a table.
    """
    if choice.columns:
        raise SettingsError(
            f"target={','.join(choice.columns)!r} needs a table, but {given}.",
            hint="Use a DataFrame, or give the numbers or labels themselves.",
        )


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of one image.

    ``names``: those that it has. ``complete``: whether it lacks all others; if not, nothing is
    known of them.
    """

    names: frozenset[str]
    complete: bool = True

    @property
    def unknown(self) -> bool:
        """Whether nothing at all is known."""
        return not self.names and not self.complete


@dataclass
class Targets:
    """What was read, one entry an image in the list that belongs to the task.

    - ``labels``: of one class or grade; blank where it is missing.
    - ``sets``: of several labels by name.
    - ``values``: of columns: 1.0 and 0.0 for labels, or numbers; NaN for unknown.
    - ``outputs``: names in their order where the source says it: of columns, or grades.
    - ``notes``: what was understood beyond plain reading.
    """

    task: Task
    labels: list[str] = field(default_factory=list)
    sets: list[LabelSet] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    outputs: tuple[str, ...] = ()
    notes: list[Note] = field(default_factory=list)

    def entries(self) -> list[tuple[str, LabelSet | tuple[float, ...] | None]]:
        """Return the class of every image, blank without one, and what else is true of it."""
        if self.labels:
            return [(label, None) for label in self.labels]
        return [("", truth) for truth in self.sets or self.values]
