"""What the report shows, as it comes from the rest of Frostline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frostline.plan import Plan


@dataclass(frozen=True)
class ReportData:
    """Everything on the page; nothing else is read or computed.

    Attributes
    ----------
    source : str
        What was trained on, as the user named it; becomes the title.
    classes : tuple of str
        In the model's order.
    plan : Plan
        Its evidence may be None (a plan that was given).
    metrics : mapping
        The content of ``metrics.json``.
    scores : mapping
        ``Scores.to_json``: ``confusion`` (C x C counts, rows are the truth) and ``per_class``
        (mappings with ``class``, ``precision``, ``recall``, ``f1`` and ``support``).
    audit : mapping
        The content of ``audit.json``.
    settings : mapping
        Settings by name, as they were used.
    run : str, default="RUN"
        The run folder, for the commands at the end.
    version : str, default=""
        Of Frostline.
    """

    source: str
    classes: tuple[str, ...]
    plan: Plan
    metrics: Mapping[str, Any]
    scores: Mapping[str, Any]
    audit: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    run: str = "RUN"
    version: str = ""
