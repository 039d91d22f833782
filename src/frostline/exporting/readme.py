"""The README of a published model: where it comes from, how good it is, how to use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from frostline._version import __version__
from frostline.exporting.description import answering, loading, padded_words, resized_words, running
from frostline.exporting.library_names import TIMM
from frostline.model_format.card import ModelCard
from frostline.wording.metrics import METRICS

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
        "## Classes",
        _classes(card),
        "## Licence and data",
        _licence(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(card: ModelCard, plain: Plain | None) -> str:
    known = _KNOWN.get(card.weights_licence.lower())
    of_timm = plain is not None and plain.architecture.library == TIMM
    tags = ["image-classification", "frostline", "onnx", *(["timm"] if of_timm else [])]
    lines: list[tuple[str, Any]] = [
        ("pipeline_tag", "image-classification"),
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
        f"Classifies images into {len(card.classes)} classes. Made from "
        f"`{_plain_text(card.backbone)}` by Frostline {__version__}: {kind}, fitted on "
        f"{card.n_train:,} images.{removed}"
    )


def _scores(card: ModelCard) -> str:
    test = card.test
    if test.accuracy is None:
        return "It was not judged."
    span = ""
    if test.accuracy_interval is not None:
        low, high = test.accuracy_interval
        span = f" (95 %: {low:.1%} to {high:.1%})"
    method = "" if test.method is None else f" {_METHODS[test.method]}"
    images = "images" if test.n is None else f"{test.n:,} images"
    lines = [f"- Accuracy {test.accuracy:.1%}{span},{method} with {images}."]
    for value, words in (
        (test.balanced_accuracy, "Balanced accuracy (the mean over classes)"),
        (test.expected_accuracy, "Accuracy to expect of this model, fitted on all images"),
    ):
        if value is not None:
            lines.append(f"- {words}: {value:.1%}.")
    lines.append("- Probabilities are calibrated (temperature scaling).")
    if card.sets is not None:
        lines.append(
            f"- `set_95` names the classes that an image may be of: {card.sets.level:.0%} of them "
            f"are meant to hold the true one (conformal, from {card.sets.n_images:,} images that "
            "did not teach)."
        )
    if card.at_most_wrong is not None:
        lines.append(
            f"- `abstain` marks answers that are too unsure for at most {card.at_most_wrong:.3g} "
            "of the others to be wrong."
        )
    if card.metric != "accuracy":
        lines.append(f"- Made for {METRICS[card.metric]} rather than accuracy.")
    return "\n".join(lines)


def _use(card: ModelCard, plain: Plain | None, reason: str) -> str:
    preprocessing = card.preprocessing
    parts = [
        "Without PyTorch; any RGB image, prepared inside the file:",
        _code(
            "import numpy as np, onnxruntime\nfrom PIL import Image\n\n"
            'session = onnxruntime.InferenceSession("model.onnx")\n'
            'image = np.asarray(Image.open("image.jpg").convert("RGB"))\n'
            'probabilities = session.run(["probabilities"], {"image": image})[0]'
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
            _code(running("model.pt2")),
        ]
    else:
        code = loading(plain, "model.safetensors", len(card.classes))
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
    """What the ONNX file tells beside probabilities."""
    said = []
    if card.familiar is not None:
        said.append("`unfamiliarity` (N), above 1 for images unlike those of training")
    if card.sets is not None:
        said.append("`set_95` (N, classes), true for classes that the image may be of")
    if card.at_most_wrong is not None:
        said.append("`abstain` (N), true where the answer is too unsure")
    return [f"Further outputs: {'; '.join(said)}."] if said else []


def _answer(card: ModelCard) -> list[str]:
    """How a class follows where that is not the likeliest one."""
    code = answering(card.rule)
    return ["Which class is answered, by what the model was made for:", _code(code)] if code else []


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
