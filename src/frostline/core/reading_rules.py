"""How files become RGB values; a model keeps the rules that its images of training were read by."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ValueRange(BaseModel):
    """The values that become black and white; what lies beyond is clipped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"black ({self.low:g}) must lie below white ({self.high:g})")
        return self


class ReadingRules(BaseModel):
    """How pixel values of a file are read: one rule for a whole set, never one for each image.

    A model predicts by the rules that it was fitted by, so that a value means then what it meant
    in training.

    - ``version``: 1: models of formats 1 to 3, which stretch 32-bit values image by image, take
      every fourth band for transparency and ignore colour profiles. 2: the rules below.
    - ``integers``: of greys with more than 8 bits, measured over the images of training. None: 16
      bits count from 0 to 65535, and 32-bit values are refused, as nobody knows what they mean.
    - ``floats``: of floating-point greys; None: they are refused.
    - ``fourth_band``: what a fourth band is that a file calls transparency; ``"ignored"`` where it
      varies over whole images of training as a measured band does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1, 2] = 2
    integers: ValueRange | None = None
    floats: ValueRange | None = None
    fourth_band: Literal["transparency", "ignored"] = "transparency"

    @model_validator(mode="after")
    def _first_version_measures_nothing(self) -> Self:
        if self.version == 1 and self != ReadingRules.model_construct(version=1):
            raise ValueError("version 1 has no other rules")
        return self


#: what is read where nothing was measured
DEFAULT_RULES = ReadingRules()
#: what models of formats 1 to 3 read by
FIRST_RULES = ReadingRules(version=1)
