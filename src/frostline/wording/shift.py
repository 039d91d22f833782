"""How far images lie from what a network knows, in words; none says more than was measured."""

from __future__ import annotations

from frostline.core.plan import ShiftEvidence

_BATCHNORM, _NOTHING, _SOURCE = "batchnorm", "none", "source pictures"

_NEAR = {
    "similar": "look like",
    "moderate": "differ somewhat from",
    "different": "differ from",
}
_TO_THE_NETWORK = {
    "similar": "look to this network like",
    "moderate": "look to this network somewhat unlike",
    "different": "look to this network unlike",
}
_KINDS = {
    "input": "mostly in the first layers, as another camera, contrast or noise shifts them",
    "feature": "mostly in the last layers, as other content shifts them",
    "global": "at every depth alike",
}


def shift_label(shift: ShiftEvidence) -> str:
    """Return the label as people read it."""
    return "not known" if shift.label == "unknown" else shift.label


def compared_with(shift: ShiftEvidence) -> str:
    """Name what the images were compared with."""
    if shift.measure in (_BATCHNORM, _NOTHING):
        return "the network's pretraining images"
    if shift.measure == _SOURCE:
        return f"{shift.n_reference} pictures of the network's pretraining"
    if not shift.n_reference:
        # of earlier versions
        return "crops of two ordinary photos"
    return f"the {shift.n_reference} photos that come with Frostline"


def looks(shift: ShiftEvidence) -> str:
    """Say how images compare with others, as the rest of a sentence about them."""
    if shift.label == "unknown":
        return "lie at a distance from the network's pretraining images that is not known"
    near = _NEAR if shift.measure in (_BATCHNORM, _SOURCE) else _TO_THE_NETWORK
    return f"{near[shift.label]} {compared_with(shift)}"


def shift_sentence(shift: ShiftEvidence) -> str:
    """Say how far the images lie from what the network knows, and where."""
    if shift.label == "unknown":
        return (
            "How far these images lie from the network's pretraining images is not known, so it "
            "decided nothing."
        )
    low, high = shift.interval
    kind = _KINDS.get(shift.kind)
    where = "" if shift.label == "similar" or kind is None else f", {kind}"
    return f"They {looks(shift)} (shift {shift.distance:.2f} [{low:.2f}, {high:.2f}]){where}."


def chart_words(shift: ShiftEvidence) -> str:
    """Say what the shift of every layer is, below its chart."""
    if shift.measure == _BATCHNORM:
        return (
            "How far your images lie from those of the pretraining at each layer, by the mean and "
            "spread that its norm layers stored: 0 means both are the same. No label was used."
        )
    if shift.measure == _SOURCE:
        return (
            f"How far your images lie from {compared_with(shift)} at each layer: 0 means that they "
            "are the same on average, 1 that they lie as far as one more of these pictures. No "
            "label was used."
        )
    return (
        f"How far your images lie from {compared_with(shift)} at each layer: 0 means that mean and "
        "spread are the same. The network stores nothing of its pretraining images, which may be "
        "others. No label was used."
    )


def chart_unit(measure: str) -> str:
    """Return what the shift is counted in, by the way it was measured."""
    return _UNITS.get(measure, f"shift ({measure})")


_UNITS = {
    _SOURCE: "shift (1: as far as one more picture of the pretraining)",
    _BATCHNORM: "shift (squared standard deviations of the old data)",
    "reference pictures": "shift (squared standard deviations of photos)",
    "reference photos": "shift (squared standard deviations of photos)",
}
