"""What a watch of a source found, in words."""

from __future__ import annotations

from frostline.core.watch_record import DepthDrift, OutputDrift, WatchRecord
from frostline.wording.numbers import listed, number, percent, plural

_FEW = 100
_LEVEL = 0.05
_ONSETS = {
    "none": "At no depth do the last {recent} differ surely from training.",
    "early": (
        "The change begins at the early end of the network ({depth}): look at the camera first "
        "(focus, noise, light, colour, compression, another device)."
    ),
    "late": (
        "The change begins at the late end of the network ({depth}): the pictures are taken as "
        "before, what they show is something else (new kinds of things, other shares)."
    ),
}


def verdict_words(record: WatchRecord) -> str:
    """Say in a few words what was found."""
    if record.alarm is None:
        return "No alarm"
    return {"early": "Alarm: the pictures changed", "late": "Alarm: the content changed"}.get(
        record.onset.kind, "Alarm"
    )


def alarm_sentence(record: WatchRecord) -> str:
    """Say whether there was an alarm, when, and what it promises."""
    chance = f"{100 * record.false_alarms:g} %"
    if record.alarm is None:
        return (
            f"No alarm after {plural(record.counted, 'image')}: the evidence reached "
            f"{evidence_words(record.evidence)} of {evidence_words(record.needed)}."
        )
    return (
        f"Alarm at image {record.alarm.image:,} ({record.alarm.path}). Images like those of "
        f"training ever raise one with a chance of at most {chance}."
    )


def evidence_words(value: float) -> str:
    """Say evidence as the factor by which money grew."""
    return f"{10**value:,.0f}" if value < 6 else f"10^{value:.0f}"


def onset_sentence(record: WatchRecord) -> str:
    """Say at which end of the network a change begins."""
    return _ONSETS[record.onset.kind].format(
        depth=record.onset.depth, recent=plural(record.located_by, "image")
    )


def counted_sentence(record: WatchRecord) -> str:
    """Say what was looked at."""
    said = f"{plural(record.images, 'image')} of {record.source}"
    more = record.images - record.counted
    if more:
        said += f", {more:,} of them copies or of a group that was counted"
    said += f", against {plural(record.n_left_out, 'left-out image')} of training."
    if record.trained_on:
        said += f" {plural(record.trained_on, 'image')} that the model was trained on: left out."
    return said + (" Folder after folder is no order: they come mixed." if record.mixed else "")


def caveats(record: WatchRecord) -> list[str]:
    """Say what the promise lacks."""
    found = []
    if record.left_out == "trained on":
        found.append(
            "Every training image taught the layers, so none could be left out: images like those "
            "of training may raise alarms more often than said."
        )
    if record.n_left_out < _FEW:
        found.append(
            f"Only {plural(record.n_left_out, 'training image')} could be left out: small changes "
            "take many images to be found."
        )
    return found


def depth_words(one: DepthDrift) -> str:
    """Say how far the images lie at a depth."""
    sure = "" if one.p_adjusted < _LEVEL else ", which chance explains"
    return f"{number(one.distance, 2)} standard deviations (p {p_words(one.p_adjusted)}){sure}"


def p_words(value: float) -> str:
    """Say a p-value."""
    return "< 0.01" if value < 0.01 else f"{value:.2f}"


def share_words(one: OutputDrift, *, numbers: bool) -> tuple[str, str, str]:
    """Say what an output was in training, is now, and the interval of that."""
    low, high = one.interval
    if numbers:
        return number(one.trained), number(one.now), f"{number(low)} to {number(high)}"
    return percent(one.trained), percent(one.now), f"{percent(low)} to {percent(high)}"


def outputs_sentence(record: WatchRecord) -> str:
    """Name the outputs whose share or mean changed."""
    if not record.outputs:
        return "What this model answers cannot be compared with training."
    moved = [f"{one.name} {one.verdict}" for one in record.outputs if one.verdict != "as before"]
    what = "Means" if record.task == "regression" else "Shares"
    if not moved:
        return f"{what} are those of training, as far as these images tell."
    return f"{what} differ: {listed(moved, 6)}."


def unknown_sentence(record: WatchRecord) -> str:
    """Say how many images are unlike everything in training."""
    found = record.unknown
    if found is None:
        return "This model does not tell which images are unknown to it."
    low, high = found.interval
    return (
        f"{percent(found.share)} are unlike everything in training (95 %: {percent(low)} to "
        f"{percent(high)}); of images like those of training {percent(found.expected, 0)} would be."
    )
