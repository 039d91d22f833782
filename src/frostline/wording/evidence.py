"""What was measured before anything was decided, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.errors import ImageSizeError
from frostline.core.plan import EvidenceSummary, NetworkResult
from frostline.core.settings import MetricName
from frostline.targets.choose import target_of
from frostline.wording.metrics import METRICS
from frostline.wording.numbers import number, seconds
from frostline.wording.tasks import TASKS

#: classes that are named in one sentence
_FEW = 3
#: two opinions agree on the depths from this rank correlation on
_ALIKE = 0.6


def networks_sentences(
    results: Sequence[NetworkResult], metric: MetricName = "accuracy"
) -> list[str]:
    """Say which network was taken, what the others reached, and which could not run.

    ``metric``: what scores are of.
    """
    said = [
        f"{r.backbone} at {r.input_size} px was left out: {r.left_out}"
        for r in results
        if r.left_out
    ]
    scored = [r for r in results if r.accuracy is not None]
    chosen = next((r for r in scored if r.chosen), None)
    if len(scored) < 2 or chosen is None:
        return said
    others = ", ".join(
        f"{r.backbone} at {r.input_size} px {r.reached:.1%}" for r in scored if not r.chosen
    )
    of = "" if metric == "accuracy" else f" {METRICS[metric]}"
    on = f" on {chosen.images:,} training images" if chosen.images else ""
    return [
        f"Frozen features of {chosen.backbone} at {chosen.input_size} px reach "
        f"{chosen.reached:.1%}{of} ± {chosen.standard_error:.1%}{on} ({others}): it is taken as "
        "the cheapest that is not clearly worse than the best.",
        *said,
    ]


def size_sentences(backbone: str, size: int | None, own: int | None) -> list[str]:
    """Say at which size a network runs, where that is not the one of its pretraining."""
    if size is None or own is None:
        return []
    return [
        f"{backbone} runs at {size} px, not at the {own} px of its pretraining, which have "
        f"{(own / size) ** 2:.1f} times the pixels: much for a processor. "
        f"--input-size {own} takes them."
    ]


def size_words(summary: EvidenceSummary) -> str:
    """Say how many images there are to learn from, and how they are spread."""
    size, words = summary.size, TASKS[summary.task]
    ends = f"(smallest {number(size.smallest_class)}, largest {number(size.largest_class)})"
    median = number(size.per_class, 1)
    said = f"{number(size.n_images)} training images {words.outputs(size.n_classes)}"
    if target_of(summary.task, size.n_classes).exclusive:
        return f"{said}, {median} in the median {words.one} {ends}"
    if size.n_classes == 1:
        return f"{said}, {median} of them with one"
    return f"{said}, {median} with the median one {ends}"


def refused_size_sentence(error: ImageSizeError) -> str:
    """Say that a size that was asked for beside others is left out."""
    return f"{error} The other sizes are compared."


def entrants_sentence(
    candidates: Sequence[tuple[str, int, int, float, int]], *, images: int, of: int
) -> str:
    """Say which networks are about to be compared, and what each would cost.

    ``candidates``: name, size in pixels, multiply-accumulates for one image, nominal seconds and
    bytes of memory for all images. ``images``: on how many training images, out of ``of``.
    """
    costs = "; ".join(
        f"{name} at {size} px: {macs / 1e9:,.2f} G multiply-adds an image, all images about "
        f"{seconds(nominal)} and {memory / 1e9:,.1f} GB"
        for name, size, macs, nominal, memory in candidates
    )
    share = f"{images:,} of {of:,}" if images < of else f"{images:,}"
    return f"{len(candidates)} networks are compared on {share} training images. {costs}."


def lookalikes_sentences(summary: EvidenceSummary) -> list[str]:
    """Say what the classes look like to the network; of many classes the nearest three."""
    nearest = sorted(summary.lookalikes, key=lambda one: -one.probability)[:_FEW]
    if not nearest:
        return []
    said = ", ".join(f"'{x.label}' most like '{x.source}' ({x.probability:.0%})" for x in nearest)
    close = any(one.close for one in summary.lookalikes)
    return [f"To the network's old classes, {said}{'' if close else '; none is close'}."]


def probes_sentences(summary: EvidenceSummary) -> str:
    """Say what frozen features reach at the last layer, the best one and all together."""
    best, last = summary.probe(summary.best_tap), summary.probe(summary.last_tap)
    every = summary.all_taps
    reach = TASKS[summary.task].reach
    text = f"Frozen features {reach(f'{last.accuracy:.1%}')} at the last layer"
    if summary.best_tap != summary.last_tap:
        text += f", {best.accuracy:.1%} at {best.tap}"
        top = max(probe.accuracy for probe in summary.probes)
        if best.accuracy < top:
            text += f" (the deepest that is not clearly worse than the best, {top:.1%})"
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
            else " and rank the depths otherwise: which depth is best is uncertain."
        )
    return text
