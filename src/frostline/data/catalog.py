"""The list of labelled images that everything else works on; plain data, no pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from frostline.core.arrays import FloatArray, IntArray, Truth
from frostline.core.errors import InputError
from frostline.core.task import Task
from frostline.data.decoding.image_refs import ImageRef
from frostline.data.notes import Combinations, Lookalikes, Note, names_hint
from frostline.data.sources.left_out import LeftOut
from frostline.targets.choose import target_of
from frostline.targets.protocol import Target

Part = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One labelled image.

    - ``path``: absolute; just the name for an image that is in no file of its own.
    - ``name``: what people see: the path below the source, with forward slashes, or the image's
      place in it. Unique in a catalog.
    - ``label``: position in ``Catalog.classes``; -1 where ``values`` say what is true.
    - ``part``: given by the source; None when the source has no parts.
    - ``group``: images of one group are never split apart; None: a group of its own.
    - ``weight``: how much it counts, above 0; only what it is to those of other images matters.
    - ``held``: the image itself, where it is in no file of its own.
    - ``values``: one for each of ``Catalog.classes``: 1.0 for a label that the image has, 0.0 for
      one that it lacks, NaN for one of which nobody knows; or numbers. Empty where there is one
      label.
    """

    path: Path
    name: str
    label: int
    part: Part | None = None
    group: str | None = None
    held: ImageRef | None = None
    weight: float = 1.0
    values: tuple[float, ...] = ()

    @property
    def origin(self) -> Path | ImageRef:
        """Where the image is read from."""
        return self.path if self.held is None else self.held

    @property
    def is_there(self) -> bool:
        """Whether there is something to read it from at this moment."""
        return self.held is not None or self.path.is_file()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that had to be left out: its name in the source, and a short reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """Labelled images of one source, and what was left out.

    Attributes
    ----------
    source : str
        The folder or table, as it was given; a description of anything else.
    classes : tuple of str
        Names of the outputs: classes and labels in natural order, grades from the lowest on,
        columns of numbers as they were named. A label is a position in it.
    digests : tuple of str
        SHA-256 of each row's content, in hexadecimal.
    left_out : tuple of LeftOut
        Entries of the source that are not read, by kind and file name ending.
    unreadable : tuple of Unreadable
        Images that were left out, with reasons.
    on_disk : bool
        Whether ``source`` is a path, so that a command can name it.
    notes : tuple of Note
        What was understood of the source beyond its plain reading.
    special : frozenset of str
        Digests of files that may hold values of more than 8 bits, or transparency.
    folders : tuple of (str, str)
        Part and name of every folder that was read as a part.
    task : Task, default="single"
        What kind of thing is predicted.
    """

    source: str
    classes: tuple[str, ...]
    rows: tuple[ImageRow, ...]
    digests: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    on_disk: bool = True
    notes: tuple[Note, ...] = ()
    special: frozenset[str] = frozenset()
    folders: tuple[tuple[Part, str], ...] = ()
    task: Task = "single"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ignored(self) -> dict[str, int]:
        """How many entries were left out for each reason, in order of name."""
        counts: Counter[str] = Counter()
        for one in self.left_out:
            counts[one.kind] += one.count
        return dict(sorted(counts.items()))

    @property
    def target(self) -> Target:
        """What kind of thing is predicted, for these outputs."""
        return target_of(self.task, len(self.classes))

    @cached_property
    def labels(self) -> IntArray:
        """Labels of all rows, shape (n,), read-only."""
        labels = np.array([row.label for row in self.rows], dtype=np.int64)
        labels.setflags(write=False)
        return labels

    @cached_property
    def truth(self) -> Truth:
        """What is true of every row, read-only.

        Labels, shape (n,), or where rows have ``values`` these, shape (n, k), with NaN for what is
        not known.
        """
        if not any(row.values for row in self.rows):
            return self.labels
        truth = np.array([row.values for row in self.rows], dtype=np.float64)
        truth.setflags(write=False)
        return truth

    @cached_property
    def said(self) -> tuple[str, ...]:
        """What is true of every row, as text."""
        return tuple(self.target.said(self.truth, self.classes))

    def in_words(self, rows: Iterable[int]) -> list[str]:
        """Return what is true of some rows, for people."""
        return self.target.in_words(self.truth[list(rows)], self.classes)

    @cached_property
    def weights(self) -> FloatArray | None:
        """Weights of all rows, shape (n,), read-only; None where all count alike."""
        weights = np.array([row.weight for row in self.rows], dtype=np.float64)
        if not len(weights) or np.all(weights == weights[0]):
            return None
        weights.setflags(write=False)
        return weights

    @cached_property
    def parts(self) -> tuple[Part | None, ...]:
        """Given parts of all rows."""
        return tuple(row.part for row in self.rows)

    def without(self, unreadable: Mapping[int, str]) -> Catalog:
        """Return a catalog without some rows, which it remembers by name.

        ``unreadable``: row position to reason.
        """
        if not unreadable:
            return self
        kept = [i for i in range(len(self.rows)) if i not in unreadable]
        dropped = (Unreadable(self.rows[i].name, unreadable[i]) for i in sorted(unreadable))
        return replace(
            self,
            rows=tuple(self.rows[i] for i in kept),
            digests=tuple(self.digests[i] for i in kept),
            unreadable=(*self.unreadable, *dropped),
        )

    def only(self, wanted: Sequence[bool]) -> Catalog:
        """Return a catalog of some rows: those for which ``wanted`` is true."""
        if all(wanted):
            return self
        kept = [i for i, want in enumerate(wanted) if want]
        return replace(
            self,
            rows=tuple(self.rows[i] for i in kept),
            digests=tuple(self.digests[i] for i in kept),
        )

    def check(self) -> None:
        """Make sure that a classifier can be fitted to these images.

        Raises InputError if no image is left, there is only one class, there are parts but no
        training part, or a class has fewer than two images to learn from.
        """
        if not self.rows:
            raise InputError(f"No readable image in {self.source}.", hint=self._first_reason())
        if not self.classes:
            raise InputError(
                f"None of the {len(self.rows)} images of {self.source} has a label.",
                hint="A blank cell of a column 'labels' means none of the labels; look whether it "
                "is the column that is meant, or name another by --target.",
            )
        if self.truth.ndim > 1:
            self._check_values()
            return
        if len(self.classes) < 2:
            raise InputError(
                f"All {len(self.rows)} images of {self.source} belong to one class, "
                f"{self.classes[0]!r}; a classifier needs at least two.",
                hint="Put every class into a folder of its own, or give it a label of its own.",
            )
        given = any(part is not None for part in self.parts)
        learn = Counter(row.label for row in self.rows if row.part in (None, "train"))
        if given and not learn:
            raise InputError(f"The training part of {self.source} has no readable image.")
        where = "training images" if given else "images"
        scarce = {name: learn[i] for i, name in enumerate(self.classes) if learn[i] < 2}
        if scarce:
            raise InputError(
                f"{_classes_are(list(scarce))} too few {where} in {self.source}: "
                + ", ".join(f"{name!r} has {count}" for name, count in list(scarce.items())[:5])
                + (" and so on" if len(scarce) > 5 else "")
                + "; every class needs at least 2.",
                hint=self._first_reason()
                or self._about_names()
                or "Add images, or remove or merge these classes.",
            )

    def _check_values(self) -> None:
        """Make sure that values tell something to learn; their target knows what."""
        learn = [i for i, part in enumerate(self.parts) if part in (None, "train")]
        if not learn:
            raise InputError(f"The training part of {self.source} has no readable image.")
        where = "the training images" if len(learn) < len(self) else "the images"
        self.target.encode(self.truth)
        self.target.check(self.truth[learn], self.classes, where=f"{where} of {self.source}")

    def _about_names(self) -> str:
        """Names that look alike or list several classes often explain why one is small."""
        about = (n for n in self.notes if isinstance(n, Lookalikes | Combinations))
        return next(map(names_hint, about), "")

    def _first_reason(self) -> str:
        """Unreadable images often explain what is missing."""
        if not self.unreadable:
            return ""
        first = self.unreadable[0]
        return f"{len(self.unreadable)} could not be read, the first: {first.path}: {first.reason}."


def _classes_are(names: Sequence[str]) -> str:
    return "1 class has" if len(names) == 1 else f"{len(names)} classes have"
