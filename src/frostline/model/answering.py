"""From a model's probabilities to what is told of an image: class, set, whether to abstain."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frostline.core.arrays import BoolArray, FloatArray, Truth
from frostline.core.errors import SettingsError, did_you_mean
from frostline.model.label_answers import LabelAnswers, OfLabel
from frostline.model_format.card import ModelCard
from frostline.stats.abstention import NeverSure
from frostline.stats.conformal import TooFewCases
from frostline.stats.label_shift import estimated_shares, reweighted
from frostline.targets.protocol import Target

#: shares that are estimated from the images at hand
AUTO = "auto"
#: shares of classes as text or by class; ``auto`` estimates them
SharesLike = str | Mapping[str, float]
#: shares that are all given may miss 1 by so much
_OFF = 0.01


@dataclass(frozen=True)
class Answered:
    """What is told of n images.

    ``probabilities``, shape (n, C): for the shares of classes that were asked for. ``decided``:
    encoded as the truth is. ``sets``, shape (n, C), and ``abstain``, shape (n,): None where the
    model does not tell. ``labels``: the same of each of several labels, with the answers absent and
    present. ``intervals``, shape (n, C, 2): ends around numbers, NaN where there are none.
    """

    probabilities: FloatArray
    decided: Truth
    sets: BoolArray | None
    abstain: BoolArray | None
    labels: tuple[OfLabel, ...] = ()
    intervals: FloatArray | None = None


class Answering:
    """How answers follow from the probabilities of a model.

    ``at_most_wrong``: share of answers that may be wrong, in (0, 1); None takes the bound of the
    card. ``shares``: of the classes among the images to come, by class or as text such as
    ``a=0.02,b=0.98``; ``auto`` estimates them from the images at hand. Raises SettingsError if a
    class is unknown, a number out of range, or the model cannot keep the bound.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        at_most_wrong: float | None = None,
        shares: SharesLike | None = None,
    ) -> None:
        self._card = card
        self.estimates = shares == AUTO
        self._before = np.array(card.shares)
        if shares is not None and not self.target.exclusive:
            raise SettingsError(
                "Shares of classes are for one class an image, not for several labels or numbers.",
                hint="Leave them out.",
            )
        if shares is not None and not card.shares:
            raise SettingsError(
                "The model does not say for which shares of its classes it was calibrated, so none "
                "can be given.",
                hint="Fit it again with this version.",
            )
        self.shares = (
            None
            if shares is None or self.estimates
            else read_shares(shares, card.classes, self._before)
        )
        self.at_most_wrong = card.at_most_wrong if at_most_wrong is None else at_most_wrong
        self._labels = LabelAnswers(card.label_sets, card.label_abstention, self.at_most_wrong)
        self._least = None if self._labels.tells else self._confidence_needed()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self._card.classes

    @property
    def target(self) -> Target:
        """What the outputs mean."""
        return self._card.target

    @property
    def abstains(self) -> bool:
        """Whether images may be left without an answer."""
        return self._least is not None or self._labels.abstains

    def with_estimated(self, probabilities: FloatArray) -> Answering:
        """Return the same with the shares that the images at hand, (n, C), speak for."""
        found = estimated_shares(probabilities, self._before)
        by_class = dict(zip(self.classes, found.tolist(), strict=True))
        return Answering(self._card, at_most_wrong=self.at_most_wrong, shares=by_class)

    def of(self, probabilities: FloatArray) -> Answered:
        """Answer for probabilities (n, C) as the model computes them.

        Sets come from these, whatever the shares: what is promised of a class holds for its images,
        however many there are.
        """
        told = probabilities
        if self.shares is not None:
            told = reweighted(probabilities, self._before, self.shares)
        decided = self._card.decide(told)
        if not self.target.exclusive:
            return self._of_values(told, decided)
        sets, least = self._card.sets, self._least
        if sets is None and least is None:
            return Answered(told, decided, None, None)
        labels = np.asarray(decided, dtype=np.int64)
        confidence = told[np.arange(len(labels)), labels]
        return Answered(
            told,
            decided,
            None if sets is None else sets.of(probabilities, labels),
            None if least is None else confidence < least[labels],
        )

    def foremost(self, row: FloatArray) -> int:
        """Return the output that an answer is about, where only one can be shown.

        Of several labels the likeliest that is given, else the likeliest; of numbers the first.
        ``row``, shape (C,).
        """
        if self.target.link_name == "identity":
            return 0
        found = self.of(row[None])
        if self.target.exclusive:
            return int(found.decided[0])
        # what is given comes first, though another may be likelier
        sure = zip(found.decided[0] == 1.0, found.probabilities[0], strict=True)
        return max(enumerate(sure), key=lambda one: tuple(one[1]))[0]

    def _of_values(self, told: FloatArray, decided: Truth) -> Answered:
        intervals = self._card.intervals
        return Answered(
            told,
            decided,
            None,
            None,
            self._labels.of(told, decided),
            None if intervals is None else intervals.of(told),
        )

    def _confidence_needed(self) -> FloatArray | None:
        """Return the confidence from which each class is answered, (C,); None where all are."""
        asked = self.at_most_wrong
        if asked is None:
            return None
        if not 0.0 < asked < 1.0:
            raise SettingsError(f"at_most_wrong must lie between 0 and 1, not {asked}.")
        if self.shares is not None or self.estimates:
            # left-out images tell nothing of another mixture; each answer must be sure by itself
            return np.full(len(self.classes), 1.0 - asked)
        if self.target.link_name == "identity":
            raise SettingsError(
                "A bound on wrong answers is for classes and labels, not for numbers.",
                hint="How far off a number may be is told by its interval.",
            )
        abstention = self._card.abstention
        if abstention is None:
            raise SettingsError(
                "The model does not know from which confidence on how many answers are wrong, so "
                f"it cannot keep {asked:.2%}.",
                hint="It was made by an earlier version, or no image was left out of its training.",
            )
        found = abstention.thresholds(asked)
        if isinstance(found, TooFewCases):
            least = _rounded_up(1 / (found.found + 1))
            raise SettingsError(
                f"At most {asked:.2%} wrong takes {found.needed:,} images left out of training; "
                f"this model has {found.found:,}.",
                hint=f"At most {least} is the least that so many could show.",
            )
        if isinstance(found, NeverSure):
            raise SettingsError(
                f"At most {asked:.2%} wrong cannot be kept: even the surest answers are expected "
                f"to be wrong for {found.lowest:.2%}.",
                hint=f"Ask for {_rounded_up(found.lowest)} or more, or fit with more images.",
            )
        return found


