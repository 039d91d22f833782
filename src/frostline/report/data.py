"""What the report shows: what a run found, with pictures."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.core.run_record import RunRecord
from frostline.explain.gallery import Gallery


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything on the page; nothing else is read or computed.

    ``record``: what the run found. ``gallery``: the pictures; without them the page does without.
    """

    record: RunRecord
    gallery: Gallery | None = None
