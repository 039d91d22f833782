"""What a comparison of two models found, in words."""

from __future__ import annotations

from collections.abc import Sequence

from frostline.core.comparison_record import (
    AnswersOnly,
    ComparisonCaveat,
    ComparisonRecord,
    ImagesNotFound,
    LabelsDiffer,
    LeanComparison,
    LeftOutAsTaught,
    NonInferiority,
    OtherOutputs,
    OutOfFold,
    PartComparison,
    ScoreComparison,
    TrainedOnOthersTest,
    TrainingUnknown,
    UnusedDimension,
    Which,
)
from frostline.core.task import Task
from frostline.wording.numbers import is_number, listed, number, percent, plural
from frostline.wording.tasks import TASKS

#: scores as they are said
SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "cost": "cost of an answer",
    "mean_average_precision": "mean average precision",
    "average_precision": "average precision",
    "micro_f1": "F1 of all labels together",
    "exact_match": "all labels right",
    "labels_right": "labels right",
    "qwk": "quadratically weighted kappa",
    "mae": "mean absolute error",
    "within_one": "at most one grade off",
    "r2": "R2",
    "recall": "recall",
    "distance": "distance from the truth, in standard deviations",
}
#: scores with a unit of their own, or on no scale of percent
_PLAIN = frozenset({"log_loss", "cost", "mae", "distance", "qwk", "r2"})
_PARTS = {"output": "", "hour": "hour of the day", "size": "size (megapixels)"}
_UNUSED = {
    "one value": "all images have the same {dimension}",
    "not known": "no image tells its {dimension}",
    "too many values": "{dimension} has {values:,} values, too many to look at one by one",
}
_COLUMN = "column "
#: between the labels or numbers of one image
_BETWEEN = ";"


def score_words(name: str) -> str:
    """Return what a score is called, as a heading begins."""
    said = SCORES.get(name, name)
    return said[:1].upper() + said[1:]


def value_words(name: str, value: float) -> str:
    """Return the value of a score."""
    return number(value) if name in _PLAIN else percent(value)


def change_words(name: str, value: float | None) -> str:
    """Return the difference of a score, with its sign; shares in points."""
    if not is_number(value):
        return "unknown"
    if name in _PLAIN:
        return f"{value:+.3f}" if abs(value) >= 0.001 or not value else f"{value:+.1g}"
    return f"{100 * value:+.1f}"


def interval_words(name: str, ends: Sequence[float | None]) -> str:
    """Return both ends of the interval of a difference."""
    return f"{change_words(name, ends[0])} to {change_words(name, ends[1])}"


def difference_words(one: ScoreComparison) -> str:
    """Say both scores and their difference in one line."""
    unit = "" if one.score in _PLAIN else " points"
    return (
        f"{value_words(one.score, one.a)} to {value_words(one.score, one.b)}: "
        f"{change_words(one.score, one.difference)}{unit} "
        f"(95 %: {interval_words(one.score, one.interval)})"
    )


def verdict_words(record: ComparisonRecord) -> str:
    """Say in a few words which model is better by the score that counts."""
    one = record.scores[0]
    low, high = one.interval
    if not (is_number(low) and is_number(high)) or low <= 0.0 <= high:
        return "No difference shown"
    return "B is better" if (one.difference > 0) != one.lower_is_better else "B is worse"


def verdict_sentence(record: ComparisonRecord) -> str:
    """Say which model is better by the score that counts, and how sure that is."""
    one = record.scores[0]
    low, high = one.interval
    said = f"{score_words(one.score)}: {difference_words(one)}"
    if not (is_number(low) and is_number(high)):
        return f"{said}. So few images tell nothing of how sure that is."
    if low <= 0.0 <= high:
        return f"{said}. These images show no difference."
    return f"{said}. {verdict_words(record)}."


def non_inferiority_sentence(found: NonInferiority) -> str:
    """Say whether the second model is no worse than was allowed."""
    least = found.gain_at_least
    unit = "" if found.score in _PLAIN else " points"
    margin = number(found.margin) if found.score in _PLAIN else number(100 * found.margin)
    said = (
        "nothing is sure"
        if least is None
        else f"with 95 % confidence (one-sided) it is at most {_loss(found.score, least)}{unit} "
        "worse"
        if least < 0
        else "with 95 % confidence (one-sided) it is not worse at all"
    )
    ends = "passed" if found.passed else "failed"
    return f"B may be {margin}{unit} worse than A in {SCORES[found.score]}: {ends}, {said}."


def judged_sentence(record: ComparisonRecord) -> str:
    """Say which images were judged."""
    images = plural(record.images, "image")
    groups = "" if record.groups == record.images else f" ({plural(record.groups, 'group')})"
    if record.source:
        return f"{images}{groups} of {record.source}, which both models predicted."
    return (
        f"{images}{groups} that both runs judged: A had judged {record.judged_by_a:,}, "
        f"B {record.judged_by_b:,}, and they share {record.shared:,}."
    )


def correction_sentence(record: ComparisonRecord) -> str:
    """Say how many parts were tested, and what that means for each."""
    n = len(record.parts)
    if not n:
        return "No part of the images was large enough to be tested."
    few, small = "", len(record.untested)
    if small:
        few = (
            f" {plural(small, 'part')} with fewer than {record.fewest_images} images, or "
            f"{record.fewest_groups} groups, {'was' if small == 1 else 'were'} not tested."
        )
    return (
        f"{plural(n, 'part')} tested; p-values are corrected for all of them together (Holm), so "
        f"that any false alarm has a chance of at most 5 %.{few}"
    )


