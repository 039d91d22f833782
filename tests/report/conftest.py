"""Reports of any size, with and without evidence and pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from frostline.core.actions import Recipe, SuffixTraining, TapsHead
from frostline.core.plan import (
    CandidateResult,
    EvidenceSummary,
    LayerShift,
    Lookalike,
    NetworkResult,
    Plan,
    ProbeEvidence,
    ShiftEvidence,
    SizeEvidence,
)
from frostline.core.reasons import Fate, RaceScore, RunnerUp, WonRace
from frostline.core.run_record import RunRecord
from frostline.core.score_record import HeldOutScores
from frostline.explain.gallery import Depth, Gallery, Tile
from frostline.report import ReportData
from frostline.stats.multilabel_scores import score_labels
from frostline.stats.regression_scores import score_numbers
from frostline.stats.scores import score
from frostline.wording.reasons import fate_words, reason_sentence, runner_up_sentence
from frostline.wording.tasks import task_judged

MakeData = Callable[..., ReportData]
ACCURACIES = [0.52, 0.61, 0.66, 0.71, 0.748, 0.752, 0.741]


@pytest.fixture(scope="session")
def make_data() -> MakeData:
    """Return a function that makes a report's data for some classes."""
    return report_data


@pytest.fixture(scope="session")
def labels_data() -> ReportData:
    """A report of 30 labels, some unknown, one that no image has, and one of a long name."""
    names = (*(f"tag {i}" for i in range(28)), "a label of a rather long name", "never")
    rng = np.random.default_rng(0)
    truth = (rng.random((500, 30)) < rng.uniform(0.05, 0.4, 30)).astype(float)
    truth[:, 1] = np.where(rng.random(500) < 0.8, truth[:, 0], truth[:, 1])
    truth[:, 29] = 0.0
    seen = 1.5 * truth + rng.normal(size=truth.shape)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    found = score_labels(1 / (1 + np.exp(1.0 - 2.0 * seen)), truth)
    return with_test(names, {**found.to_json(names), "method": "held-out", "classes": names})


@pytest.fixture(scope="session")
def numbers_data() -> ReportData:
    """A report of two columns of numbers of very different size, one of which does not vary."""
    names = ("angle (degrees)", "mass", "constant")
    rng = np.random.default_rng(0)
    truth = np.column_stack([rng.uniform(-90, 90, 300), rng.lognormal(12, 1, 300), np.ones(300)])
    predicted = truth + rng.normal(size=truth.shape) * np.array([9.0, 1e5, 0.1])
    found = score_numbers(predicted, truth)
    return with_test(names, {**found.to_json(names), "method": "held-out", "classes": names})


def with_test(names: tuple[str, ...], scores: dict[str, Any]) -> ReportData:
    """Return the report of some classes with the scores of another task."""
    data = report_data(names)
    test = HeldOutScores.model_validate(scores)
    metrics = data.record.metrics.model_copy(update={"test": test})
    plan = data.record.plan
    assert plan.evidence is not None
    evidence = plan.evidence.model_copy(update={"task": task_judged(test)})
    metric = "r2" if task_judged(test) == "regression" else "log_loss"
    made_for = {"evidence": evidence, "metric": metric}
    told = {"metrics": metrics, "plan": plan.model_copy(update=made_for)}
    return replace(data, record=data.record.model_copy(update=told))


@pytest.fixture(scope="session")
def gallery() -> Gallery:
    """Pictures from handwritten digits: 14 mistakes with heat maps, and some of everything."""
    digits = load_digits()
    return Gallery(
        mistakes=tuple(tile(digits.images[i], i, heat=True) for i in range(14)),
        doubtful=tuple(tile(digits.images[i], i, note="2 of 3 folds agree") for i in range(20, 24)),
        findings=tuple(
            tile(digits.images[i], i, note="the same as digits/1.png") for i in range(3)
        ),
        filters=encoded(np.tile(digits.images[0], (4, 16)), "PNG"),
        depths=tuple(
            Depth(
                layer=f"blocks.{i}",
                picture=encoded(np.hstack([digits.images[10 * i + k] for k in range(8)]), "JPEG"),
                frozen=i < 3,
            )
            for i in (0, 2, 3, 5)
        ),
    )


