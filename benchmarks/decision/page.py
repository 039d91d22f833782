"""The page of the study, written from its figures."""

from __future__ import annotations

from typing import Any

_INTRO = """# Is the decision any good?

Written by `python -m benchmarks.decision report` from `benchmarks/results/decision/`; the figures
are in `benchmarks/results/decision.json`.

Every option that Frostline knows was trained in full on {n_sets} target sets, with 5 and 20 images
a class and with all of them ({cells} cells of set, size and seed), and scored on images that
nothing else saw. So the best option in hindsight is known, and with it what a decision loses:
its **regret**. The best is found on one half of the test images and scored on the other, then the
halves swap, because the best of a dozen on one test set is partly luck.

Six sets are letters and textures for a small network that was pretrained here on Latin letters of
other fonts: Greek and Cyrillic letters (similar), the same inverted in noise and on stripes (the
sensor differs), fonts to be told apart and textures (the content differs); the seventh is
scikit-learn's written digits. The others are real pictures for EfficientNet-Lite0 at 128 pixels.
Thresholds were fitted on all sets but the one that is scored.
"""


def page(found: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    parts = [
        _INTRO.format(n_sets=len(found["sets"]), cells=found["cells"]),
        "## What a decision loses\n",
        "![Regret of every way to decide](images/decision-regret.svg)\n",
        _table(
            ("way to decide", "mean regret, points", "95th percentile", "worst"),
            [
                (name, r["mean"], r["p95"], r["worst"])
                for name, r in sorted(found["regret"].items(), key=lambda item: item[1]["mean"])
            ],
        ),
        "Frostline by size. At 5 images a class, 40 left-out images have to tell a dozen options "
        "apart that differ by 5 points. That is luck, so below 500 images everything that reached "
        "the final is averaged; below zero, the average is better than the best single option in "
        "hindsight.\n",
        _table(
            (
                "images a class",
                "cells",
                "mean regret",
                "95th percentile",
                "worst",
                "mean if one option were chosen",
            ),
            [
                (
                    size,
                    r["cells"],
                    r["mean"],
                    r["p95"],
                    r["worst"],
                    r["single"],
                )
                for size, r in found["regret_by_size"].items()
            ],
        ),
        "By set and size, mean over seeds:\n",
        _table(
            ("set, size", "mean regret", "worst"),
            [(name, r["mean"], r["worst"]) for name, r in found["regret_by_set"].items()],
        ),
        "## What it costs\n",
        _cost(found["cost"]),
        "## The four textbook cases\n",
        _table(
            ("case", "data", "chosen", "best in hindsight", "largest lead, points", "on"),
            [
                (n, c["data"], c["chosen"], c["best_in_hindsight"], c["largest_lead"], c["on"])
                for n, c in found["cases"].items()
            ],
        ),
        "A negative lead means that another case's option was better everywhere.\n",
        "## What transfer gave\n",
        "![Accuracy by set and size](images/decision-accuracy.svg)\n",
        "Gain of the best option over training from scratch, and how many times more images "
        "scratch training would need for the same accuracy (read off its learning curve over the "
        "three sizes; `over` where it never got there):\n",
        _table(
            ("set", "gain at 5", "at 20", "with all", "times at 5", "at 20", "with all"),
            [
                (
                    name,
                    *(t["gain"].get(s, "") for s in ("5", "20", "all")),
                    *(t["times"].get(s, "") for s in ("5", "20", "all")),
                )
                for name, t in found["transfer"].items()
            ],
        ),
    ]
    if "honesty" in found:
        parts += ["## Are the intervals honest?\n", _honesty(found["honesty"])]
    if found["apart"]:
        parts += [
            "## Apart: 206 photos\n",
            "Too few test images for fine differences.\n",
            _table(
                ("size", "chosen", "accuracy", "best in hindsight", "its accuracy"),
                [
                    (
                        r["size"],
                        r["chosen"],
                        f"{r['accuracy']:.1%}",
                        r["best"],
                        f"{r['best_accuracy']:.1%}",
                    )
                    for r in found["apart"]
                ],
            ),
        ]
    if found["anchor"]:
        parts += [
            "## Does 128 pixels tell what holds at 224?\n",
            "The cells of real pictures at 5 images a class, seed 0, trained at both sizes "
            "(`python -m benchmarks.decision anchor`). Pairs count options that differ by over a "
            "point at both sizes; the loss is what the best option at 128 pixels, trained at 224, "
            "stays behind the best there. Orders agree in part: at five images a class most "
            "options lie within the scatter of one training.\n",
            _table(
                ("cell", "options", "rank correlation", "pairs in the same order", "loss, points"),
                [
                    (
                        r["cell"],
                        r["options"],
                        r["rank_correlation"],
                        f"{r['pairs_alike']:.0%}",
                        r["loss"],
                    )
                    for r in found["anchor"]
                ],
            ),
            "These trainings, and all of the study, were recorded before a training that learned "
            "nothing ran a second time, a tenth as fast: options that collapsed look worse than "
            "they are now, as 'train the whole network' on the digits at 224 pixels.\n",
        ]
    if found["fastai_check"]:
        parts += [
            "## Is fastai's schedule played fairly?\n",
            "In the study our own loop plays fastai's `fine_tune`. Here is the released one on the "
            "same images, 128 pixels and as many epochs, three seeds "
            "(`python -m benchmarks.decision fastai`). In percent of the same test images.\n",
            _table(
                ("cell", "epochs", "test images", "our loop", "fastai, three seeds"),
                [
                    (
                        r["cell"],
                        r["epochs"],
                        r["judged"],
                        r["simulated"],
                        ", ".join(map(str, r["real"])),
                    )
                    for r in found["fastai_check"]
                ],
            ),
        ]
    parts += [
        "## Every cell\n",
        _table(
            ("set", "size", "seed", "chosen", "accuracy", "best", "its", "scratch", "fastai"),
            [
                (
                    r["set"],
                    r["size"],
                    r["seed"],
                    r["chosen"],
                    f"{r['accuracy']:.1%}",
                    r["best"],
                    f"{r['best_accuracy']:.1%}",
                    f"{r['scratch']:.1%}",
                    "" if r["fastai"] is None else f"{r['fastai']:.1%}",
                )
                for r in found["rows"]
            ],
        ),
    ]
    return "\n".join(parts)


def _cost(cost: dict[str, float]) -> str:
    return (
        f"Over all cells the race took {cost['of_all_training']:.0%} of the processor time that "
        f"training every candidate once, in full, takes; {cost['mean_share_where_raced']:.0%} in "
        f"the mean cell that was raced, {cost['largest_share']:.0%} in the dearest. Cells whose "
        "frozen features leave too little to gain are not raced at all. Below 500 images the final "
        "runs for all epochs on two folds, which takes seconds but a larger share.\n"
    )


def _honesty(h: dict[str, Any]) -> str:
    return (
        f"In {h['runs']} fast runs the reported 95 % interval held the accuracy on the large test "
        f"part {h['coverage']:.1%} of the time; the reported accuracy was off by "
        f"{h['bias']:+.2f} points on average "
        f"(`python -m benchmarks.honesty`, `benchmarks/results/honesty.json`).\n"
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return str(value)
