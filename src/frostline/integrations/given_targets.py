"""What y says, in every form that scikit-learn has for it: classes, labels, grades and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from frostline.core.arrays import FloatArray
from frostline.core.errors import InputError, SettingsError
from frostline.core.extras import needing_extras
from frostline.core.task import Task
from frostline.data.naming import printable
from frostline.data.sources.data_frames import order_in
from frostline.data.sources.in_memory import texts

with needing_extras("An estimator for scikit-learn"):
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        assert_all_finite,
        check_array,
        check_consistent_length,
        column_or_1d,
    )

#: one value an image, a matrix with a column for each output, or a list of labels an image
Form = Literal["one", "matrix", "lists"]
_LISTS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class GivenTargets:
    """What is to be learned of n images.

    - ``task``: what kind of thing it is.
    - ``labels``: of every image, as a fit takes them.
    - ``classes``, shape (k,): as they were given; ``names``: what the model calls them.
    - ``form``: in which predictions are given back.
    - ``dtype``: of predictions in a matrix.
    """

    task: Task
    labels: Any
    classes: npt.NDArray[Any]
    names: list[str]
    form: Form = "one"
    dtype: Any = None


def classes_given(
    y: Any, images: Sequence[Any], weights: FloatArray | None, *, task: str
) -> GivenTargets:
    """Return one class, one grade or several labels of every image.

    Raises InputError or ValueError for anything else. ``task``: which of them; for ``"auto"``
    matrices of 0 and 1 and lists of labels are several.
    """
    if task not in ("auto", "single", "multilabel", "ordinal"):
        hint = "For numbers there is TransferRegressor." if task == "regression" else ""
        raise SettingsError(
            f"task cannot be {task!r}: expected 'auto', 'single', 'multilabel' or 'ordinal'.",
            hint=hint,
        )
    if task in ("auto", "multilabel"):
        marks = _as_marks(y, one_column=task == "multilabel")
        if marks is not None:
            return _of_matrix(y, marks, images)
        if task == "multilabel" or _holds_lists(y):
            return _of_lists(y, images, weights)
    order = order_in(y) if task == "ordinal" else None
    labels = column_or_1d(y, warn=True)
    check_consistent_length(images, labels)
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    counted = labels if weights is None else labels[weights != 0]
    classes = np.unique(counted)
    if len(classes) < 2:
        raise InputError(
            f"All images belong to one class, {classes[0]!r}; a classifier needs at "
            "least two classes."
        )
    names = names_of(classes)
    # an image that does not count may be of no class that does
    codes = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    known: Any = [names[code] for code in codes]
    if order is not None:
        # what has an order of its own is read with it
        known = y
    return GivenTargets("ordinal" if task == "ordinal" else "single", known, classes, names)


def numbers_given(y: Any, images: Sequence[Any]) -> GivenTargets:
    """Return numbers of every image, shape (n,) or (n, k).

    Raises ValueError for what is no number, and where it is not finite. Among several columns NaN
    is a number that nobody knows.
    """
    found = check_array(
        y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y"
    )
    check_consistent_length(images, found)
    one = found.ndim == 1 or found.shape[1] == 1
    if one or np.isinf(found).any():
        assert_all_finite(found, input_name="y")
    table = found.reshape(len(found), -1)
    named = getattr(y, "columns", None)
    if named is not None:
        names = names_of(np.asarray(named))
        labels: Any = NamedColumns(names, table)
    elif one:
        names, labels = ["value"], table[:, 0].tolist()
    else:
        names, labels = [f"value {k}" for k in range(table.shape[1])], table.tolist()
    form: Form = "one" if found.ndim == 1 else "matrix"
    return GivenTargets("regression", labels, np.array(names), names, form)


def names_of(classes: npt.NDArray[Any]) -> list[str]:
    """Return a different text for every class."""
    names = [printable(text) for text in texts(classes, len(classes), "classes")]
    if all(names) and len(set(names)) == len(names):
        return names
    return [f"class {i}" for i in range(len(names))]


def marks_of(y: Any, classes: npt.NDArray[Any], form: Form) -> FloatArray:
    """Return labels as values (n, k) of 1, 0 and NaN for unknown, in the order of ``classes``.

    Raises InputError for another form than that of the fit.
    """
    found = _as_marks(y, one_column=True) if form == "matrix" else None
    if found is not None and found.shape[1] == len(classes):
        return found
    if form != "lists" or not _holds_lists(y):
        raise InputError("y has another form than the labels of the fit.")
    place = {name: i for i, name in enumerate(classes.tolist())}
    marks = np.full((len(y), len(place)), np.nan)
    for row, cell in zip(marks, y, strict=True):
        if isinstance(cell, _LISTS):
            row[:] = np.nan if any(map(_unknown, cell)) else 0.0
            row[[place[item] for item in cell if item in place]] = 1.0
    return marks


def _as_marks(y: Any, *, one_column: bool) -> FloatArray | None:
    """Return a matrix of 0, 1 and NaN as such; None for anything else."""
    if hasattr(y, "toarray"):
        y = y.toarray()
    if not hasattr(y, "ndim") and not _as_long_as_each_other(y):
        return None
    found = np.asarray(y)
    if found.dtype == object and found.ndim == 2:
        # a frame of pandas with unknown cells
        flat = [np.nan if _unknown(cell) else cell for cell in found.ravel().tolist()]
        if not all(isinstance(cell, (int, float)) for cell in flat):
            return None
        found = np.array(flat, dtype=np.float64).reshape(found.shape)
    if found.ndim != 2 or found.dtype.kind not in "biuf":
        return None
    if found.shape[1] < (1 if one_column else 2):
        return None
    values = found.astype(np.float64)
    told = values[~np.isnan(values)]
    return values if len(told) and np.all((told == 0.0) | (told == 1.0)) else None


def _as_long_as_each_other(y: Any) -> bool:
    """Whether y is a list of lists, or of arrays, that could be rows of one matrix."""
    if not isinstance(y, (list, tuple)) or not y:
        return False
    lengths = {len(row) if isinstance(row, (list, tuple, np.ndarray)) else -1 for row in y}
    return len(lengths) == 1 and -1 not in lengths


def _holds_lists(y: Any) -> bool:
    """Whether images have lists of labels; numbers in rows as long as each other are none."""
    if getattr(y, "ndim", 1) != 1 or isinstance(y, (str, bytes)) or not hasattr(y, "__iter__"):
        return False
    return any(isinstance(cell, _LISTS) for cell in y)


def _of_matrix(y: Any, marks: FloatArray, images: Sequence[Any]) -> GivenTargets:
    check_consistent_length(images, marks)
    named = getattr(y, "columns", None)
    classes = np.arange(marks.shape[1]) if named is None else np.asarray(named)
    dtype = np.asarray(y).dtype if not hasattr(y, "toarray") else y.dtype
    names = [str(i) for i in range(marks.shape[1])] if named is None else names_of(classes)
    labels: Any = marks.tolist() if named is None else NamedColumns(names, marks)
    if len(names) == 1:
        # a vector of one would be a list of one label
        said = {1.0: names, 0.0: []}
        labels = [said.get(value) for value in marks[:, 0].tolist()]
    kept = dtype if dtype.kind in "biuf" else np.dtype(np.int64)
    return GivenTargets("multilabel", labels, classes, names, "matrix", kept)


@dataclass(frozen=True)
class NamedColumns:
    """A matrix whose columns have names, as a fit reads a frame of pandas."""

    columns: list[str]
    values: FloatArray

    def to_numpy(self) -> FloatArray:
        """Return the values, shape (n, k)."""
        return self.values


def _of_lists(y: Any, images: Sequence[Any], weights: FloatArray | None) -> GivenTargets:
    cells = list(y) if hasattr(y, "__iter__") else []
    check_consistent_length(images, cells)
    for i, cell in enumerate(cells):
        if not (isinstance(cell, _LISTS) or _unknown(cell)):
            raise InputError(
                f"y[{i}] is a {type(cell).__name__}; expected a list of labels, None where they "
                "are unknown, or a matrix of 0 and 1."
            )
    counts = np.ones(len(cells)) if weights is None else weights
    labels = {
        item
        for cell, weight in zip(cells, counts, strict=True)
        if weight and isinstance(cell, _LISTS)
        for item in cell
        if not _unknown(item)
    }
    if not labels:
        raise InputError("No image has a label.")
    classes = _sorted(labels)
    names = names_of(classes)
    called = dict(zip(classes.tolist(), names, strict=True))
    sets = [_renamed(cell, called) for cell in cells]
    return GivenTargets("multilabel", sets, classes, names, "lists")


def _renamed(cell: Any, called: dict[Any, str]) -> list[str | None] | None:
    if not isinstance(cell, _LISTS):
        return None
    named: list[str | None] = [called[item] for item in cell if item in called]
    return [*named, None] if any(map(_unknown, cell)) else named


def _sorted(labels: set[Any]) -> npt.NDArray[Any]:
    """Return labels in their order, or by their text where they have none."""
    if all(isinstance(one, str) for one in labels):
        return np.array(sorted(labels))
    if all(isinstance(one, (int, float, np.number)) for one in labels):
        return np.array(sorted(labels))
    found = np.empty(len(labels), dtype=object)
    found[:] = sorted(labels, key=str)
    return found


def _unknown(cell: Any) -> bool:
    """Whether a cell is None, NaN or NA of pandas."""
    if cell is None or type(cell).__name__ == "NAType":
        return True
    return isinstance(cell, (float, np.floating)) and bool(np.isnan(cell))
