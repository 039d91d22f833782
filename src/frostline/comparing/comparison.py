"""What a comparison found, as it is returned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.core.comparison_record import ComparisonRecord
from frostline.core.notebook import card, sentences
from frostline.report.comparison import FlipTile, write_comparison
from frostline.wording.comparison import difference_words, verdict_sentence

__all__ = ["Comparison", "FlipTile"]


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images.

    Attributes
    ----------
    record : ComparisonRecord
        Every difference with its interval, every slice and every flipped image, typed.
    tiles : tuple of FlipTile
        Pictures of flipped images.
    """

    record: ComparisonRecord
    tiles: tuple[FlipTile, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether the second model is no worse than was allowed; None where nothing was asked."""
        found = self.record.non_inferiority
        return None if found is None else found.passed

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return self.record.to_json()

    def write_html(self, path: str | Path) -> None:
        """Write a page that needs no other file.

        Raises RunFolderError if it cannot be written.
        """
        write_comparison(Path(path), self.record, self.tiles)

    def _repr_html_(self) -> str:
        """Show the differences in a notebook."""
        rows = [(one.score, sentences([difference_words(one)])) for one in self.record.scores]
        return card(
            f"{self.record.b.name} against {self.record.a.name}",
            [
                ("Verdict", sentences([verdict_sentence(self.record)])),
                *rows,
            ],
        )
