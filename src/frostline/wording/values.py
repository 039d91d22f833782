"""How values that are not plain 8 bits are read, in words."""

from __future__ import annotations

from frostline.data.decoding.value_ranges import SetValues


def values_sentences(values: SetValues) -> list[str]:
    """Say how values are read that are not plain 8 bits; nothing where all are."""
    said = []
    unit = " (Hounsfield units)" if values.hounsfield else ""
    for count, what, span in (
        (values.integers, f"more than 8 bits{unit}", values.rules.integers),
        (values.floats, "floating-point values", values.rules.floats),
    ):
        if span is not None:
            said.append(
                f"{count:,} files hold {what}: in all of them {span.low:g} is black and "
                f"{span.high:g} is white, as the whole set was measured."
            )
    if values.white_is_zero:
        said.append(f"{values.white_is_zero:,} files count from white to black, and are turned.")
    if values.rules.fourth_band == "ignored":
        said.append(
            f"The fourth band of {values.transparent:,} measured files varies everywhere, as a "
            "sensor's does and transparency does not: it is left out."
        )
    if values.unexplained_bands:
        said.append(
            f"{values.unexplained_bands:,} files have a fourth band of which nothing says what "
            "it is: it is left out."
        )
    if values.dark_colour:
        said.append(
            f"{values.dark_colour:,} files of 16-bit colour use so few of their bits that they "
            "are read nearly black: save them with 8 bits a channel."
        )
    if said and values.measured < values.candidates:
        said.append(f"Measured on {values.measured:,} of {values.candidates:,} such files.")
    return said
