"""Whether what should not matter gives the label away, as data: a part of ``metrics.json``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from frostline.core.json_record import JsonRecord

Count = Annotated[int, Field(ge=0)]
Interval = tuple[float, float]
#: what is known of an image apart from what it shows
FactGroupName = Literal["file", "camera", "compression", "colour", "border"]
FactName = Literal[
    "file type",
    "pixel mode",
    "file size",
    "pixel size",
    "shape",
    "camera",
    "orientation",
    "hour",
    "month",
    "JPEG quality",
    "JPEG tables",
    "JPEG subsampling",
    "bytes a pixel",
    "mean colour",
    "border colour",
]
#: facts that what a picture shows decides in part ...
OF_CONTENT: frozenset[FactName] = frozenset({"file size", "bytes a pixel", "mean colour"})
#: ... or may decide: a blue border may be the sea
MAYBE_OF_CONTENT: frozenset[FactName] = OF_CONTENT | {"border colour", "shape"}
#: - ``"warning"``: the model does worse where the pattern is broken, and on images of a value that
#:   it had not learned from.
#: - ``"inseparable"``: classes have a value of their own, so nothing tells them from it.
#: - ``"note"``: the facts tell the label, and nothing shows that the model rests on them.
#: - ``"nothing"``: they do not tell it.
Verdict = Literal["nothing", "note", "inseparable", "warning"]


class FactValue(JsonRecord):
    """Images of one value of a fact.

    Attributes
    ----------
    value : str
    colour : str
        As ``"#rrggbb"``, where the value is one.
    images, judged : int
        That have it, and those of them whose class has images of other values.
    usual, left_out : float or None
        Plain score of the judged ones, by fits without the image, and by the fit without any image
        of this value; None where none is judged.
    """

    value: str
    colour: str = ""
    images: Count
    judged: Count
    usual: float | None = None
    left_out: float | None = None


class GivenAway(JsonRecord):
    """A class nearly all of whose images have one value, as ``others``, a share, have as well.

    ``label`` is empty where images have no one class: then it is a tenth of the numbers, or the
    images with a label.
    """

    label: str
    value: str
    others: float


class HonestScore(JsonRecord):
    """The score where a fact is no help: by exact leave-one-out, cut by its values.

    Two questions are answered. *How good is this model where the pattern is broken?* Every class is
    judged with each value counting as much as it does in all images. *How good is one that never
    saw the value?* Images of each value are judged by the fit without any of them.

    Attributes
    ----------
    fact : FactName
        By whose values images were cut: the most telling one of its group.
    images, judged : int
        Looked at, and those of them whose class has enough images of other values.
    one_valued : int
        Images of classes nearly all of whose images have one value.
    broken, broken_interval : float and (float, float)
        Score of all images where every class has each value as often as all images do; of 95 %.
    fall, fall_interval : float and (float, float)
        How much less that is than the usual score of the same images.
    with_pattern, against_pattern : float or None
        Usual score of images whose value is more frequent in their class than in all, and of the
        others, class by class; None where no class has both.
    usual : float or None
        Of the judged images; this and the following are None where too few can be judged.
    same_count : float or None
        Of the same where as many images of each class are left out, whatever their value: what
        having fewer images costs.
    left_out, left_out_interval : float and (float, float), or None
        The same where all images of the value are left out.
    drop, drop_interval : float and (float, float), or None
        ``same_count`` less ``left_out``.
    p_value, p_adjusted : float or None
        That not both ``fall`` and ``drop`` are there; adjusted for all groups that were followed
        up (Holm 1979).
    values : tuple of FactValue
    given_away : tuple of GivenAway
        Classes nearly all of whose images have one value that most others lack.
    """

    fact: FactName
    images: Count
    judged: Count
    one_valued: Count = 0
    broken: float
    broken_interval: Interval
    fall: float
    fall_interval: Interval
    with_pattern: float | None = None
    against_pattern: float | None = None
    usual: float | None = None
    same_count: float | None = None
    left_out: float | None = None
    left_out_interval: Interval | None = None
    drop: float | None = None
    drop_interval: Interval | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    values: tuple[FactValue, ...] = ()
    given_away: tuple[GivenAway, ...] = ()


class Confound(JsonRecord):
    """One group of facts.

    Attributes
    ----------
    group : FactGroupName
    facts : tuple of FactName
        That were looked at.
    score : float
        Of fits to these facts alone, by exact left-out outputs.
    chance : float
        What facts that tell nothing reach.
    p_value, p_adjusted : float
        That they tell nothing, by shuffling; adjusted for all groups (Holm 1979).
    honest : HonestScore or None
        None where they tell nothing.
    """

    group: FactGroupName
    facts: tuple[FactName, ...]
    score: float
    chance: float
    p_value: float
    p_adjusted: float
    verdict: Verdict = "nothing"
    honest: HonestScore | None = None


class UnusedFacts(JsonRecord):
    """A group of facts that tells nothing here: unknown, or the same of every image."""

    group: FactGroupName
    reason: Literal["not known", "one value"]


class ConfoundAudit(JsonRecord):
    """What facts about the files and colours of training images tell of their labels.

    Attributes
    ----------
    score : {"balanced_accuracy", "r2"}
        What every score here is.
    images : int
        Training images that were looked at, one of each group.
    usual : float or None
        Of the frozen features by exact leave-one-out, on these images; None where no group called
        for it.
    groups : tuple of Confound
    unused : tuple of UnusedFacts
    level : float
        The chance that any group is wrongly said to tell something.
    """

    score: Literal["balanced_accuracy", "r2"] = "balanced_accuracy"
    images: Count
    usual: float | None = None
    groups: tuple[Confound, ...] = ()
    unused: tuple[UnusedFacts, ...] = ()
    level: float = 0.05

    @property
    def telling(self) -> tuple[Confound, ...]:
        """Groups that tell the label."""
        return tuple(one for one in self.groups if one.verdict != "nothing")
