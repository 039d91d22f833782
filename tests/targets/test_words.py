"""Who speaks of classes, softmax and argmax: the target, and a few who have their reasons."""

from __future__ import annotations

import ast
from pathlib import Path

import frostline

ROOT = Path(str(frostline.__file__)).parent
WORDS = ("n_classes", "softmax", "argmax")

#: files where the words are at home; a new one needs a reason as good
ALLOWED = {
    "targets/single_label.py": "the kind of target that is one class",
    "targets/links.py": "what outputs become, by name",
    **dict.fromkeys(
        (
            *("stats/calibration.py", "stats/class_weights.py", "stats/inputs.py"),
            *("stats/scores.py", "stats/probe_accuracy.py", "stats/label_issues.py"),
            *("stats/mistakes.py", "stats/caveats.py", "stats/metrics.py"),
            *("stats/decision_rule.py", "stats/second_stage.py", "stats/stacking.py"),
            *("stats/stacked_head.py", "stats/multilabel_scores.py", "stats/ordinal_scores.py"),
            "stats/score_contributions.py",
        ),
        "statistics of classes, which the target calls",
    ),
    **dict.fromkeys(
        (
            *("evidence/size.py", "core/plan.py", "cli/advise.py", "cli/depth.py"),
            *("wording/evidence.py", "report/charts/probes.py"),
        ),
        "a key of plan.json",
    ),
    **dict.fromkeys(("wording/decision.py", "wording/why.py"), "sentences about that key"),
    **dict.fromkeys(
        ("backbones/load/surgery.py", "backbones/heads/new_heads.py"),
        "public parameters of the toolkit for networks",
    ),
    **dict.fromkeys(
        (
            *("fitting/suggest.py", "fitting/run_pool.py", "stats/pool_head.py"),
            *("stats/pool_ranking.py", "stats/gain_forecast.py"),
        ),
        "which images to label next, for images of one class",
    ),
    "stats/output_drift.py": "how many of each class were answered, by now and in training",
    "stats/balanced_gains.py": "recall of classes, for images of one class",
    "backbones/heads/classifiers.py": "the average of several classifiers is one of probabilities",
    "onnx_graph/preprocessing_graph.py": "the operator that a target's link names",
    "exporting/model_onnx.py": "the link in PyTorch and in the graph",
    "exporting/agreement.py": "comparing probabilities with those of another form of the model",
    # the largest of something that is no prediction
    **dict.fromkeys(
        (
            *("data/unseen.py", "data/duplicates/descriptors.py", "explain/depths.py"),
            *("evidence/source_classes.py", "evidence/probes.py", "evidence/shortcuts.py"),
            *("evidence/left_out_values.py", "stats/clusters.py"),
        ),
        "the place of a largest value",
    ),
}


def names_in(file: Path) -> set[str]:
    """Return every name, attribute, argument and operator word that a file's code uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.keyword):
            found.add(node.arg or "")
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return found


def test_only_the_target_and_a_few_others_speak_of_classes() -> None:
    speakers = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if any(word in name for name in names_in(file) for word in WORDS)
    }
    assert speakers - ALLOWED.keys() == set()
    assert ALLOWED.keys() - speakers == set()
