"""Which kind of thing is predicted of an image: the word for it, in settings and files."""

from __future__ import annotations

from typing import Literal

#: one of several classes; any number of labels; one of several grades in their order; numbers
Task = Literal["single", "multilabel", "ordinal", "regression"]
#: the same where the source may say it
TaskSetting = Literal["auto", "single", "multilabel", "ordinal", "regression"]
