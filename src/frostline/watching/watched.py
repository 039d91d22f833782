"""What a watch found, as it is returned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frostline.core.notebook import card, sentences
from frostline.core.watch_record import WatchRecord
from frostline.report.watch import write_watch
from frostline.wording.watching import alarm_sentence, onset_sentence


@dataclass(frozen=True)
class Watched:
    """A model and what came in.

    Attributes
    ----------
    record : WatchRecord
        Alarm, drift by depth, shares: typed.
    """

    record: WatchRecord

    @property
    def alarmed(self) -> bool:
        """Whether there was an alarm."""
        return self.record.alarm is not None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return self.record.to_json()

    def write_html(self, path: str | Path) -> None:
        """Write a page that needs no other file.

        Raises RunFolderError if it cannot be written.
        """
        write_watch(Path(path), self.record)

    def _repr_html_(self) -> str:
        """Show the verdict in a notebook."""
        return card(
            f"{self.record.source} against {self.record.name}",
            [
                ("Alarm", sentences([alarm_sentence(self.record)])),
                ("Change", sentences([onset_sentence(self.record)])),
            ],
        )
