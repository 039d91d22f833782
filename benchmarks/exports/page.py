"""The figures in docs/export.md, from benchmarks/results/exports.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import write_between_marks

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
_FORMS = {
    "native": "`frostline predict RUN`",
    "onnx": "`--to onnx`",
    "int8": "`--to onnx --quantize int8`",
    "program": "`--to torch`: program (.pt2)",
    "state dict": "`--to torch`: weights in timm",
}


def write_figures(found: dict[str, Any]) -> None:
    """Replace the figures of the page."""
    write_between_marks(PAGE, figures(found))


def figures(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    first = next(iter(found.values()))
    lines = [
        f"EfficientNet-Lite0, 224 px, {first['machine']['cores']} cores, "
        f"{first['machine']['date']}.",
        "",
        "**The same answers.** ONNX Runtime alone, fed with whole decoded files, beside "
        "`frostline predict`:",
        "",
        "| images | files | same class | largest difference of a probability | median | "
        "files beyond 0.001 |",
        "|---|---|---|---|---|---|",
        *(_parity(name, entry["parity"], "onnx") for name, entry in found.items()),
        "",
        *_why(found),
        "",
        "**8 bits.**",
        "",
        "| images | judged on | keep their class | accuracy before | after | recipe | "
        "layers in float32 |",
        "|---|---|---|---|---|---|---|",
        *(_int8(name, entry["int8"]) for name, entry in found.items()),
        "",
        "**Size, and milliseconds for one prepared image** (median, batches of one, two threads):",
        "",
        "| form | " + " | ".join(f"{name}: MB | ms" for name in found) + " |",
        "|---|" + "---|---|" * len(found),
        *(_form(form, words, found) for form, words in _FORMS.items()),
        "",
    ]
    return "\n".join(lines)


def _parity(name: str, entry: dict[str, Any], form: str) -> str:
    row = entry[form]
    return (
        f"| {name} | {entry['images']} | {row['same_class']} | {row['largest']:.1g} | "
        f"{row['median']:.1g} | {row['images_beyond_0.001']} |"
    )


def _why(found: dict[str, Any]) -> list[str]:
    grey = max(entry["parity"]["largest_grey_difference"] for entry in found.values())
    share = max(entry["parity"]["share_of_pixels_off"] for entry in found.values())
    margin = max(entry["parity"]["onnx"]["largest_margin_of_others"] for entry in found.values())
    return [
        f"The differences come from resizing: inside the file at most {share:.2%} of the pixels "
        f"are another grey level, by {grey:.0f} at most. Fed with prepared images, the file gives "
        "the model's probabilities to within 0.0001. Where another class won, the model itself "
        f"gave both the same to within {margin:.1g}."
    ]


def _int8(name: str, loss: dict[str, Any]) -> str:
    before, after = loss["accuracy_before"], loss["accuracy"]
    return (
        f"| {name} | {loss['judged_on']} | {loss['same_class'] / loss['judged_on']:.1%} | "
        f"{before:.1%} | {after:.1%} | {loss['recipe']} | "
        f"{loss['layers_in_float']} of {loss['layers']} |"
    )


def _form(form: str, words: str, found: dict[str, Any]) -> str:
    cells = []
    for entry in found.values():
        size, time = entry["forms"].get(form), entry["milliseconds"].get(form)
        cells.append("" if size is None else f"{size['bytes'] / 1e6:.1f}")
        cells.append("" if time is None else f"{time:.1f}")
    return f"| {words} | {' | '.join(cells)} |"
