"""Pages of the documentation that are written from recorded results.

    python -m benchmarks.figures                 # every page
    python -m benchmarks.figures speed growth    # some of them

What a page says stands in ``benchmarks/pages/``, a Jinja template for each; here is only what has
to be worked out for it. Of the pages on exports and serving only what stands between two marks is
written.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from benchmarks.labels_page import labels
from benchmarks.pixels_page import pixels

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"
_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
Result = Mapping[str, Any]
#: sets that share nothing, in both directions
_APART = {frozenset(("photos", "solar-cells")), frozenset(("digits", "clip-art"))}
_ECE_AIM, _AUROC_AIM = 0.03, 0.95
#: mean coverage of sets that should hold the truth for 95 %
_COVERAGE_AIM = (0.94, 0.97)
#: points of accuracy that answers of grades may cost
_GRADES_AIM = 0.5
#: steeper growth between two sizes is pointed out, where the larger one takes so many seconds
_STEEP, _WORTH_SECONDS = 1.15, 1.0
#: what took less cannot be compared
_TOO_SHORT = 0.05
_PEERS = {
    "finetune": "Frostline `--strategy finetune`",
    "fastai": "fastai `fine_tune(4)`",
    "lightning": "Lightning `BackboneFinetuning`, 1 + 4 epochs",
    "autogluon": "AutoGluon `MultiModalPredictor`, its own recipe",
    "plain": "plain PyTorch loop, head only, 10 epochs",
}
_ENGINES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}
_FORMS = {
    "native": "`frostline predict RUN`",
    "onnx": "`--to onnx`",
    "int8": "`--to onnx --quantize int8`",
    "program": "`--to torch`: program (.pt2)",
    "state dict": "`--to torch`: weights in timm",
}


def main() -> None:
    """Write the pages that are named, or all."""
    for name in sys.argv[1:] or PAGES:
        write(name)


def write(name: str) -> None:
    """Write a page of the documentation from what was recorded for it."""
    page = DOCS / f"{name}.md"
    page.write_text(rendered(name, page.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(name: str, before: str) -> str:
    """Return a page with its figures; ``before`` is what it says now."""
    recorded, context = PAGES[name]
    found = json.loads((RESULTS / f"{recorded}.json").read_text(encoding="utf-8"))
    figures = _environment().get_template(f"{name}.md").render(context(found))
    if _BEGIN not in before:
        return figures
    head, _, rest = before.partition(_BEGIN)
    return f"{head}{_BEGIN}{figures}{_END}{rest.partition(_END)[2]}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.ChainableUndefined,
        # pages are Markdown, and every result is our own
        autoescape=False,
    )
    environment.filters |= {
        "f": _formatted,
        "listed": _listed,
        "mean": _mean,
        "over": lambda value, by: value / by if isinstance(value, int | float) else value,
        "plain": lambda name: name.replace("-", " "),
        "span": _span,
        "each": lambda values, spec: ", ".join(_formatted(value, spec) for value in values),
    }
    return environment


def _span(ends: Sequence[float], digits: int) -> str:
    """A difference with its interval, signs told; nothing where all three are 0."""
    if not any(ends):
        return ""
    told = [f"{value:+.{digits}f}".replace("-", "\u2212") for value in ends]
    return f"{told[0]} ({told[1]} to {told[2]})"


def _formatted(value: Any, spec: str) -> str:
    """A number as ``format`` writes it; nothing for one that was not recorded."""
    missing = value is None or isinstance(value, jinja2.Undefined)
    return "" if missing else format(value, spec)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _mean(runs: Sequence[Result], key: str) -> float:
    """Mean of a value over the runs that have it; keys within keys are joined by dots."""
    values: list[Any] = list(runs)
    for name in key.split("."):
        values = [value[name] for value in values if value and value.get(name) is not None]
    return statistics.fmean(values)


def _confidence(found: Result) -> Result:
    models: Mapping[str, Result] = found["unknown"]
    kinds = list(dict.fromkeys(kind for model in models.values() for kind in model["others"]))
    apart: list[str] = []
    close: list[str] = []
    for name, model in models.items():
        for other, row in model["others"].items():
            if other in models and row["auroc"] < _AUROC_AIM:
                said = f"{other} for a model of {name}".replace("-", " ")
                group = apart if frozenset((model["set"], other)) in _APART else close
                group.append(f"{said} ({row['auroc']:.3f})")

    def rejections(model: Result, others: Sequence[str]) -> str:
        cells = [model["others"].get(kind) for kind in others]
        said = [f"{c['auroc']:.3f} ({c['rejected']:.0%})" if c else "–" for c in cells]
        return "".join(f" {cell} |" for cell in said)

    return {
        **found,
        "ece_aim": _ECE_AIM,
        "auroc_aim": _AUROC_AIM,
        "ece_missed": [
            f"{name.replace('-', ' ')} ({row['ece']:.3f}; chance alone shows "
            f"{row['ece_by_chance']:.3f})"
            for name, row in found["calibration"].items()
            if row["images"] >= 500 and row["ece"] > _ECE_AIM
        ],
        "sets": [name for name in models if name in kinds],
        "spoiled": [kind for kind in kinds if kind not in models],
        "apart_missed": apart,
        "close_missed": close,
        "rejections": rejections,
        "largest": max(model["bytes"] for model in models.values()),
    }


def _growth(found: Result) -> Result:
    runs = sorted(found.values(), key=lambda run: int(run["n"]))
    images = [run for run in runs if "step" not in run]
    # in the order in which they were measured
    steps: dict[str, list[Result]] = {run["step"]: [] for run in found.values() if "step" in run}
    for run in runs:
        if "step" in run:
            steps[run["step"]].append(run)
    sizes = [run["n"] for run in images]

    def steep(one: Result, next_one: Result) -> bool:
        return _power(one, next_one) > _STEEP and next_one["cpu"] >= _WORTH_SECONDS

    def powers(of: Sequence[Result]) -> list[str]:
        shown = []
        for one, next_one in pairwise(of):
            told = "–" if one["cpu"] < _TOO_SHORT else f"{_power(one, next_one):.2f}"
            shown.append(f"**{told}**" if steep(one, next_one) else told)
        return shown

    return {
        "images": images,
        "laws": {
            "wall": _line(sizes, [run["wall"] for run in images]),
            "processor": _line(sizes, [run["cpu"] for run in images]),
        },
        "beyond": [run["peak_memory"] - run["taps_bytes"] for run in images],
        "steps": steps,
        "sizes": sorted({run["n"] for of in steps.values() for run in of}),
        "by_size": {step: {run["n"]: run for run in of} for step, of in steps.items()},
        "steep_from": _STEEP,
        "steep": [step for step, of in steps.items() if any(steep(*pair) for pair in pairwise(of))],
        "powers": powers,
    }


def _power(one: Result, next_one: Result) -> float:
    """The power of the size that processor seconds grow with."""
    seconds = max(next_one["cpu"], 1e-9) / max(one["cpu"], 1e-9)
    return math.log(seconds) / math.log(next_one["n"] / one["n"])


def _line(sizes: Sequence[int], values: Sequence[float]) -> dict[str, float]:
    """Least squares ``value = intercept + slope * size``, each size counting by its share.

    Residuals are taken relative to the values, so that small sizes count as much as large ones;
    ``largest_residual`` is a share of the value.
    """
    n, v = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    weighted = np.stack([1.0 / v, n / v], axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(weighted, np.ones(len(v)), rcond=None)
    fitted = intercept + slope * n
    spread = float(((v - v.mean()) ** 2).sum())
    return {
        "slope": float(slope),
        "intercept": float(intercept),
        "r_squared": 1.0 - float(((v - fitted) ** 2).sum()) / spread if spread else 1.0,
        "largest_residual": float(np.abs(fitted / v - 1.0).max()),
    }


def _speed(found: Result) -> Result:
    jobs, sets = {}, ("solar cells", "600 solar cells", "photos", "clip art")
    for name in sets:
        ours = [run for key, run in found.items() if key.startswith(f"{name}, whole job, frost")]
        if ours:
            phases = ours[0]["seconds"].items()
            peers = {who: found.get(f"{name}, whole job, {peer}") for peer, who in _PEERS.items()}
            jobs[name] = {
                "wall": statistics.median(run["wall"] for run in ours),
                "cpu": statistics.median(run["cpu"] for run in ours),
                "peak_memory": max(run["peak_memory"] for run in ours),
                "accuracy": statistics.mean(run["accuracy"] for run in ours),
                "phases": ", ".join(f"{phase} {s:.1f}" for phase, s in phases if phase != "total"),
                "peers": {who: run for who, run in peers.items() if run},
            }
    epochs = {
        who: found[f"solar cells, epochs, {who}"]
        for who in ("frostline", "fastai", "plain")
        if f"solar cells, epochs, {who}" in found
    }
    median, losses = epochs["frostline"]["median_epoch"], epochs["frostline"]["losses"]
    parts = [kind.removesuffix(", stored") for kind in median if kind.endswith(", stored")]
    return {
        "cores": max(run["machine"]["cores"] for run in found.values()),
        "jobs": jobs,
        "epochs": epochs,
        "losses": "; ".join(
            f"{kind}: {', '.join(f'{loss:.3f}' for loss in values)}"
            for kind, values in losses.items()
            if kind != "full"
        ),
        "ratios": ", ".join(
            f"{part} {median[f'{part}, not stored'] / median[f'{part}, stored']:.1f} times"
            for part in parts
        ),
        "limits": {name: found[f"{name}, limits"] for name in sets if f"{name}, limits" in found},
        "engines": _engines(),
        "again": found["solar cells, again"],
        "beside": _beside(),
        "start": found["start"],
        "views": json.loads((RESULTS / "views.json").read_text(encoding="utf-8")),
    }


def _beside() -> Result:
    """Medians of two versions side by side, by set; nothing where none were measured."""
    file = RESULTS / "beside.json"
    sets = json.loads(file.read_text(encoding="utf-8"))["sets"] if file.exists() else {}

    def median(rounds: Sequence[Result]) -> Result:
        """Of numbers, key by key; of words, the first round's."""
        first = rounds[0]
        found: dict[str, Any] = {}
        for key, value in first.items():
            if isinstance(value, Mapping):
                found[key] = median([one[key] for one in rounds])
            elif isinstance(value, int | float):
                found[key] = statistics.median(one[key] for one in rounds)
            else:
                found[key] = value
        return found

    return {
        name: {
            **found,
            "n": len(found["rounds"]["this"]),
            "medians": {
                ("this version" if who == "this" else f"version {found['trees'][who]['commit']}")
                + ("" if "torch" in found["trees"][who]["versions"] else ", light install"): median(
                    rounds
                )
                for who, rounds in found["rounds"].items()
            },
            "other": median(found["rounds"]["other"]),
        }
        for name, found in sets.items()
    }


