"""Why a plan is as it is, and how every option ended: kinds and numbers, no sentences.

What they say to people is in ``frostline.wording``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Fate(StrEnum):
    """How an option ended.

    ``NOT_INSTALLED`` trains layers where PyTorch is not installed, ``BEHIND`` was left out after
    the first rung of the race, ``NO_CLEAR_GAIN`` lost it, and ``SCORED`` is a head that
    leave-one-out scored without any race.
    """

    CHOSEN = "chosen"
    TO_BE_RACED = "to_be_raced"
    SCORED = "scored"
    TOO_EXPENSIVE = "too_expensive"
    NOT_INSTALLED = "not_installed"
    BEHIND = "behind"
    NO_CLEAR_GAIN = "no_clear_gain"
    AVERAGED = "averaged"


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class AskedFor(_Fact):
    """The user asked for a strategy."""

    kind: Literal["asked_for"] = "asked_for"
    strategy: str


class FrozenOnly(_Fact):
    """The effort allows frozen features only."""

    kind: Literal["frozen_only"] = "frozen_only"


class FewPerClass(_Fact):
    """Too few images in the median class to train layers on."""

    kind: Literal["few_per_class"] = "few_per_class"
    per_class: float


class LittleToGain(_Fact):
    """Frozen features reach an accuracy, or another score, that leaves little to gain."""

    kind: Literal["little_to_gain"] = "little_to_gain"
    accuracy: float


class NotWorthRacing(_Fact):
    """A race costs more than it is likely to gain.

    ``gain`` is the accuracy, in [0, 1], that a race has gained on average on other data as large
    and as far from the source; ``seconds`` the nominal time of a race and of the training after it.
    """

    kind: Literal["not_worth_racing"] = "not_worth_racing"
    gain: float
    seconds: float


class NothingToRace(_Fact):
    """The evidence speaks against every option that trains layers."""

    kind: Literal["nothing_to_race"] = "nothing_to_race"


class ToBeRaced(_Fact):
    """Options that train layers are to race against the best head.

    ``averaged_below``: with fewer images than this, as here, the best of them are averaged after
    the race; None where one of them will be taken. ``gain`` and ``seconds``: as in
    :class:`NotWorthRacing`; None in plans from before they were known.
    """

    kind: Literal["to_be_raced"] = "to_be_raced"
    averaged_below: int | None = None
    gain: float | None = None
    seconds: float | None = None


class ExpectedOfRace(_Fact):
    """What was expected of the race that was run: as in :class:`NotWorthRacing`."""

    kind: Literal["expected_of_race"] = "expected_of_race"
    gain: float
    seconds: float


class NotInstalled(_Fact):
    """Options that would have raced need an extra that is not installed; ``names`` are theirs."""

    kind: Literal["not_installed"] = "not_installed"
    extra: str
    names: list[str]


class RaceScore(_Fact):
    """One option in the race: mean probability of the true class, and accuracy, in [0, 1].

    Under another metric, the scores of its probabilities and of its answers.
    """

    name: str
    p_true: float
    accuracy: float


class OnlyOption(_Fact):
    """Nothing else was left in the race."""

    kind: Literal["only_option"] = "only_option"
    name: str


class WonRace(_Fact):
    """The winner gave the truth ``gain`` more probability than the next, with paired ``error``.

    Under another metric than accuracy ``gain`` is of the score of the probabilities.
    """

    kind: Literal["won_race"] = "won_race"
    n_images: int
    winner: RaceScore
    second: RaceScore
    gain: float
    error: float


class SimplerOneTaken(_Fact):
    """The leading option's ``gain`` over a simpler one is not clear, so that one was taken."""

    kind: Literal["simpler_one_taken"] = "simpler_one_taken"
    n_images: int
    taken: RaceScore
    leading: RaceScore
    gain: float
    error: float


class Averaged(_Fact):
    """The best ``n_members`` options are averaged, as fewer than ``few`` images can't rank them.

    ``log_loss`` is that of the average on ``n_images`` left-out images, in nats, each with the
    weights that the others give; ``log_loss_alone`` that of ``leading``. ``weights`` are those of
    the members, the leading one first; empty in plans from before there were any.
    """

    kind: Literal["averaged"] = "averaged"
    few: int
    n_members: int
    n_images: int
    log_loss: float
    leading: str
    log_loss_alone: float
    weights: list[float] = []


class Given(_Fact):
    """The plan was given, not decided."""

    kind: Literal["given"] = "given"


Reason = Annotated[
    AskedFor
    | FrozenOnly
    | FewPerClass
    | LittleToGain
    | NotWorthRacing
    | NothingToRace
    | ToBeRaced
    | ExpectedOfRace
    | NotInstalled
    | OnlyOption
    | WonRace
    | SimplerOneTaken
    | Averaged
    | Given,
    Field(discriminator="kind"),
]


class RunnerUp(_Fact):
    """The best option that trains layers, where a head on frozen features won.

    ``behind`` is the accuracy that it lost to the head, ``gain_per_doubling`` what training gains
    on heads with every doubling of the images. ``more_per_class`` images more in every class are
    about what it lacks; None where no number in reach would do.
    """

    name: str
    behind: float
    gain_per_doubling: float
    more_per_class: int | None
