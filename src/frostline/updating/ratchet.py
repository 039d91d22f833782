"""A new run takes the place of another only if it is not found worse, image by image."""

from __future__ import annotations

from pathlib import Path

from frostline.comparing.compare import compare
from frostline.comparing.comparison import Comparison
from frostline.core.comparison_record import ComparisonRecord, ScoreComparison
from frostline.core.runtime import Runtime
from frostline.run.replacement import next_folder, take_place


def replace_if_no_worse(
    run: Path, no_worse_than: float | None, runtime: Runtime
) -> tuple[Comparison, bool]:
    """Compare a run with the one beside it, which takes its place if nothing speaks against it.

    Returns what was found, and whether the new run is in its place now. Raises InputError if both
    judged no image in common.

    ``no_worse_than``: as for :func:`frostline.compare`; None asks for no proof.
    """
    found = compare(
        run,
        next_folder(run),
        no_worse_than=no_worse_than,
        progress=runtime.progress,
        cancel=runtime.cancel,
    )
    allowed = found.passed is not False and not is_worse(found.record)
    if allowed:
        take_place(run)
    return found, allowed


def is_worse(record: ComparisonRecord) -> bool:
    """Whether the second model is clearly worse: by its first score, or on a part of the images.

    Parts are judged by p-values that hold for all of them together.
    """
    return _score_is_worse(record.scores[0]) or any(one.verdict == "a" for one in record.parts)


def _score_is_worse(one: ScoreComparison) -> bool:
    low, high = one.interval
    if one.lower_is_better:
        return low is not None and low > 0.0
    return high is not None and high < 0.0