def _families(found: Result) -> Result:
    """Rows of networks by what was done with them, and sums over them."""
    rows: Mapping[str, Result] = found["networks"]
    opened = [(name, row) for name, row in rows.items() if "cuts" in row.get("facts", {})]
    steps = ("fit", "off", "export")
    fitted = [
        (name, row)
        for name, row in opened
        if not any("ended" in row.get(step, {"ended": ""}) for step in steps)
    ]
    sizes = [(n, s, one) for n, row in opened for s, one in row["facts"]["sizes"].items()]
    reads = [row["facts"]["head_reads_last_tap"] for _, row in opened]
    known = [off for off in reads if off is not None]

    def tokens(family: Result) -> str:
        registers = family["registers"]
        words = [f"{family['class_tokens']} class"] if family["class_tokens"] else []
        return ", ".join([*words, *([f"{registers} registers"] if registers else [])]) or "–"

    return {
        **found,
        "machine": next(iter(rows.values()))["machine"],
        "opened": opened,
        "fitted": fitted,
        "trained": [(name, row) for name, row in fitted if "training" in row],
        "dino": rows["vit_small_patch14_dinov2"],
        "same_bits": sum(row["facts"]["split_exact"]["same_bits"] for _, row in opened),
        "all_cuts": sum(row["facts"]["split_exact"]["cuts"] for _, row in opened),
        "frozen": sum(row["facts"]["freeze_exact"]["frozen_bits_equal"] for _, row in opened),
        "reads": max(known),
        "reads_of": len(known),
        "tried": len(sizes),
        "taken_by_timm": sum(one["timm"] for _, _, one in sizes),
        "taken": sum(one["timm"] and one["taken"] and one["same_cuts"] for _, _, one in sizes),
        "refused": [(n, s, one["said"]) for n, s, one in sizes if not one["taken"]],
        "failed": [
            (name, step, f"{of['ended']}, {of['said'][-200:]}")
            for name, row in rows.items()
            for step in ("facts", *steps)
            if "ended" in (of := row.get(step, {}))
        ],
        "pooling": {
            "token": "class token",
            "average": "mean",
            "attention": "attention pooling",
            "other": "another pooling",
        },
        "shifts": {"unknown": "not known"} | {k: k for k in ("similar", "moderate", "different")},
        "tokens": tokens,
    }


