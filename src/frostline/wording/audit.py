"""What was found out about the images, in words."""

from __future__ import annotations

from frostline.core.audit_record import AuditRecord
from frostline.data.audit import Audit, Searched
from frostline.data.catalog import Catalog
from frostline.data.duplicates.near_duplicates import COMPLETE_UP_TO
from frostline.wording.notes import note_sentence
from frostline.wording.unseen import unseen_sentences
from frostline.wording.values import values_sentences

_SEARCHED: dict[Searched, list[str]] = {
    "complete": [],
    "partial": [
        f"With more than {COMPLETE_UP_TO:,} images, near-duplicates were looked for among "
        "likely neighbours, not among all pairs: a few may have been missed. Mirrored, "
        "turned and cropped copies were not looked for."
    ],
    "no": ["Near-duplicates were not looked for."],
}


def audit_record(audit: Audit, catalog: Catalog) -> AuditRecord:
    """Return what is written as ``audit.json``, with notes for people."""
    notes = tuple(audit_notes(audit, catalog))
    return audit.record(catalog).model_copy(update={"notes": notes})


def audit_notes(audit: Audit, catalog: Catalog) -> list[str]:
    """Say what a reader should know about the source, the search for copies and the pictures."""
    return [
        *map(note_sentence, catalog.notes),
        *_SEARCHED[audit.searched],
        *values_sentences(audit.values),
        *([] if audit.unseen is None else unseen_sentences(audit.unseen)),
    ]
