"""The two models that are compared: their cards, and what their runs know of images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from frostline.core.audit_record import AuditRecord
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.data.naming import encodable, visible
from frostline.model.model import Model
from frostline.model_format.card import ModelCard
from frostline.run.manifest import Manifest, ManifestRow, manifest_of, read_rows
from frostline.run.run_folder import AUDIT, METRICS, MODEL, SETTINGS

#: an audit lists every copy of every image
_AUDIT_BYTES = 2**31


@dataclass(frozen=True)
class Side:
    """One of the models.

    Attributes
    ----------
    name : str
        As it was given.
    model : Model
    """

    name: str
    model: Model

    @classmethod
    def open(cls, given: str | Path | Model) -> Side:
        """Load a model; takes and raises what :meth:`Model.load` does."""
        model = given if isinstance(given, Model) else Model.load(given)
        name = model.folder if isinstance(given, Model) else given
        return cls(visible(encodable(str(name))), model)

    @property
    def card(self) -> ModelCard:
        """The card of the model."""
        return self.model.card

    @cached_property
    def run(self) -> Path | None:
        """The run folder that the model lies in; None where it lies in none."""
        folder = self.model.folder.resolve()
        inside = folder.name == MODEL and (folder.parent / METRICS).is_file()
        return folder.parent if inside else None

    @cached_property
    def manifest(self) -> Manifest | None:
        """What images the model was trained on; None where nobody knows."""
        return manifest_of(self.model.folder, n_train=self.card.n_train)

    @cached_property
    def rows(self) -> list[ManifestRow]:
        """Every image of the run, if that is known."""
        known = self.run is not None and self.manifest is not None
        return (read_rows(self.run) or []) if known and self.run is not None else []

    @cached_property
    def files(self) -> dict[str, Path]:
        """Where images lay, by name, for those of which the manifest says it."""
        return {row.name: Path(row.file) for row in self.rows if row.file}

    def belonging(self) -> Iterator[tuple[str, ...]]:
        """Yield digests of images that succeed and fail together: groups, and copies."""
        by_group: dict[str, list[str]] = {}
        for row in self.rows:
            if row.group:
                by_group.setdefault(row.group, []).append(row.digest)
        yield from map(tuple, by_group.values())
        yield from self.copies()

    def copies(self) -> Iterator[tuple[str, ...]]:
        """Yield digests of images that the run found to show the same."""
        digest_of = {row.name: row.digest for row in self.rows}
        audit = self._audit
        for found in (audit.exact_duplicates, audit.near_duplicates, audit.altered_copies):
            for paths in found.items:
                known = (digest_of.get(encodable(path)) for path in paths.items)
                yield tuple(digest for digest in known if digest is not None)

    @cached_property
    def source(self) -> Path | None:
        """The folder or table that the run was fitted to, if it is still there."""
        if self.run is None:
            return None
        try:
            said = json.loads(read_regular(self.run / SETTINGS, at_most=JSON_BYTES))
        except (UnfitFileError, ValueError, RecursionError):
            return None
        given = said.get("source") if isinstance(said, dict) else None
        if not isinstance(given, str):
            return None
        path = Path(given)
        try:
            return path if path.is_absolute() and path.exists() else None
        except (OSError, ValueError):
            return None

    @cached_property
    def _audit(self) -> AuditRecord:
        if self.run is None:
            return AuditRecord()
        try:
            return AuditRecord.model_validate_json(
                read_regular(self.run / AUDIT, at_most=_AUDIT_BYTES)
            )
        except (UnfitFileError, ValidationError):
            return AuditRecord()