def _engines() -> Result:
    """Figures of engines as tables: by engine and lanes, a cell for every batch."""
    found = json.loads((RESULTS / "engines.json").read_text(encoding="utf-8"))
    for network in found.values():
        table: dict[str, dict[str, list[Result]]] = {}
        for row in network["rows"]:
            shapes = table.setdefault(_ENGINES[row["engine"]], {})
            shapes.setdefault(f"{row['lanes']} x {row['within']}", []).append(row)
        network["table"] = table
    return dict(found)


def _export(found: Result) -> Result:
    return {"runs": found, "forms": _FORMS, "machine": next(iter(found.values()))["machine"]}


def _serving(found: Result) -> Result:
    rows = [(kind, of, "alone: ") for kind, of in found["alone"]["latency_ms"].items()]
    rows += [(kind, of, "") for kind, of in found["together"]["latency_ms"].items()]
    return {**found, "latencies": rows}


def _grades(found: Result) -> Result:
    """Say which ways gain in kappa and distance beyond doubt and lose little accuracy."""
    names = {
        "left out": "All images, by leave-one-out and ten folds for what is chosen",
        "published splits": "Held out by the three [published splits](../published.md), together",
    }
    each = {name: found[name] for name in (*names, "own splits")}
    ways = [way for way in found["left out"] if way != "classifier, likeliest"]
    # that of other probabilities is hardly another one
    shown = [way for way in ways if way == "classifier, median" or ", median" not in way]
    reached = {
        name: {
            way
            for way in ways
            if part[way]["accuracy gained"][0] >= -_GRADES_AIM
            and min(part[way]["qwk gained"][1], part[way]["mae gained"][1]) > 0
        }
        for name, part in each.items()
    }
    return {
        **found,
        "parts": [
            ({way: found[name][way] for way in shown}, title) for name, title in names.items()
        ],
        "met": {name: len(some) for name, some in reached.items()},
        "everywhere": len(set.intersection(*reached.values())),
        "ways": len(ways),
        "own": found["own splits"],
        "doubt": found["beyond doubt"],
    }