def tile(image: Any, number: int, *, heat: bool = False, note: str = "") -> Tile:
    return Tile(
        path=f"digits/{number}.png",
        label=f"digit {number % 10}",
        prediction=f"digit {(number + 3) % 10}",
        confidence=0.98 - 0.02 * number,
        thumbnail=encoded(image, "JPEG"),
        heat=encoded(image[::-1], "JPEG") if heat else b"",
        note=note,
    )


def encoded(image: Any, kind: str, scale: int = 8) -> bytes:
    stream = io.BytesIO()
    grey = Image.fromarray((np.asarray(image) * 15.9).astype(np.uint8))
    grey.resize((grey.width * scale, grey.height * scale)).convert("RGB").save(stream, kind)
    return stream.getvalue()


def probe(tap: str, accuracy: float) -> ProbeEvidence:
    return ProbeEvidence(
        tap=tap,
        dimensions=320,
        accuracy=accuracy,
        standard_error=0.011,
        balanced_accuracy=accuracy - 0.02,
        mse=0.1,
        train_accuracy=min(1.0, accuracy + 0.1),
        alpha=10.0,
        neighbours=accuracy - 0.05,
    )


def evidence(n_classes: int) -> EvidenceSummary:
    random = np.random.default_rng(0)
    probes = [probe(f"blocks.{i}", accuracy) for i, accuracy in enumerate(ACCURACIES)]
    return EvidenceSummary(
        size=SizeEvidence(
            n_images=2099,
            n_classes=n_classes,
            per_class=354.5,
            smallest_class=84,
            largest_class=1206,
            label="medium",
        ),
        shift=ShiftEvidence(
            measure="batchnorm",
            n_images=256,
            distance=0.83,
            interval=(0.79, 0.88),
            relative=4.6,
            early=1.1,
            middle=0.8,
            late=0.5,
            kind="input",
            label="different",
            layers=[
                LayerShift(
                    layer=f"blocks.{i // 7}.{i % 7}.bn1",
                    shift=float(1.1 * np.exp(-i / 30) * random.uniform(0.6, 1.2) - 0.02),
                    shift_median=0.5,
                    kl=0.4,
                )
                for i in range(49)
            ],
            warnings=["Three layers had no spread at all."],
        ),
        probes=probes,
        all_taps=probe("all", 0.79),
        best_tap="blocks.5",
        last_tap="blocks.6",
        cut_gain=0.011,
        cut_gain_error=0.007,
        gap=0.09,
        slope=0.021,
        headroom=0.2,
        chance=1 / n_classes,
        lookalikes=[Lookalike(label="cell", source="window screen", probability=0.3, close=True)],
        adapted=probe("adapted", 0.795),
        adapted_gain=0.005,
        adapted_gain_error=0.004,
    )


def candidate(name: str, kind: Any, score: float | None, fate: Fate) -> CandidateResult:
    return CandidateResult(
        name=name,
        kind=kind,
        score=score,
        standard_error=None if score is None else 0.009,
        seconds=0.0 if kind == "taps_head" else 41.5,
        fate=fate,
        behind=0.091 if fate is Fate.BEHIND else None,
        stopped=fate_words(fate, 0.091),
    )


CANDIDATES = [
    candidate("head on the last layer", "taps_head", 0.741, Fate.NO_CLEAR_GAIN),
    candidate("head on all taps", "taps_head", 0.79, Fate.NO_CLEAR_GAIN),
    candidate(
        "head on all taps, norm statistics re-estimated", "taps_head", 0.795, Fate.NO_CLEAR_GAIN
    ),
    candidate("cut after blocks.5 and train", "suffix", 0.81, Fate.CHOSEN),
    candidate("fine-tune the whole network firmly", "full", 0.62, Fate.BEHIND),
    candidate("train from scratch", "full", None, Fate.TOO_EXPENSIVE),
]


WON = WonRace(
    n_images=700,
    winner=RaceScore(name="cut after blocks.5 and train", p_true=0.701, accuracy=0.81),
    second=RaceScore(name="head on all taps", p_true=0.66, accuracy=0.79),
    gain=0.041,
    error=0.01,
)
NEAREST = RunnerUp(
    name="fine-tune the whole network",
    behind=0.03,
    gain_per_doubling=0.026,
    more_per_class=200,
)


