"""What a model folder keeps of what is familiar."""

from __future__ import annotations

from pathlib import Path

from frostline.model_format.model_folder import FAMILIAR, checked_file, find_model_folder, load_card
from frostline.model_format.ood_file import read_ood_scorer
from frostline.stats.ood import OODScorer


def load_familiarity(folder: Path) -> OODScorer | None:
    """Read what is familiar to the model of a run folder; None for a model that does not know."""
    found = find_model_folder(folder)
    card = load_card(found)
    if card.familiar is None:
        return None
    return read_ood_scorer(checked_file(found, FAMILIAR, card.fingerprints.familiar))