def _numbers(found: Result) -> Result:
    """Add the figures of intervals, and say which depths tell most."""
    sets = json.loads((RESULTS / "number_sets.json").read_text(encoding="utf-8"))
    depths = found["by depth"]
    alone = [name for name in depths if name != "all"]
    return {
        **found,
        "by_depth": depths,
        "best": {
            column: max(alone, key=lambda name: float(depths[name][column]))
            for column in ("angle", "size")
        },
        "last": alone[-1],
        "bar": lambda share: "\u2588" * round(10 * max(0.0, share)),
        "steps": 5 * (found["teach"] // 64),
        "intervals": sets,
    }


def _sets(found: Result) -> Result:
    """Say whether coverage is as it should be, and how many sets MAPIE makes alike."""
    alone = [data for data in found["sets"].values() if data["groups"] == data["images"]]
    runs = [data[teach] for data in alone for teach in ("usual", "few")]
    means = [run[way]["bare_coverage"]["mean"] for run in runs for way in ("cross", "split")]
    low, high = _COVERAGE_AIM
    inside = sum(low <= mean <= high for mean in means)
    met = "met in all" if inside == len(means) else f"met in {inside}"
    met += f" {len(means)} rows in which every image is a case"
    given = [run["mapie"] for run in runs if "mapie" in run]
    mapie = {
        "same": sum(one["same_size"] for one in given),
        "sets": sum(one["sets"] for one in given),
    }
    return {**found, "met": met, "mapie": mapie if given else None}


#: by page: the file of its results, and what the template is given of it
PAGES: dict[str, tuple[str, Callable[[Result], Result]]] = {
    "confidence": ("confidence", _confidence),
    "decision": ("decision", dict),
    "export": ("exports", _export),
    "families": ("networks", _families),
    "growth": ("growth", _growth),
    "pixels": ("input_sizes", pixels),
    "heads": ("heads", dict),
    "howto/compare": ("compare", dict),
    "howto/watch": ("watch", dict),
    "howto/grades": ("grades", _grades),
    "howto/numbers": ("numbers", _numbers),
    "howto/several-labels": ("labels", labels),
    "howto/prediction_sets": ("sets", _sets),
    "published": ("published", dict),
    "serving": ("serving", _serving),
    "speed": ("speed", _speed),
}

if __name__ == "__main__":
    main()