def plan(n_classes: int, *, given: bool = False, head: bool = False) -> Plan:
    trained = SuffixTraining(
        keep_to="blocks.5",
        freeze_to="blocks.3",
        new_block=True,
        recipe=Recipe(epochs=4, batch_size=16, learning_rate=1e-3, head_learning_rate=1e-2),
    )
    frozen = ["conv_stem", "bn1", *(f"blocks.{i}" for i in range(4))]
    return Plan(
        case=1 if head else 3,
        prior="case 3: small and different: remove the high layers, new layers on the low ones",
        prior_case=3,
        reasons=[] if given else [WON],
        runner_up=None if given else NEAREST,
        strategy="auto",
        chosen="head on all taps" if head else "cut after blocks.5 and train",
        backbone="efficientnet_lite0",
        input_size=224,
        cut=None if head else "blocks.5",
        removed=[] if head else ["blocks.6", "conv_head", "bn2"],
        frozen=[*frozen, "blocks.4", "blocks.5", "blocks.6"] if head else frozen,
        trained=[] if head else ["blocks.4", "blocks.5"],
        new=["head"] if head else ["new", "head"],
        seed=0,
        action=TapsHead(taps=["blocks.2", "blocks.4", "blocks.6"]) if head else trained,
        evidence=None if given else evidence(n_classes),
        networks=[]
        if given
        else [
            NetworkResult(
                backbone=name,
                input_size=side,
                macs=side * 1_800_000,
                accuracy=0.79,
                standard_error=0.009,
                chosen=side == 224,
            )
            for name, side in (("efficientnet_lite0", 224), ("efficientnet_lite0", 288))
        ],
        candidates=[] if given else CANDIDATES,
        explanation=[]
        if given
        else [
            "2,099 training images in a few classes are a medium amount.",
            "They lie 4.6 times as far from the pretraining data as ordinary photos do.",
            reason_sentence(WON),
            "Decision: cut after blocks.5 and train.",
            runner_up_sentence(NEAREST),
        ],
    )


def predictions(n_classes: int, n: int, *, perfect: bool = False) -> Any:
    """Return probabilities (n, C) and labels; neighbouring classes are confused."""
    random = np.random.default_rng(n_classes)
    labels = np.arange(n) % n_classes
    logits = random.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += 9.0 if perfect else 3.5
    if not perfect:
        logits[np.arange(n), (labels + 1) % n_classes] += 1.5
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def history(epochs: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": i,
            "stage": "all",
            "train_loss": None if i == 0 else 1.2 / i,
            "val_nll": 1.0 / (i + 1) + 0.2,
            "val_accuracy": 0.7 + 0.02 * i,
            "learning_rate": 1e-3,
            "seconds": 2.0,
        }
        for i in range(epochs)
    ]


