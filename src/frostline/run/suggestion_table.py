"""The table of suggestions: one line an image, with a blank column for the label."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from frostline.core.files import replacing
from frostline.core.suggestion_record import Suggestion, Suggestions
from frostline.data.naming import encodable

SUGGESTIONS, SHEET = "suggestions.csv", "suggestions.html"
COLUMNS = (
    "path",
    "rank",
    "why",
    "predicted",
    "confidence",
    "expected_gain",
    "unfamiliarity",
    "copies",
    "given",
    "digest",
    "label",
)


def write_suggestions(path: Path, found: Suggestions, why: Callable[[Suggestion], str]) -> None:
    """Write ``suggestions.csv``, whole or not at all; what stands apart comes last.

    Raises RunFolderError if the file cannot be written.

    ``why``: says in words why an image was suggested.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in (*found.chosen, *found.apart):
            unfamiliarity = "" if one.unfamiliarity is None else f"{one.unfamiliarity:.3f}"
            numbers = [f"{one.confidence:.4f}", f"{one.expected_gain:.3g}", unfamiliarity]
            cells = [one.path, str(one.rank or ""), why(one), one.predicted, *numbers]
            cells += [";".join(one.copies), one.label, one.digest, ""]
            writer.writerow(map(encodable, cells))
