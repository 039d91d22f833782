"""The decision in plain words, from the numbers that made it."""

from __future__ import annotations

from frostline.plan import CandidateResult, EvidenceSummary, ShiftEvidence
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cases import Case

#: classes that are named in one sentence
_FEW = 3

_KINDS = {
    "none": "nowhere in particular",
    "input": "in the first layers: colour, contrast, noise or sensor, rather than content",
    "feature": "in the high layers: other content, rather than another camera",
    "global": "at every depth",
    "unknown": "at an unknown depth",
}


def explain(
    summary: EvidenceSummary,
    chosen: Proposal,
    prior: Case,
    reasons: list[str],
    candidates: list[CandidateResult],
    removed: list[str],
) -> list[str]:
    """Return short sentences: the data, the prior, what the probes say, the choice and why."""
    size = summary.size
    lines = [
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
    outlook = _outlook(summary, chosen, candidates)
    return [*lines, outlook] if outlook else lines


def _outlook(summary: EvidenceSummary, chosen: Proposal, candidates: list[CandidateResult]) -> str:
    """Say what more images would bring, and which option would take over first."""
    if summary.slope <= 0:
        return ""
    text = (
        f"The last doubling of the images gave frozen features {summary.slope * 100:+.1f} points; "
        "the next one can be expected to give less."
    )
    rivals = [c for c in candidates if c.kind != "taps_head" and c.score is not None]
    if chosen.probe is not None and rivals:
        nearest = max(rivals, key=lambda c: c.score or 0.0)
        text += f" With more images '{nearest.name}' would be the first to overtake."
    return text


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
    where = f", mostly {_KINDS[shift.kind]}" if shift.label != "similar" else ""
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
    if summary.slope:
        text += f"; doubling the images gave {summary.slope * 100:+.1f} points"
    return text + "."
