"""Compare images with what stands for the pretraining of a network that stores no statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from frostline.core.arrays import IntArray
from frostline.core.plan import ShiftEvidence
from frostline.core.runtime import Runtime
from frostline.evidence.cards import load_card
from frostline.evidence.shift import measure_shift, unmeasured
from frostline.evidence.source_pictures import SourcePictures

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen

#: what is known of a network's pretraining: that it was photos, some of its pictures, or nothing
LearnedFrom = SourcePictures | Literal["photos"] | None

_NOBODY_KNOWS = (
    "This network stores no statistics of its pretraining images, and what these were is not "
    "known, so nothing was measured: the distance of 0 means nothing. Name a folder with some of "
    "them (pretrained_on), or 'photos' if it learned photos of all kinds."
)


def shift_of(
    frozen: Frozen, rows: IntArray, runtime: Runtime, *, learned_from: LearnedFrom, seed: int
) -> ShiftEvidence:
    """Compare images with what the network stored, or else with pictures that it is shown.

    Raises InputError if there are fewer than two images, or too few pictures.

    ``rows``, shape (n,): of the catalog; at most 64 of them are looked at. ``learned_from``: counts
    for networks that store no statistics; of None they have nothing to be compared with.
    """
    moments = frozen.runner.moments(rows, runtime, beside_pictures=learned_from is not None)
    if learned_from is None and not moments.norms:
        return unmeasured(_NOBODY_KNOWS)
    if moments.stored or not moments.norms:
        card = load_card(frozen.network.name, weights_id=frozen.network.weights_id)
        return measure_shift(moments.beside_stored(), card=card, seed=seed)
    if isinstance(learned_from, SourcePictures):
        from frostline.evidence.source_card import shift_from_source, source_card

        card_of_source = source_card(frozen, moments, learned_from, runtime)
        return shift_from_source(moments, card_of_source, seed=seed)
    from frostline.evidence.picture_card import picture_card, shift_from_card

    return shift_from_card(moments, picture_card(frozen, moments, runtime), seed=seed)
