"""The decision in plain words, from the numbers that made it."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.plan import EvidenceSummary, ShiftEvidence
from frostline.stats.intervals import wilson
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cases import Case

#: classes that are named in one sentence
_FEW = 3

#: two opinions agree on the depths from this rank correlation on
_ALIKE = 0.6
#: accuracy that training gained on heads with every doubling of the images: medians over the
#: study's sets by shift (benchmarks/results/decision.json), half of "different" where it is unknown
GAIN_PER_DOUBLING = {"similar": 0.002, "moderate": 0.002, "different": 0.026, "unknown": 0.013}
_MOST_DOUBLINGS = 4.0
_LEAST_DOUBLINGS = 0.3

_KINDS = {
    "none": "nowhere in particular",
    "input": "in the first layers: colour, contrast, noise or sensor, rather than content",
    "feature": "in the high layers: other content, rather than another camera",
    "global": "at every depth",
    "unknown": "at an unknown depth",
}


@dataclass(frozen=True)
class Rival:
    """The best option that trains layers, and how much accuracy it lost to the chosen one."""

    name: str
    behind: float


def explain(
    summary: EvidenceSummary,
    chosen: Proposal,
    prior: Case,
    reasons: list[str],
    removed: list[str],
    rival: Rival | None = None,
) -> list[str]:
    """Return short sentences: the data, the prior, what the probes say, the choice and why."""
    size = summary.size
    lines = [summary.shift.preprocessing] if summary.shift.preprocessing else []
    lines += [
        f"You have {size.n_images} training images in {size.n_classes} classes "
        f"(median {size.per_class:g} each): {size.label}.",
        in_words(summary.shift),
        f"The textbook calls this case {prior.number} ({prior.data}): {prior.advice}.",
        _probes(summary),
        *_lookalikes(summary),
    ]
    lines += reasons
    lines.append(f"Decision: {chosen.name}.")
    if removed:
        lines.append(f"Removed, as not needed: {', '.join(removed)}.")
    if chosen.strategy != prior.strategy:
        lines.append(
            f"This departs from the textbook ({prior.advice}), because the evidence does."
            if chosen.probe is not None
            else f"This departs from the textbook's advice ({prior.advice})."
        )
    return [*lines, *_expected(summary, chosen), *_outlook(summary, chosen, rival)]


def _outlook(summary: EvidenceSummary, chosen: Proposal, rival: Rival | None) -> list[str]:
    """Say what more images would bring, and how many until another option takes over."""
    lines = []
    if summary.slope > 0:
        lines.append(
            f"The last doubling of the images gave frozen features {summary.slope * 100:+.1f} "
            "points; the next one can be expected to give less."
        )
    if chosen.probe is None or rival is None:
        return lines
    gain = GAIN_PER_DOUBLING[summary.shift.label]
    doublings = max(rival.behind, 0.0) / gain
    if doublings > _MOST_DOUBLINGS:
        lines.append(
            f"'{rival.name}' trails by {rival.behind * 100:.1f} points: no number of images that "
            "is in reach would change the decision."
        )
        return lines
    more = summary.size.per_class * (2.0 ** max(doublings, _LEAST_DOUBLINGS) - 1.0)
    lines.append(
        f"With about {_rounded(more)} more images per class '{rival.name}' starts to pay: it "
        f"trails by {rival.behind * 100:.1f} points, and on sets as far from the source as yours "
        f"every doubling brought training {gain * 100:.1f} points nearer."
    )
    return lines


def _rounded(count: float) -> int:
    """Round to one digit: nobody knows better."""
    size = int("1" + "0" * max(0, len(str(int(count))) - 1))
    return max(1, round(count / size) * size)


def _expected(summary: EvidenceSummary, chosen: Proposal) -> list[str]:
    """What new images can be expected to give, from training images left out."""
    if chosen.probe is None:
        return []
    probes = [*summary.probes, summary.all_taps, *([summary.adapted] if summary.adapted else [])]
    score = next(p for p in probes if p.tap == chosen.probe)
    n = summary.size.n_images
    low, high = wilson(round(score.accuracy * n), n)
    return [
        f"Expected accuracy on new images: {score.accuracy:.0%} ({low:.0%} to {high:.0%}), from "
        "training images left out one at a time."
    ]


def in_words(shift: ShiftEvidence) -> str:
    """Say how far the images lie from the pretraining data, and where."""
    if shift.label == "unknown":
        return "How far these images lie from the pretraining data could not be measured."
    low, high = shift.interval
    said = {
        "similar": "look like the network's pretraining photos",
        "moderate": "differ somewhat from the network's pretraining photos",
        "different": "differ from the network's pretraining photos",
    }[shift.label]
    where = "" if shift.label == "similar" else f", mostly {_KINDS[shift.kind]}"
    if shift.kind == "unknown":
        where = ", measured against two ordinary photos, for want of stored statistics"
    return f"They {said} (shift {shift.distance:.2f} [{low:.2f}, {high:.2f}]){where}."


def _lookalikes(summary: EvidenceSummary) -> list[str]:
    """Say what the classes look like to the network; of many classes the nearest three."""
    nearest = sorted(summary.lookalikes, key=lambda one: -one.probability)[:_FEW]
    if not nearest:
        return []
    said = ", ".join(f"'{x.label}' most like '{x.source}' ({x.probability:.0%})" for x in nearest)
    close = any(one.close for one in summary.lookalikes)
    return [f"To the network's old classes, {said}{'' if close else '; none is close'}."]


def _probes(summary: EvidenceSummary) -> str:
    scores = {p.tap: p for p in summary.probes}
    best, last, every = scores[summary.best_tap], scores[summary.last_tap], summary.all_taps
    text = f"Frozen features classify {last.accuracy:.1%} of the images left out at the last layer"
    if summary.best_tap != summary.last_tap:
        text += f", {best.accuracy:.1%} at {best.tap}"
    text += f", {every.accuracy:.1%} with all depths together (± {every.standard_error:.1%})"
    text += "."
    adapted = summary.adapted
    if adapted is not None:
        text += (
            f" With norm statistics re-estimated on your images: {adapted.accuracy:.1%} "
            f"({summary.adapted_gain * 100:+.1f} ± {summary.adapted_gain_error * 100:.1f} points)."
        )
    if summary.agreement is not None and last.neighbours is not None:
        text += (
            f" Nearest neighbours, which fit nothing, say {last.neighbours:.1%} at the last layer"
        )
        text += (
            " and rank the depths alike."
            if summary.agreement >= _ALIKE
            else " and rank the depths otherwise, so do not lean on the depth."
        )
    return text
