"""What a person says is right, checked against what the model can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import Truth
from frostline.core.errors import did_you_mean
from frostline.model.prediction import Prediction
from frostline.model_format.card import ModelCard
from frostline.serve.problem_details import RequestError
from frostline.wording.tasks import TASKS

#: between labels or numbers, and what stands for one that nobody knows
BETWEEN, UNKNOWN = ";", "?"


@dataclass(frozen=True)
class Correction:
    """What is right, beside what was predicted.

    - ``label``: as text; blank where it is none of the classes.
    - ``wrong``: whether the prediction differs from it.
    - ``outputs``: of several labels, those that were answered and are not right.
    """

    label: str
    wrong: bool
    outputs: frozenset[str] = frozenset()


def read_correction(text: str, card: ModelCard, prediction: Prediction) -> Correction:
    """Read what is right from the text of a form, in the form of the field ``label`` of answers.

    One class or grade, blank for none of them; labels with ``;`` between, blank for none, ``?cat``
    for one that nobody knows; a number for every column with ``;`` between, ``?`` for an unknown
    one. Raises RequestError with status 422 for anything else.
    """
    if card.target.exclusive:
        if text:
            check_names([text], card)
        return Correction(text, text != prediction.label)
    numbers = card.target.link_name == "identity"
    if numbers:
        _check_numbers(text, card)
    else:
        check_names([part.removeprefix(UNKNOWN) for part in _parts(text)], card)
    tidy = text if numbers else BETWEEN.join(_parts(text))
    truth = card.target.read([tidy], card.classes)
    said = card.target.read([prediction.label], card.classes)
    if np.isnan(truth).all():
        raise _wrong_label(f"{text!r} tells nothing", "at least one that is known")
    differs = ~np.isnan(truth) & (truth != said)
    outputs = () if numbers else _outputs(differs & (said > 0), card.classes)
    return Correction(
        card.target.said(truth, card.classes)[0], bool(differs.any()), frozenset(outputs)
    )


def _outputs(found: Truth, classes: Sequence[str]) -> list[str]:
    return [name for name, one in zip(classes, found[0].tolist(), strict=True) if one]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(BETWEEN)] if text.strip() else []


def check_names(names: Sequence[str], card: ModelCard) -> None:
    """Refuse names that are no output of the model; RequestError with status 422.

    It says which were meant perhaps.
    """
    words = TASKS[card.task]
    for name in names:
        if name not in card.classes:
            raise _wrong_label(
                f"the model has no {words.one} {name!r}. "
                f"{did_you_mean(name, card.classes)}".strip(),
                f"one of the model's {words.many}, see /model",
            )


def _check_numbers(text: str, card: ModelCard) -> None:
    parts, columns = text.split(BETWEEN), len(card.classes)
    if len(parts) != columns:
        raise _wrong_label(
            f"{text[:80]!r} has {len(parts)} numbers",
            f"{columns} with {BETWEEN} between, one for each of {', '.join(card.classes[:5])}",
        )
    for part in parts:
        if part.strip() != UNKNOWN and not _is_number(part):
            raise _wrong_label(
                f"{part[:80]!r} is no number", f"a finite number, or {UNKNOWN} for an unknown one"
            )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _wrong_label(what: str, expected: str) -> RequestError:
    return RequestError(422, "unknown_label", name="label", what=what, expected=expected)
