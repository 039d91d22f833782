"""Reference cards: what ordinary photos give on a network, so that a shift has a yardstick."""

from __future__ import annotations

from importlib import resources

from pydantic import BaseModel, ConfigDict, Field


class CardSet(BaseModel):
    """The shift of one image set that a card was made from or checked against."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    ordinary: bool
    n_images: int
    distance: float
    interval: tuple[float, float]
    stem: float
    early: float
    middle: float
    late: float
    kind: str
    label: str


class ReferenceCard(BaseModel):
    """Yardstick for the shift on one set of weights.

    The thresholds are multiples of ``distance``. They were placed half-way, on a logarithmic
    scale, between sets whose answer is known, on EfficientNet-Lite0, Lite1 and Lite2: ordinary
    and wallpaper photos (0.9 to 1.6 times the card's distance) are similar, clip art (2.2 to
    2.5) is moderate, solar cells (3.3 to 3.6) and upscaled digits (4.8 to 5) are different. Six
    sets are few, and a narrow set of photos (one kind of fruit on white) reaches 2.1: the label
    is a prior for a decision, not a measurement.

    ``weights_id``: sha256 of the weights that the card belongs to. ``distance``: mean of the
    ordinary photo sets' distances. ``sets``: every set that was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: int = 1
    network: str
    weights_id: str
    distance: float = Field(gt=0)
    similar_below: float = Field(gt=0)
    different_from: float = Field(gt=0)
    sets: list[CardSet] = []


def load_card(network: str, *, weights_id: str | None = None) -> ReferenceCard | None:
    """Return the bundled card of ``network``, or None.

    ``network``: such as ``"efficientnet_lite0"``. ``weights_id``: when given, a card of other
    weights under the same name is not returned.
    """
    # a network name may come from a user: only names of bundled files are ever opened
    for entry in (resources.files("frostline.evidence") / "cards").iterdir():
        if entry.name == f"{network}.json":
            card = ReferenceCard.model_validate_json(entry.read_text(encoding="utf-8"))
            return card if weights_id in (None, card.weights_id) else None
    return None
