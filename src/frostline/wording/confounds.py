"""Confounds in words: what should not matter but tells the label."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.confound_record import (
    MAYBE_OF_CONTENT,
    Confound,
    ConfoundAudit,
    FactGroupName,
    GivenAway,
    HonestScore,
    Interval,
    UnusedFacts,
    Verdict,
)
from frostline.wording.numbers import listed, number, percent, plural

GROUPS: dict[FactGroupName, str] = {
    "file": "file type and size",
    "camera": "camera and time",
    "compression": "compression",
    "colour": "mean colour",
    "border": "border colour",
}
VERDICTS: dict[Verdict, str] = {
    "nothing": "tells nothing",
    "note": "tells the label; nothing shows that the model leans on it",
    "inseparable": "cannot be told apart",
    "warning": "the model leans on it",
}
SCORES = {"balanced_accuracy": "balanced accuracy", "r2": "R2"}
#: classes that a sentence names
_NAMED = 3
#: a difference of scores that is no news
_LITTLE = 0.03
#: groups of facts that may be part of what pictures show
_SHOWN = ("colour", "border")


def score_words(audit: ConfoundAudit, value: float | None) -> str:
    """Return a score of an audit."""
    return number(value, 2) if audit.score == "r2" else percent(value, 0)


def ends_words(audit: ConfoundAudit, ends: Interval | None) -> str:
    """Return both ends of an interval of a score."""
    if ends is None:
        return ""
    return f"{score_words(audit, ends[0])} to {score_words(audit, ends[1])}"


def confound_warnings(audit: ConfoundAudit | None) -> list[str]:
    """Say in one sentence or two what a reader should know; nothing where there is nothing."""
    if audit is None:
        return []
    leaned = [(one, one.honest) for one in audit.groups if one.honest and one.verdict == "warning"]
    apart = [
        (one, one.honest) for one in audit.groups if one.honest and one.verdict == "inseparable"
    ]
    if leaned:
        leaned.sort(key=lambda found: -found[1].fall)
        return [_leans(audit, leaned[0][1]) + _also(leaned[1:] + apart)]
    if apart:
        apart.sort(key=lambda found: -found[0].score)
        return [_inseparable(*apart[0]) + _also(apart[1:])]
    return []


def honest_sentence(one: Confound, audit: ConfoundAudit) -> str:
    """Say what leaving one fact out came to."""
    honest = one.honest
    if honest is None:
        return ""
    if one.verdict == "inseparable":
        return _inseparable(one, honest)
    if one.verdict == "warning":
        return _leans(audit, honest)
    said = f"The {honest.fact} tells something of the label by itself"
    if honest.fall < _LITTLE:
        return (
            f"{said}, but the model does about as well without its help: {_broken(audit, honest)}."
        )
    why = (
        "Few images can tell whether it is for that"
        if honest.drop is None or honest.drop >= _LITTLE
        else "But it does no worse on images of a value that it never saw, so it is rather for "
        "something that goes with it"
    )
    return (
        f"{said}, and the model does worse where that pattern is broken: {_broken(audit, honest)}. "
        f"{why}."
    )


def unused_facts_words(unused: Sequence[UnusedFacts]) -> str:
    """Say which facts could not be looked at."""
    why = {"not known": "no image tells it", "one value": "all images are alike in it"}
    return "; ".join(f"{GROUPS[one.group]}: {why[one.reason]}" for one in unused)


def looked_at_words(audit: ConfoundAudit) -> str:
    """Say how many images were looked at, and how sure the result is."""
    return (
        f"{plural(audit.images, 'training image')} looked at, one of each group; the chance that "
        f"any of these is wrongly said to tell the label is at most {percent(audit.level, 0)}."
    )


def _leans(audit: ConfoundAudit, honest: HonestScore) -> str:
    advice = (
        "Look whether that belongs to what the class is"
        if honest.fact in MAYBE_OF_CONTENT
        else f"Collect images of every class with every {honest.fact}"
    )
    return (
        f"The {honest.fact} tells the label, and the model leans on it: {_broken(audit, honest)}. "
        f"{advice}."
    )


def _broken(audit: ConfoundAudit, honest: HonestScore) -> str:
    usual = honest.broken + honest.fall
    return (
        f"{SCORES[audit.score]} {score_words(audit, usual)} on the images as they are, "
        f"{score_words(audit, honest.broken)} (95 %: {ends_words(audit, honest.broken_interval)}) "
        f"where every class has each {honest.fact} equally often"
    )


def _inseparable(one: Confound, honest: HonestScore) -> str:
    found, fact = honest.given_away, honest.fact
    # a colour may be the thing itself, as blue is the sea
    perhaps = (
        " If that colour belongs to what is shown, nothing is wrong." if one.group in _SHOWN else ""
    )
    names = listed([f"'{one.label}'" for one in found if one.label], _NAMED)
    if not names:
        return (
            f"The {fact} tells the label, and most images cannot be judged without it: what is "
            f"true of them hardly occurs with another {fact}. So no score can tell whether the "
            f"model learned what the pictures show or one range of the {fact}. Collect images of "
            f"everything with every {fact}." + perhaps
        )
    return (
        f"Nearly all images of {names} have a {fact} ({_values(found)}) that most others have not, "
        f"so no score can tell whether the model learned the class or that. Collect images of "
        f"{names} with another {fact}, or of others with this one." + perhaps
    )


def _values(found: Sequence[GivenAway]) -> str:
    return listed(list(dict.fromkeys(one.value for one in found)), _NAMED)


def _also(others: Sequence[tuple[Confound, HonestScore]]) -> str:
    return f" So it is with {listed([one.fact for _, one in others])}." if others else ""
