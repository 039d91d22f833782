"""What of the pictures never reaches the model, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.data.naming import shorten
from frostline.data.unseen import BlankPictures, CropLoss, SeveralPages, Unseen


def unseen_sentences(unseen: Unseen) -> list[str]:
    """Say what a reader should know; nothing where all is seen."""
    return [
        *([] if unseen.blank is None else [blank_sentence(unseen.blank)]),
        *([] if unseen.pages is None else [pages_sentence(unseen.pages)]),
        *([crop_sentence(unseen.crop)] if unseen.crop.matters else []),
    ]


def unseen_warnings(unseen: Unseen) -> list[str]:
    """Say what must be known before an accuracy is believed."""
    said = [] if unseen.blank is None else [blank_sentence(unseen.blank)]
    return [*said, crop_sentence(unseen.crop)] if unseen.crop.grave else said


def crop_sentence(crop: CropLoss) -> str:
    """Say what the centre crop cuts off."""
    said = (
        f"The model looks at the middle square of a picture: {crop.mean:.0%} of the area of "
        f"these pictures is never seen, where square ones lose {crop.square:.0%}."
    )
    if crop.much:
        one = crop.much == 1
        said += (
            f" {crop.much:,} of {crop.images:,} {'loses' if one else 'lose'} over a third "
            "more than that."
        )
    return (
        f"{said} The longest, {shorten([crop.longest])} ({crop.width:,} x {crop.height:,}), loses "
        f"{crop.most:.0%}. If what matters lies at the ends, cut it out before, or have the "
        "pictures padded or squashed (resize)."
    )


def blank_sentence(blank: BlankPictures) -> str:
    """Say which pictures are blank, and what may have made them so."""
    one = blank.count == 1
    said = (
        f"{blank.count:,} of {blank.images:,} pictures {'shows' if one else 'show'} one colour "
        f"and nothing else as the model sees {'it' if one else 'them'}: "
        f"{_listed(blank.examples, blank.count)}."
    )
    if blank.middle:
        others = blank.count != blank.middle
        said += (
            f" {f'{blank.middle:,} of them show' if others else 'There is'} something at "
            "the ends, which the model never sees."
        )
    if blank.pages:
        said += (
            f" {blank.pages:,} of these files {'has' if blank.pages == 1 else 'have'} several "
            "pages, and only the first is read."
        )
    if blank.white == blank.count:
        said += (
            " All of these are white. Transparent pictures are laid on white, where white "
            "drawings disappear: save them on another ground."
        )
    return said


def pages_sentence(pages: SeveralPages) -> str:
    """Say how many pages are not read."""
    files = "1 file holds" if pages.files == 1 else f"{pages.files:,} files hold"
    return (
        f"{files} several pages, {pages.pages:,} in all, and only the first page of each is "
        f"read: {_listed(pages.examples, pages.files)}. Save pages that are pictures of their "
        "own as files of their own."
    )


def _listed(examples: Sequence[str], count: int) -> str:
    """Name some, and how many more there are."""
    more = count - len(examples)
    return shorten(examples) + (f" and {more:,} more" if more else "")