def lean_sentence(one: LeanComparison) -> str:
    """Say how much either model leans on a fact that should not matter."""
    unit = "" if one.score in _PLAIN else " points"
    more = {
        "a": "A leans on it more.",
        "b": "B leans on it more.",
        "neither": "Neither surely leans on it more than the other.",
    }[one.verdict]
    return (
        f"The {one.fact} tells the label of these images by itself. On images whose {one.fact} is "
        f"more frequent in their class than in all, A does better by "
        f"{change_words(one.score, one.a)} (95 %: {interval_words(one.score, one.a_interval)}) and "
        f"B by {change_words(one.score, one.b)} "
        f"({interval_words(one.score, one.b_interval)}){unit} in {SCORES[one.score]}. {more}"
    )


def unused_words(found: Sequence[UnusedDimension]) -> str:
    """Say by what images were not told apart."""
    said = [
        _UNUSED[one.reason].format(dimension=dimension_words(one.dimension), values=one.values)
        for one in found
    ]
    return f"Not divided: {'; '.join(said)}." if said else ""


def dimension_words(dimension: str, task: Task = "single") -> str:
    """Return what a dimension is called."""
    if dimension == "output":
        return TASKS[task].one
    if dimension.startswith(_COLUMN):
        return dimension.removeprefix(_COLUMN)
    return _PARTS.get(dimension, dimension)


def answer_words(said: str, task: Task) -> str:
    """Return what is true of an image, or was answered, for people: numbers in few digits."""
    if not said:
        return "nothing"
    if task != "regression":
        return said.replace(_BETWEEN, f"{_BETWEEN} ") if task == "multilabel" else said
    each = said.split(_BETWEEN)
    return f"{_BETWEEN} ".join(one if one == "?" else f"{float(one):.4g}" for one in each)


def part_words(one: PartComparison, task: Task) -> str:
    """Say how one part differs."""
    unit = "" if one.score in _PLAIN else " points"
    return (
        f"{dimension_words(one.dimension, task)} {one.value}: "
        f"{change_words(one.score, one.difference)}{unit} in {SCORES[one.score]} "
        f"({plural(one.images, 'image')}, p {p_words(one.p_adjusted)})"
    )


def p_words(p: float) -> str:
    """Return a p-value as people read it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def flips_sentence(record: ComparisonRecord) -> str:
    """Say how many images flipped each way."""
    near = (
        " Numbers count as right within half a standard deviation."
        if record.task == "regression"
        else ""
    )
    return (
        f"B alone gets {plural(len(record.won), 'image')} right, A alone "
        f"{len(record.lost):,}; both are right on {record.both_right:,} and wrong on "
        f"{record.both_wrong:,}.{near}"
    )


def comparison_caveat(caveat: ComparisonCaveat) -> str:
    """Say one caveat."""
    match caveat:
        case OtherOutputs(only_a=only_a, only_b=only_b, images=images):
            alone = [
                f"{which} alone knows {listed([f'{name!r}' for name in names])}"
                for which, names in (("A", only_a), ("B", only_b))
                if names
            ]
            left = f"; {plural(images, 'image')} of these left out" if images else ""
            return f"The models know different things: {', and '.join(alone)}{left}."
        case TrainedOnOthersTest(model=model, images=images, of=of):
            return (
                f"{_NAMES[model]} was trained on {images:,} of the {of:,} images that judged "
                f"{_NAMES[_OTHER[model]]}, or on copies of them. They are not judged here."
            )
        case LeftOutAsTaught(a=a, b=b, images=images, copies=copies):
            same = f", {copies:,} of them as copies of such" if copies else ""
            return (
                f"{plural(images, 'image')} left out, because a model was trained on "
                f"{'it' if images == 1 else 'them'}: A on {a:,}, B on {b:,}{same}."
            )
        case OutOfFold(models=models):
            return (
                f"{_both(models)} judged by cross-validation: every image by a model that never "
                "saw it, not by the one that was delivered."
            )
        case LabelsDiffer(images=images):
            return f"{plural(images, 'image')} with different labels in both runs left out."
        case TrainingUnknown(models=models):
            return (
                f"What {_both(models)} trained on is not known: images that taught it would "
                "flatter it."
            )
        case AnswersOnly(models=models):
            return (
                f"The {'runs of' if len(models) > 1 else 'run of'} {_named(models)} kept answers "
                "without their probabilities, so scores that need these are missing."
            )
        case ImagesNotFound(images=images, of=of):
            return (
                f"{images:,} of the {of:,} images are not where they were: they have no pictures, "
                "and are in no slice that needs them."
            )


_NAMES: dict[Which, str] = {"a": "A", "b": "B"}
_OTHER: dict[Which, Which] = {"a": "b", "b": "a"}


def _named(models: Sequence[Which]) -> str:
    return " and ".join(_NAMES[one] for one in models)


def _both(models: Sequence[Which]) -> str:
    return f"{_named(models)} {'was' if len(models) == 1 else 'were'}"


def _loss(score: str, least: float) -> str:
    return number(-least) if score in _PLAIN else number(-100 * least, 2)
