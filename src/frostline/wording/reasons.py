"""Why a plan is as it is, and how options ended, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.extras import pip_install
from frostline.core.reasons import (
    AskedFor,
    Averaged,
    ExpectedOfRace,
    Fate,
    FewPerClass,
    FrozenOnly,
    Given,
    LittleToGain,
    NothingToRace,
    NotInstalled,
    NotWorthRacing,
    OnlyOption,
    RaceScore,
    Reason,
    RunnerUp,
    SimplerOneTaken,
    ToBeRaced,
    WonRace,
)
from frostline.core.settings import MetricName
from frostline.core.task import Task
from frostline.wording.metrics import METRICS
from frostline.wording.tasks import TASKS

_FATES = {
    Fate.CHOSEN: "chosen",
    Fate.TO_BE_RACED: "to be raced",
    Fate.SCORED: "scored by leave-one-out",
    Fate.TOO_EXPENSIVE: "too expensive to try within the budget",
    Fate.NOT_INSTALLED: f"could not run: {pip_install('train')}",
    Fate.NO_CLEAR_GAIN: "no clear gain",
    Fate.AVERAGED: "part of the average",
}


def fate_words(fate: Fate, behind: float | None) -> str:
    """Say how an option ended; ``behind`` is the accuracy that it fell short by, in [0, 1]."""
    if fate is Fate.BEHIND:
        return f"promised {(behind or 0.0) * 100:.1f} points less after the first rung"
    return _FATES[fate]


def reason_sentence(reason: Reason, metric: MetricName = "accuracy", task: Task = "single") -> str:
    """Say one reason; ``metric``: what scores are of, ``task``: what is predicted."""
    match reason:
        case AskedFor(strategy=strategy):
            return f"You asked for the strategy {strategy!r}."
        case FrozenOnly():
            return "Effort 'fast' uses frozen features only."
        case FewPerClass(per_class=per_class):
            few = f"With {per_class:g} images {TASKS[task].per}"
            return f"{few}, training layers would only memorise them."
        case LittleToGain(accuracy=accuracy):
            of = "" if metric == "accuracy" else f" {METRICS[metric]}"
            return f"Frozen features already reach {accuracy:.1%}{of}: little is left to gain."
        case NothingToRace():
            return "What is known of the images speaks against every option that trains layers."
        case NotWorthRacing(gain=gain, seconds=seconds):
            return (
                f"No layers are trained for so little: {_expected(gain, seconds)}. "
                "Effort 'best' tries it all the same."
            )
        case ToBeRaced(averaged_below=few, gain=gain, seconds=seconds):
            said = "Options that train layers race against the best head."
            if few is not None:
                said += f" With fewer than {few} images the best of all are averaged after that."
            if gain is not None and seconds is not None:
                said += f" To be expected: {_expected(gain, seconds)}."
            return said
        case ExpectedOfRace(gain=gain, seconds=seconds):
            return f"Before the race this was to be expected: {_expected(gain, seconds)}."
        case NotInstalled(extra=extra, names=names):
            options = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
            return (
                f"Options that train layers race against the best head after {pip_install(extra)}. "
                f"PyTorch is not installed here: {options} could not run."
            )
        case OnlyOption(name=name):
            return f"'{name}' was the only option."
        case WonRace():
            return (
                f"{_on(reason.n_images)} '{reason.winner.name}' {_gave(reason.winner, metric)}, "
                f"{_points(reason)} points more than the next, '{reason.second.name}', which "
                f"{_gave(reason.second, metric)}."
            )
        case SimplerOneTaken():
            return (
                f"{_on(reason.n_images)} the simpler '{reason.taken.name}' "
                f"{_gave(reason.taken, metric)}, the leading '{reason.leading.name}' "
                f"{_gave(reason.leading, metric)}: {_points(reason)} points more, no clear gain."
            )
        case Averaged():
            return (
                f"With fewer than {reason.few} images a race cannot tell good options apart, and "
                f"their mistakes differ, so the {reason.n_members} best are averaged: on "
                f"{reason.n_images} left-out images the log loss is "
                f"{reason.log_loss:.2f} nats instead of {reason.log_loss_alone:.2f} for "
                f"'{reason.leading}' alone.{_weighed(reason.weights)}"
            )
        case Given():
            return "This plan was given, not decided."


def runner_up_sentence(one: RunnerUp, task: Task = "single") -> str:
    """Say how many more images it takes until another option is the better one.

    ``task``: what is predicted.
    """
    points = f"{one.behind * 100:.1f} points"
    if one.more_per_class is None:
        return (
            f"'{one.name}' trails by {points}: no number of images that is in reach would change "
            "the decision."
        )
    return (
        f"With about {one.more_per_class} more images {TASKS[task].per} '{one.name}' starts to "
        f"pay: it trails by {points}, and on sets as far from the source as yours every doubling "
        f"brought training {one.gain_per_doubling * 100:.1f} points nearer."
    )


def _expected(gain: float, seconds: float) -> str:
    """Say what a race and the training after it bring, and what a minute of it buys."""
    minutes = max(seconds / 60, 0.1)
    return (
        f"on data as large and as far from the source a race has gained {gain * 100:.1f} points "
        f"on average, here in about {minutes:.1f} nominal minutes, {gain * 100 / minutes:.1f} "
        "points a minute"
    )


def _weighed(weights: Sequence[float]) -> str:
    if not weights:
        return ""
    return f" They count {', '.join(f'{w:.0%}' for w in weights)}, by what each gave to the truth."


def _on(n_images: int) -> str:
    return f"On {n_images} left-out images"


def _gave(one: RaceScore, metric: MetricName) -> str:
    """Say how sure an option was of the truth, and how often it was right."""
    if metric != "accuracy":
        return f"reached {one.accuracy:.1%} {METRICS[metric]} ({one.p_true:.1%} by probabilities)"
    return f"gave the true class {one.p_true:.1%} on average (right on {one.accuracy:.1%})"


def _points(reason: WonRace | SimplerOneTaken) -> str:
    return f"{reason.gain * 100:.1f} ± {reason.error * 100:.1f}"
