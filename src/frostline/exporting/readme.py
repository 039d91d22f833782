"""The README of a published model: where it comes from, how good it is, how to use it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frostline._version import __version__
from frostline.core.task import Task
from frostline.exporting.description import answering, loading, padded_words, resized_words, running
from frostline.exporting.library_names import TIMM
from frostline.model_format.card import ModelCard
from frostline.onnx_graph.session import OUTPUT, VALUES
from frostline.wording.metrics import METRICS
from frostline.wording.numbers import plural
from frostline.wording.onnx_outputs import further_outputs
from frostline.wording.tasks import TASKS

if TYPE_CHECKING:
    from frostline.exporting.pytorch.state import Plain

_SHOWN = 50
#: licences that hubs know by a name of their own
_KNOWN = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "bsd-3-clause": "bsd-3-clause",
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0",
    "cc-by-nc-4.0": "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "cc0": "cc0-1.0",
}
_METHODS = {
    "given": "on the given test part",
    "held-out": "on a held-out part",
    "cross-validation": "by cross-validation of the whole procedure",
}


@dataclass(frozen=True)
class _Words:
    """What a README calls things: ``tags`` and ``pipeline`` of hubs, and the rest for people.

    ``does`` says what the model does, given the names of its outputs; ``heading`` stands above
    these.
    """

    tags: tuple[str, ...]
    pipeline: str | None
    does: Callable[[Sequence[str]], str]
    heading: str


def _of_grades(names: Sequence[str]) -> str:
    first, last = _plain_text(names[0]), _plain_text(names[-1])
    return f"Tells which of {len(names)} grades an image has, from {first} to {last}"


_CLASSIFIES = "image-classification"
_KINDS: dict[Task, _Words] = {
    "single": _Words(
        (_CLASSIFIES,),
        _CLASSIFIES,
        lambda names: f"Classifies images into {len(names)} classes",
        "Classes",
    ),
    "ordinal": _Words(
        (_CLASSIFIES, "ordinal-regression"), _CLASSIFIES, _of_grades, "Grades, the lowest first"
    ),
    "multilabel": _Words(
        (_CLASSIFIES, "multi-label-image-classification"),
        _CLASSIFIES,
        lambda names: f"Tells which of {plural(len(names), 'label')} an image has, perhaps none",
        "Labels",
    ),
    # hubs have no pipeline for numbers of images
    "regression": _Words(
        ("image-regression",),
        None,
        lambda names: f"Predicts {plural(len(names), 'number')} of an image",
        "Numbers",
    ),
}
#: scores of a card beside accuracy, and how they are said
_SCORES = {
    "mean_average_precision": ("Mean average precision (over labels)", "{:.1%}"),
    "micro_f1": ("F1 of all labels together", "{:.1%}"),
    "macro_f1": ("F1, mean over outputs", "{:.1%}"),
    "qwk": ("Quadratically weighted kappa", "{:.3f}"),
    "r2": ("R2 (share of the variance that is explained)", "{:.3f}"),
    "mae": ("Mean absolute error", "{:.4g}"),
}


def readme(card: ModelCard, *, name: str, plain: Plain | None, reason: str) -> str:
    """Return the README as Markdown, with the header that hubs read.

    ``name``: of the folder. ``plain``: what ``model.safetensors`` is, in a library's terms.
    ``reason``: why it is nothing of a library's; a clause.
    """
    parts = [
        _header(card, plain),
        f"# {_plain_text(name)}",
        _what(card),
        "## How good",
        _scores(card),
        "## Use",
        _use(card, plain, reason),
        f"## {_KINDS[card.task].heading}",
        _classes(card),
        "## Licence and data",
        _licence(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(card: ModelCard, plain: Plain | None) -> str:
    known = _KNOWN.get(card.weights_licence.lower())
    of_timm = plain is not None and plain.architecture.library == TIMM
    words = _KINDS[card.task]
    tags = [*words.tags, "frostline", "onnx", *(["timm"] if of_timm else [])]
    lines: list[tuple[str, Any]] = [
        *([("pipeline_tag", words.pipeline)] if words.pipeline else []),
        ("library_name", "timm" if of_timm else "onnx"),
        ("license", known or "other"),
        *([] if known else [("license_name", card.weights_licence)]),
        ("tags", tags),
    ]
    # every JSON value is one of YAML as well
    values = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in lines]
    return "\n".join(["---", *values, "---"])


def _what(card: ModelCard) -> str:
    kind = card.action.dispatch(
        head=lambda _: "a new head on frozen layers",
        layers=lambda action: (
            "upper layers trained, lower ones frozen" if action.frozen_to else "all layers trained"
        ),
        blend=lambda _: "the average of several classifiers",
    )
    removed = f" Layers above `{card.cut}` were removed." if card.cut else ""
    return (
        f"{_KINDS[card.task].does(card.classes)}. Made from "
        f"`{_plain_text(card.backbone)}` by Frostline {__version__}: {kind}, fitted on "
        f"{card.n_train:,} images.{removed}"
    )


def _scores(card: ModelCard) -> str:
    test, lines = card.test, []
    if test.method is None and test.accuracy is None:
        return "\n".join(["- It was not judged.", *(f"- {said}" for said in _operating(card))])
    method = "" if test.method is None else f" {_METHODS[test.method]}"
    images = "images" if test.n is None else f"{test.n:,} images"
    measured = f",{method} with {images}."
    if test.accuracy is not None:
        span = _span(test.accuracy_interval, "{:.1%}")
        lines.append(f"- Accuracy {test.accuracy:.1%}{span}{measured}")
    for value, words in (
        (test.balanced_accuracy, "Balanced accuracy (the mean over classes)"),
        (test.expected_accuracy, "Accuracy to expect of this model, fitted on all images"),
    ):
        if value is not None:
            lines.append(f"- {words}: {value:.1%}.")
    more = test.model_extra or {}
    # over columns of different units a mean has none
    units = card.task == "regression" and len(card.classes) > 1
    for name, (words, form) in _SCORES.items():
        if more.get(name) is not None and not (units and name == "mae"):
            span = _span(more.get(f"{name}_interval"), form)
            end = "." if lines else measured
            lines.append(f"- {words}: {form.format(more[name])}{span}{end}")
    lines += [f"- {said}" for said in _operating(card)]
    if card.metric != "accuracy" and card.target.exclusive:
        lines.append(f"- Made for {METRICS[card.metric]} rather than accuracy.")
    return "\n".join(lines)


def _operating(card: ModelCard) -> list[str]:
    """Say how sure predictions are: calibration, sets, intervals, a bound on wrong answers."""
    said, words = [], TASKS[card.task]
    link = card.target.link_name
    if link == "softmax":
        said.append("Probabilities are calibrated (temperature scaling).")
    elif link == "sigmoid":
        said.append("Probabilities are calibrated label by label, and do not add up to 1.")
    if card.sets is not None:
        said.append(
            f"`set_95` names the {words.many} that an image may be of: {card.sets.level:.0%} of "
            f"them are meant to hold the true one (conformal, from {card.sets.n_images:,} images "
            "that did not teach)."
        )
    known = [one for one in card.label_sets if one is not None]
    if known:
        few = len(card.label_sets) - len(known)
        rest = f" Of {plural(few, 'label')} too few images tell." if few else ""
        said.append(
            "`set_95` says of each label whether it is present, absent or either, so that it "
            f"holds for {known[0].level:.0%} of new images that have the label and of those that "
            "do not (conformal, from images that did not teach)."
            f"{rest}"
        )
    if card.intervals is not None:
        reach = card.intervals.reach.tolist()
        each = [
            f"no interval of {_plain_text(name)}, for too few images"
            if math.isnan(radius)
            else f"±{radius:.4g} around {_plain_text(name)}"
            for name, radius in zip(card.classes[:_SHOWN], reach, strict=False)
        ]
        said.append(
            f"`interval` is meant to hold the true number for {card.intervals.level:.0%} of new "
            f"images (conformal, from images that did not teach): {', '.join(each)}."
        )
    if card.at_most_wrong is not None:
        what = "labels of an image" if link == "sigmoid" else "answers"
        said.append(
            f"`abstain` marks {what} that are too unsure for at most {card.at_most_wrong:.3g} "
            "of the others to be wrong."
        )
    return said


def _span(interval: Sequence[float | None] | None, form: str) -> str:
    """Say where a score lies, where that is known."""
    if interval is None or None in interval:
        return ""
    low, high = (form.format(end) for end in interval)
    return f" (95 %: {low} to {high})"


def _use(card: ModelCard, plain: Plain | None, reason: str) -> str:
    preprocessing = card.preprocessing
    told = VALUES if card.target.link_name == "identity" else OUTPUT
    parts = [
        "Without PyTorch; any RGB image, prepared inside the file:",
        _code(
            "import numpy as np, onnxruntime\nfrom PIL import Image\n\n"
            'session = onnxruntime.InferenceSession("model.onnx")\n'
            'image = np.asarray(Image.open("image.jpg").convert("RGB"))\n'
            f'{told} = session.run(["{told}"], {{"image": image}})[0]'
        ),
        *_more_outputs(card),
        *_answer(card),
        f"For PyTorch, `images` are RGB tensors (n, 3, {preprocessing.size}, "
        f"{preprocessing.size}): {resized_words(preprocessing)} "
        f"({preprocessing.interpolation}), the centre kept{padded_words(preprocessing)}, scaled to "
        f"[0, 1], minus "
        f"{list(preprocessing.mean)}, divided by {list(preprocessing.std)}.",
    ]
    if plain is None:
        parts += [
            f"It is a program of `torch.export`, as {_plain_text(reason)}:",
            _code(running("model.pt2", card)),
        ]
    else:
        code = loading(plain, "model.safetensors", card)
        if plain.head:
            code = code.replace(
                'weight, bias = state.pop("head.weight"), state.pop("head.bias")',
                'head = load_file("head.safetensors")\n'
                'weight, bias = head["head.weight"], head["head.bias"]',
            )
        parts.append(_code(code))
    parts += [
        "With Frostline, which reads any image file:",
        _code('import frostline\n\nfrostline.load("this folder").predict(["image.jpg"])'),
    ]
    return "\n\n".join(parts)


def _more_outputs(card: ModelCard) -> list[str]:
    """What the ONNX file tells beside its predictions."""
    there = {
        "unfamiliarity": card.familiar is not None,
        "set_95": card.sets is not None or any(card.label_sets),
        "abstain": card.at_most_wrong is not None,
        "interval": card.intervals is not None,
    }
    said = further_outputs(card.task, [name for name, known in there.items() if known])
    return [said] if said else []


def _answer(card: ModelCard) -> list[str]:
    """How a class follows where that is not the likeliest one."""
    code = answering(card)
    words = "Which class is answered, by what the model was made for:"
    if card.target.link_name == "sigmoid":
        words = "Which labels an image has; each has a threshold of its own:"
    return [words, _code(code)] if code else []


def _classes(card: ModelCard) -> str:
    lines = [f"- {_plain_text(name)}" for name in card.classes[:_SHOWN]]
    more = len(card.classes) - _SHOWN
    if more > 0:
        lines.append(f"- and {more:,} more, in `config.json`")
    return "\n".join(lines)


def _licence(card: ModelCard) -> str:
    source = f" (`{_plain_text(card.source)}`)" if card.source else ""
    return (
        f"The weights were trained from `{_plain_text(card.backbone)}`, whose weights are under: "
        f"{_plain_text(card.weights_licence)}. What is trained from them inherits these terms. "
        f"The images that it was fitted on{source} are not part of this folder; state here where "
        "they come from and under which terms."
    )


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _plain_text(text: str) -> str:
    """Take away what Markdown or HTML would read as more than text."""
    return "".join(" " if c in "`<>|*[]\\\n\r" else c for c in text).strip()