def read_shares(given: SharesLike, classes: Sequence[str], before: FloatArray) -> FloatArray:
    """Return shares of all classes, shape (C,), that add up to 1.

    Classes that are not named share what is left as they did in training. Raises SettingsError if
    a class is unknown or named twice, or the numbers are no shares.

    ``given``: by class, as ``a=0.02,b=0.98``, or as a JSON object. ``before``, shape (C,): shares
    in training.
    """
    named = given if isinstance(given, Mapping) else _parsed(given)
    numbers: dict[str, float] = {}
    for name, share in named.items():
        if name not in classes:
            known = did_you_mean(name, classes) or f"Classes: {', '.join(classes[:10])}."
            raise SettingsError(f"The model has no class {name!r}.", hint=known)
        numbers[name] = _number(name, share)
    found = np.array([numbers.get(name, math.nan) for name in classes])
    rest, total = np.isnan(found), sum(numbers.values())
    if not numbers or total > 1.0 + _OFF or (not rest.any() and total < 1.0 - _OFF):
        raise SettingsError(
            f"The shares of classes add up to {total:.4g}, not to 1.",
            hint="Name every class, or some: the others share the rest as in training.",
        )
    left, weights = max(0.0, 1.0 - total), before[rest]
    if rest.any():
        whole = weights.sum()
        found[rest] = left * (weights / whole if whole > 0 else 1.0 / rest.sum())
    shares: FloatArray = found / found.sum()
    return shares


def _rounded_up(share: float) -> str:
    """Return a share that is not below the given one, as it can be asked for."""
    return f"{math.ceil(share * 1e4) / 1e4:g}"


def _parsed(text: str) -> dict[str, object]:
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except ValueError:
            raise SettingsError(f"shares={text!r} is no JSON object.") from None
        return dict(values)
    found: dict[str, object] = {}
    for part in text.split(","):
        # the name of a class may hold the sign itself
        name, sign, share = part.rpartition("=")
        name = name.strip()
        if not sign or not name:
            raise SettingsError(
                f"shares cannot be {text!r}: {part.strip()!r} is not CLASS=SHARE.",
                hint="Such as a=0.02,b=0.98, or JSON for names with commas, or auto.",
            )
        if name in found:
            raise SettingsError(f"The share of class {name!r} is given twice.")
        found[name] = share.strip()
    return found


def _number(name: str, share: object) -> float:
    try:
        found = float(str(share))
    except ValueError:
        found = math.nan
    if not 0.0 <= found <= 1.0:
        raise SettingsError(f"The share of class {name!r} must lie between 0 and 1, not {share!r}.")
    return found


def in_set(
    classes: Sequence[str], probabilities: FloatArray, belongs: BoolArray
) -> tuple[str, ...]:
    """Return the classes of one set, likeliest first; ``probabilities``, ``belongs``: (C,)."""
    order = np.argsort(-probabilities, kind="stable")
    return tuple(classes[i] for i in order if belongs[i])
