"""What the report shows, as it comes from the rest of Frostline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frostline.core.plan import Plan
from frostline.explain.gallery import Gallery


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything on the page; nothing else is read or computed.

    Attributes
    ----------
    plan : Plan
        Its evidence may be None (a plan that was given).
    metrics : mapping
        The content of ``metrics.json``.
    scores : mapping
        ``Scores.to_json``: ``confusion`` (C x C counts, rows are the truth), ``per_class``
        (mappings with ``class``, ``precision``, ``recall``, ``f1`` and ``support``) and
        ``reliability`` (bins of confidence).
    audit : mapping
        The content of ``audit.json``.
    settings : mapping
        Settings by name, as they were used; a mapping within is shown name by name.
    provenance : mapping, default={}
        How to make the same model again: ``command`` (text), ``versions`` and ``fingerprints``
        (mappings of names to text).
    source : str, default=""
        What was trained on, as the user named it; becomes the title. Taken from ``audit`` when
        empty.
    classes : tuple of str, default=()
        In the model's order. Taken from ``scores`` when empty.
    run : str, default="RUN"
        The run folder, for the commands at the end.
    version : str, default=""
        Of Frostline.
    gallery : Gallery or None, default=None
        The pictures; without them the page does without.
    """

    plan: Plan
    metrics: Mapping[str, Any]
    scores: Mapping[str, Any]
    audit: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    classes: tuple[str, ...] = ()
    run: str = "RUN"
    version: str = ""
    gallery: Gallery | None = None