def answers(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return sets and abstention, which runs of earlier versions do not know."""
    points = [(0.005, 0.21, None), (0.01, 0.34, 0.0), (0.05, 0.62, 0.045), (0.2, 1.0, 0.198)]
    curve = [
        {
            "at_most_wrong": bound,
            "answered": answered,
            "answered_interval": (answered - 0.04, min(1.0, answered + 0.04)),
            "wrong": wrong,
            "wrong_interval": None if wrong is None else (0.6 * wrong, wrong + 0.03),
        }
        for bound, answered, wrong in points
    ]
    return {
        "sets": {
            "level": 0.95,
            "scoring": "cross",
            "n_images": 2099,
            "n_groups": 1990,
            "n_own": 1,
            "coverage": 0.951,
            "coverage_interval": (0.93, 0.967),
            "mean_size": 1.84,
            "sizes": (0, 240, 180, 60, *([5] * 9)),
            "class_coverage": [0.97, *([0.93] * (len(classes) - 1))],
        },
        "abstention": {"curve": curve, "at_most_wrong": 0.05, "chosen": curve[2]},
    }


def confounds(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return what should not matter: what a model leans on, what is a note, what is nothing."""
    honest = {
        "fact": "camera",
        "images": 980,
        "judged": 940,
        "broken": 0.52,
        "broken_interval": (0.46, 0.58),
        "fall": 0.37,
        "fall_interval": (0.31, 0.43),
        "with_pattern": 0.99,
        "against_pattern": 0.05,
        "usual": 0.9,
        "same_count": 0.91,
        "left_out": 0.55,
        "left_out_interval": (0.5, 0.6),
        "drop": 0.36,
        "drop_interval": (0.3, 0.42),
        "p_value": 1e-12,
        "p_adjusted": 2e-12,
        "values": [
            {"value": "A camera of a maker with a long name", "images": 540, "judged": 500}
            | {"usual": 0.91, "left_out": 0.6},
            {"value": "other", "images": 440, "judged": 440, "usual": 0.89, "left_out": 0.5},
        ],
    }
    colour = {
        "value": "#336699",
        "colour": "#336699",
        "images": 980,
        "judged": 0,
    }
    apart = {
        **{name: honest[name] for name in ("images", "broken", "broken_interval")},
        **{name: honest[name] for name in ("fall", "fall_interval")},
        "fact": "border colour",
        "judged": 0,
        "values": [colour],
        "given_away": [{"label": classes[0], "value": "#336699", "others": 0.0}],
    }
    common = {"chance": 1 / len(classes), "p_value": 0.005, "p_adjusted": 0.02}
    return {
        "images": 980,
        "usual": 0.89,
        "groups": [
            {"group": "camera", "facts": ["camera", "hour"], "score": 0.9, "verdict": "warning"}
            | {**common, "honest": honest},
            {"group": "border", "facts": ["border colour"], "score": 0.7, "verdict": "inseparable"}
            | {**common, "honest": apart},
            {"group": "colour", "facts": ["mean colour"], "score": 0.1, **common},
        ],
        "unused": [{"group": "file", "reason": "one value"}],
    }


def report_data(
    classes: tuple[str, ...],
    *,
    given: bool = False,
    perfect: bool = False,
    head: bool = False,
    n: int = 525,
    gallery: Gallery | None = None,
) -> ReportData:
    probabilities, labels = predictions(len(classes), n, perfect=perfect)
    scores = score(probabilities, labels).to_json(classes)
    record = {
        "source": "cells/solar",
        "classes": classes,
        "plan": plan(len(classes), given=given, head=head),
        "metrics": {
            "test": {
                **scores,
                "method": "held-out",
                "accuracy": 0.802,
                "accuracy_interval": (0.767, 0.834),
                "balanced_accuracy": 0.744,
                "balanced_accuracy_interval": (0.7, 0.781),
                "macro_f1": 0.7512,
                "nll": 0.5291,
                "ece": 0.0312,
                "without_leaks": {"n": 520, "accuracy": 0.799, "accuracy_interval": [0.76, 0.83]},
            },
            **({} if given else answers(classes)),
            **({} if given else {"confounds": confounds(classes)}),
            "notes": ["Training stopped early."],
            "history": [] if head else history(5),
            "temperature": 0.7,
            "n_train": 2099,
            "n_test": 525,
            "engine": "onnxruntime",
            "seconds": {"decode": 4.1, "features": 18.0, "evidence": 3.5, "total": 75.3},
            "peak_memory_bytes": 1_234_000_000,
            "frozen_verified": True,
        },
        "audit": {
            "class_counts": dict.fromkeys(classes, 30),
            "exact_duplicates": [["a/1.png", "a/2.png"]],
            "near_duplicates": [[f"b/{i}.png", f"b/{i}x.png"] for i in range(70)],
            "label_conflicts": [{"paths": ["a/3.png", "b/3.png"], "labels": list(classes[:2])}],
            "leaks": [{"paths": ["train/a.png", "test/b.png"], "parts": ["train", "test"]}],
            "unreadable": [{"path": "a/<b>broken</b>.png", "reason": "truncated"}],
            "ignored": {"hidden": 2, "not an image": 1},
            "shared_groups": [{"group": "panel 7", "parts": ["train", "test"], "images": 4}],
            "notes": ["Only neighbours were compared."],
        },
        "settings": {
            "strategy": "auto",
            "effort": "balanced",
            "cut": None,
            "resolved": {"threads": 2},
        },
        "run": "my run",
        "version": "0.1.0",
        "provenance": {
            "command": "frostline fit cells/solar -o 'my run' --seed 0",
            "versions": {"python": "3.11", "torch": "2.4"},
            "fingerprints": {"images and labels": "ab" * 32},
        },
    }
    return ReportData(record=RunRecord.model_validate(record), gallery=gallery)
