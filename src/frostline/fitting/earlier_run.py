"""Read what a finished run tells of itself, so that another one can go on from it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from frostline.core.aliases import under_current_names
from frostline.core.errors import RunFolderError
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular
from frostline.core.plan import Plan
from frostline.core.reading_rules import DEFAULT_RULES
from frostline.core.run_record import RunRecord
from frostline.core.settings import AUTO, Settings, setting_names
from frostline.data.catalog import Part
from frostline.data.listing import Found
from frostline.data.sources.open_union import KnownImages
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import load_card
from frostline.report import load_record
from frostline.run.manifest import ManifestRow, read_rows
from frostline.run.run_folder import METRICS, PLAN, REPORT_DATA, SETTINGS
from frostline.targets.choose import target_of

#: what a manifest calls the parts of a source
_PARTS: dict[str, Part] = {"train": "train", "validation": "val", "test": "test"}
_FIT_AGAIN = "Fit it again with this version, or fit all images anew."


@dataclass(frozen=True)
class EarlierRun:
    """A finished run: how it was made, from which images, and what came of it."""

    path: Path
    settings: Settings
    card: ModelCard
    plan: Plan
    record: RunRecord
    images: KnownImages

    @property
    def fingerprint(self) -> str:
        """Stands for its model."""
        return self.card.fingerprints.weights or ""


def read_run(path: Path) -> EarlierRun:
    """Read a finished run.

    Raises RunFolderError if the folder holds none, or lacks the list of its images.
    """
    card = load_card(path)
    if not (path / METRICS).exists():
        raise RunFolderError(
            f"{path} holds no finished run.",
            hint="Give the folder that 'frostline fit -o' wrote, not a model alone.",
        )
    record = load_record(path / REPORT_DATA).record
    settings = _settings(path)
    plan = Plan.from_file(path / PLAN)
    rows = read_rows(path)
    if rows is None:
        raise RunFolderError(
            f"{path} has no readable list of its images (catalog.csv).", hint=_FIT_AGAIN
        )
    if card.preprocessing.reading != DEFAULT_RULES and not any(row.special for row in rows):
        raise RunFolderError(
            f"{path} was read by rules for values of more than 8 bits or transparency, and its "
            "list of images, of an older version, does not say for which.",
            hint=_FIT_AGAIN,
        )
    given = record.metrics.test.method == "given"
    images = _images(settings, card, rows, given=given)
    return EarlierRun(path, settings[1], card, plan, record, images)


def pretrained_network(earlier: EarlierRun) -> str:
    """Return the network that a run started from: by its name, or as the folder that has it."""
    named = earlier.settings.backbones
    if len(named) > 1 or named[0] == AUTO:
        return earlier.plan.backbone
    folder = Path(named[0])
    gone = len(folder.parts) > 1 and not folder.exists()
    # it has the weights of the run that it went on from
    return str(earlier.path.resolve()) if gone else named[0]


def _settings(path: Path) -> tuple[str, Settings]:
    """Return the source that a run was fitted to, and its settings."""
    try:
        found = json.loads(read_regular(path / SETTINGS, at_most=JSON_BYTES))
        source = str(found["source"])
        known = set(setting_names())
        values = under_current_names(found, quiet=True)
        return source, Settings(**{k: _value(v) for k, v in values.items() if k in known})
    except (UnfitFileError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise RunFolderError(
            f"{path / SETTINGS} is damaged, or of a version that nobody can read.", hint=_FIT_AGAIN
        ) from None


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _images(
    settings: tuple[str, Settings], card: ModelCard, rows: list[ManifestRow], *, given: bool
) -> KnownImages:
    source, _ = settings
    target = target_of(card.task, len(card.classes))
    several = not target.exclusive
    truth = target.read([row.label for row in rows], card.classes) if several else None
    found, digests, parts = [], {}, {}
    for i, row in enumerate(rows):
        part = _PARTS[row.part]
        values = row.values
        if truth is not None and not values:
            values = tuple(math.nan if math.isnan(v) else float(v) for v in truth[i])
        one = Found(
            origin=Path(row.file) if row.file else _place(source, row.name),
            name=row.name,
            class_name="" if several else row.label,
            # all others were divided by us
            part=part if given or part == "val" else None,
            group=row.group or None,
            weight=row.weight,
        )
        found.append(replace(one, truth=values) if several else one)
        digests[row.name], parts[row.name] = row.digest, part
    special = frozenset(row.digest for row in rows if row.special)
    return KnownImages(source, card.task, card.classes, tuple(found), parts, digests, special)


def _place(source: str, name: str) -> Path:
    """Return where an image lay: below a folder, or beside a table that names it."""
    given = Path(source)
    return (given.parent if given.is_file() else given) / name
