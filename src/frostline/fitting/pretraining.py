"""What networks were pretrained on, as far as anybody says: their names, or whoever fits them."""

from __future__ import annotations

import re
from pathlib import Path

from frostline.core.settings import AUTO, Settings
from frostline.evidence.learned_from import LearnedFrom
from frostline.evidence.source_pictures import SourcePictures

#: how networks are named whose weights may be anybody's, of anything, unless they are timm's
_ANYBODYS = re.compile(
    r"(hf[-_]hub:|local-dir:|(https?://)?(www\.)?(huggingface\.co|hf\.co)/)(?!timm/)"
)
#: in tags of timm: weights that were trained on other pictures than photos of everything
_OTHER_PICTURES = ("sat493m",)


def learned_from(settings: Settings) -> LearnedFrom:
    """Return what the networks of a fit learned from.

    The weights that timm and torchvision have under a name of their own were trained on photos of
    everything. What own weights, a folder or somebody's repository were trained on nobody knows
    unless it is said.
    """
    said = settings.pretrained_on
    if said == "photos":
        return "photos"
    if said != AUTO:
        return SourcePictures(Path(said).expanduser())
    of_library = settings.weights is None and all(map(knows_photos, settings.backbones))
    return "photos" if of_library else None


def knows_photos(name: str) -> bool:
    """Whether the weights of this name are a library's that were trained on photos."""
    if _ANYBODYS.match(name.strip().lower()) or Path(name).is_dir():
        return False
    return not any(other in name for other in _OTHER_PICTURES)
