"""Whole runs on real images, from a folder to a model that predicts."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import frostline
from frostline.backbones.load.restore import restore_module
from frostline.backbones.network import Network
from frostline.cli.main import app
from frostline.compute import memoized_copies
from frostline.core.actions import FullTraining, SuffixTraining, TapsHead
from frostline.core.errors import CutError, EngineError, PlanError, RunFolderError
from frostline.core.plan import Plan
from frostline.explain import memoized_gallery
from frostline.exporting import save_model as export
from frostline.fitting.run_result import RunResult
from frostline.training import memoized_ood

pytestmark = pytest.mark.slow

#: enough to see what changes; quality is measured by the benchmarks
TINY: dict[str, Any] = {"epochs": 1, "batch_size": 16, "seed": 3, "input_size": "64"}
FAST: dict[str, Any] = {"effort": "fast", "input_size": "96"}


@pytest.fixture(scope="module")
def pretrained() -> dict[str, torch.Tensor]:
    return Network.load("efficientnet_lite0").feature_module.state_dict()


def kept_tensors(run: Path) -> dict[str, torch.Tensor]:
    """Tensors of the backbone in a saved model, under the backbone's own names."""
    state = load_file(run / "model" / "weights.safetensors")
    starts = ("kept.", "body.graph.")
    return {
        name.removeprefix(start): tensor
        for name, tensor in state.items()
        for start in starts
        if name.startswith(start)
    }


def changed(run: Path, pretrained: dict[str, torch.Tensor]) -> set[str]:
    kept = kept_tensors(run)
    return {name for name, tensor in kept.items() if not torch.equal(tensor, pretrained[name])}


def test_fast_fit_writes_everything_that_is_promised(fast_run: RunResult) -> None:
    result, run = fast_run, fast_run.folder
    names = {
        "plan.json",
        "metrics.json",
        "predictions.csv",
        "audit.json",
        "catalog.csv",
        "predictions.safetensors",
        "report.html",
        "report.json",
        "log.jsonl",
    }
    assert names <= {p.name for p in run.iterdir()}
    assert {p.name for p in (run / "model").iterdir()} >= {
        "weights.safetensors",
        "model.onnx",
        "model.json",
    }
    assert not (run / "checkpoints").exists()
    metrics = json.loads((run / "metrics.json").read_text())
    test = metrics["test"]
    assert test["method"] == "cross-validation"
    assert test["accuracy"] > 0.85
    low, high = test["accuracy_interval"]
    assert 0 <= low < test["accuracy"] <= high <= 1
    for key in ("balanced_accuracy", "macro_f1", "nll", "ece"):
        assert isinstance(test[key], float)
    assert metrics["n_train"] == metrics["n_test"] == 48
    assert metrics["frozen_verified"] is True
    assert metrics["peak_memory_bytes"] > 10**8
    assert metrics["seconds"]["total"] >= metrics["seconds"]["frozen features"]
    plan = Plan.from_file(run / "plan.json")
    assert plan.strategy == "auto"
    assert isinstance(plan.action, TapsHead)
    assert plan.evidence is not None
    assert plan.explanation
    assert plan.new == ["head"]
    assert not plan.trained
    rows = list(csv.DictReader((run / "predictions.csv").open()))
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right == pytest.approx(test["accuracy"])
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)
    assert result.classes == ("digit 0", "digit 1", "digit 4")


def test_the_model_predicts_from_paths_images_and_arrays(
    digit_folder: Path, fast_run: RunResult
) -> None:
    model = frostline.load(fast_run.folder)
    path = sorted((digit_folder / "digit 4").iterdir())[0]
    image = Image.open(path).convert("RGB")
    p = model.predict_proba([path, image, np.asarray(image)])
    assert p.shape == (3, 3)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(p[0], p[1], atol=1e-6)
    np.testing.assert_allclose(p[0], p[2], atol=1e-6)
    assert model.predict([path]) == ["digit 4"]
    assert list(model.classes) == ["digit 0", "digit 1", "digit 4"]


def test_head_changes_nothing_but_the_head(
    digit_folder: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor]
) -> None:
    result = frostline.fit(digit_folder, tmp_path / "run", strategy="head", input_size="96")
    assert result.plan.case == 1
    assert kept_tensors(result.folder)
    assert not changed(result.folder, pretrained)
    state = load_file(result.folder / "model" / "weights.safetensors")
    assert state["head.weight"].shape[0] == 3
    assert not any("classifier" in name for name in state)


def test_finetune_trains_every_layer_and_holds_norm_statistics(
    digit_parts: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor]
) -> None:
    result = frostline.fit(digit_parts, tmp_path / "run", strategy="finetune", **TINY)
    plan = result.plan
    assert plan.case == 2
    assert isinstance(plan.action, FullTraining)
    assert plan.action.head_init == "probe"
    assert plan.action.recipe.norm_mode == "eval"
    assert plan.action.recipe.layer_decay < 1
    assert not plan.frozen
    assert not plan.removed
    parameters = {
        n for n in pretrained if not n.endswith(("running_mean", "running_var", "tracked"))
    }
    assert set(kept_tensors(result.folder)) == set(pretrained)
    assert changed(result.folder, pretrained) <= parameters
    if result.metrics["history"] and _best_epoch(result.metrics) > 0:
        assert changed(result.folder, pretrained) == parameters


def test_full_has_a_random_head_one_rate_and_learns_norm_statistics(
    digit_parts: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor]
) -> None:
    result = frostline.fit(digit_parts, tmp_path / "run", strategy="full", **TINY)
    action = result.plan.action
    assert result.plan.case == 4
    assert isinstance(action, FullTraining)
    assert action.head_init == "random"
    assert action.recipe.norm_mode == "train"
    assert action.recipe.layer_decay == 1
    assert action.recipe.learning_rate == action.recipe.head_learning_rate
    assert not result.plan.frozen
    moved = changed(result.folder, pretrained)
    if _best_epoch(result.metrics) > 0:
        assert {n for n in pretrained if n.endswith("running_mean")} <= moved
        assert {n for n in pretrained if n.endswith("weight")} <= moved


@pytest.mark.parametrize("train_all", [False, True])
def test_cut_removes_the_top_and_trains_what_it_says(
    digit_parts: Path, tmp_path: Path, pretrained: dict[str, torch.Tensor], train_all: bool
) -> None:
    result = frostline.fit(
        digit_parts, tmp_path / "run", strategy="cut", cut="blocks.3", train_all=train_all, **TINY
    )
    plan = result.plan
    assert plan.case == 3
    assert plan.cut == "blocks.3"
    assert plan.removed == ["blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2"]
    kept = kept_tensors(result.folder)
    gone = tuple(f"{name}." for name in plan.removed)
    assert set(kept) == {n for n in pretrained if not n.startswith(gone)}
    moved = changed(result.folder, pretrained)
    if train_all:
        assert isinstance(plan.action, FullTraining)
        assert not plan.frozen
    else:
        assert isinstance(plan.action, SuffixTraining)
        assert plan.trained == ["blocks.3"]
        assert plan.frozen == ["conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2"]
        assert all(name.startswith("blocks.3.") for name in moved)
    if _best_epoch(result.metrics) > 0:
        assert any(name.startswith("blocks.3.") for name in moved)
    assert result.metrics["frozen_verified"] is True
    image = next((digit_parts / "test" / "digit 1").iterdir())
    assert frostline.load(result.folder).predict_proba([image]).shape == (1, 3)


def _best_epoch(metrics: dict[str, object]) -> int:
    history = metrics["history"]
    assert isinstance(history, list)
    best = min(history, key=lambda entry: entry["val_nll"])
    return int(best["epoch"])


@pytest.mark.parametrize("settings", [{"strategy": "head"}, {"strategy": "cut", "epochs": 1}])
def test_the_number_of_workers_never_changes_the_result(
    digit_parts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_network: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    found = []
    for workers in (0, 1, 2):
        # a cache of its own, so that every run computes everything
        monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / f"cache{workers}"))
        run = tmp_path / f"run{workers}"
        frostline.fit(digit_parts, run, workers=workers, **tiny_network, **settings)
        weights = load_file(run / "model" / "weights.safetensors")
        found.append((weights, (run / "predictions.csv").read_text()))
    for weights, predictions in found[1:]:
        assert predictions == found[0][1]
        assert all(torch.equal(tensor, found[0][0][name]) for name, tensor in weights.items())


def test_unreadable_images_are_named_and_do_not_stop_a_run(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    source = tmp_path / "images"
    shutil.copytree(digit_folder, source)
    (source / "digit 0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (source / "digit 1" / "empty.jpg").write_bytes(b"")
    (source / "digit 1" / "notes.txt").write_text("not an image")
    result = frostline.fit(source, tmp_path / "run", effort="fast", **tiny_network)
    audit = json.loads((result.folder / "audit.json").read_text())
    assert {entry["path"] for entry in audit["unreadable"]} == {
        "digit 0/broken.png",
        "digit 1/empty.jpg",
    }
    assert sum(audit["ignored"].values()) == 1
    assert result.metrics["n_train"] == 48


def test_a_given_test_part_is_kept_and_leaks_are_named(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    table = tmp_path / "table.csv"
    images = sorted(digit_folder.rglob("*.png"))
    copied = tmp_path / "copy.png"
    shutil.copy(images[0], copied)
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for number, image in enumerate(images):
            part = "test" if number % 4 == 3 else "train"
            writer.writerow([image, image.parent.name, part])
        writer.writerow(["copy.png", images[0].parent.name, "test"])
    result = frostline.fit(table, tmp_path / "run", effort="fast", **tiny_network)
    assert result.metrics["test"]["method"] == "given"
    assert result.metrics["n_test"] == 13
    assert result.metrics["test"]["without_leaks"]["n"] == 12
    assert any("copy.png" in leak["paths"] for leak in result.audit["leaks"])


def test_a_finished_run_is_not_overwritten_by_accident(
    digit_parts: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    settings = {"effort": "fast", **tiny_network}
    frostline.fit(digit_parts, run, **settings)
    with pytest.raises(RunFolderError, match="holds a finished run"):
        frostline.fit(digit_parts, run, **settings)
    frostline.fit(digit_parts, run, overwrite=True, seed=5, **settings)
    (run / "metrics.json").unlink()
    with pytest.raises(
        RunFolderError, match=r"unfinished run with other settings \(seed: 5, now 6"
    ):
        frostline.fit(digit_parts, run, seed=6, **settings)
    assert frostline.fit(digit_parts, run, seed=5, **settings).metrics["n_train"] == 36


def test_a_foreign_folder_is_never_touched(digit_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match="not empty and holds no Frostline run"):
        frostline.fit(digit_folder, tmp_path, **FAST, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_edited_plan_is_carried_out(digit_folder: Path, tmp_path: Path) -> None:
    advice = frostline.advise(digit_folder, input_size="96")
    edited = json.loads(advice.plan.to_json())
    edited["action"] = {"kind": "taps_head", "taps": ["blocks.2", "blocks.4"]}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(edited))
    result = frostline.fit(digit_folder, tmp_path / "run", plan=file)
    assert result.plan.cut == "blocks.4"
    assert result.plan.removed == ["blocks.5", "blocks.6", "conv_head", "bn2"]
    edited["action"]["taps"] = ["block.2"]
    file.write_text(json.dumps(edited))
    with pytest.raises(CutError, match=r"no cut 'block\.2'"):
        frostline.fit(digit_folder, tmp_path / "other", plan=file)
    edited["backbone"] = "resnet18"
    file.write_text(json.dumps(edited))
    with pytest.raises(PlanError, match="made for the backbone 'resnet18'"):
        frostline.fit(digit_folder, tmp_path / "third", plan=file)


def test_re_estimated_statistics_travel_with_the_model(
    digit_parts: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    advice = frostline.advise(digit_parts, **tiny_network)
    assert advice.plan.evidence is not None
    assert advice.plan.evidence.adapted is not None
    edited = json.loads(advice.plan.to_json())
    taps = [probe.tap for probe in advice.plan.evidence.probes]
    edited["action"] = {"kind": "taps_head", "taps": taps, "statistics": "target"}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(edited))
    result = frostline.fit(digit_parts, tmp_path / "run", plan=file, **tiny_network)
    assert result.metrics["frozen_verified"]
    network = Network.load(
        tiny_network["backbone"],
        weights=Path(tiny_network["weights"]),
        size=int(tiny_network["input_size"]),
    )
    moved = changed(tmp_path / "run", network.feature_module.state_dict())
    assert moved
    assert {name.rpartition(".")[2] for name in moved} <= {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    # what was exported is what was judged: the module restored from the folder agrees
    paths = sorted(digit_parts.rglob("*.png"))[:6]
    pixels = np.stack([network.preprocessing.apply(Image.open(p).convert("RGB")) for p in paths])
    with torch.no_grad():
        logits = restore_module(tmp_path / "run")(
            torch.from_numpy(network.preprocessing.normalise(pixels))
        )
    labels = [result.model.classes[i] for i in logits.argmax(dim=1)]
    assert result.model.predict([str(path) for path in paths]) == labels


def test_input_sizes_and_backbones_are_compared(digit_folder: Path, tmp_path: Path) -> None:
    result = frostline.fit(
        digit_folder,
        tmp_path / "run",
        effort="fast",
        backbone="efficientnet_lite0,efficientnet_lite1",
        input_size="64,96",
    )
    plan = result.plan
    tried = [(n.backbone, n.input_size) for n in plan.networks]
    # the cheapest first
    assert tried == [
        ("efficientnet_lite0", 64),
        ("efficientnet_lite1", 64),
        ("efficientnet_lite0", 96),
        ("efficientnet_lite1", 96),
    ]
    taken = next(n for n in plan.networks if n.chosen)
    assert (plan.backbone, plan.input_size) == (taken.backbone, taken.input_size)
    assert plan.explanation[0].startswith(f"Frozen features of {taken.backbone}")
    card = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert card["preprocessing"]["size"] == taken.input_size
    paths = sorted(digit_folder.rglob("*.png"))
    right = [
        label == path.parent.name
        for label, path in zip(result.model.predict([str(p) for p in paths]), paths, strict=True)
    ]
    assert np.mean(right) > 0.8


def test_a_second_run_computes_nothing_again(
    digit_folder: Path, fast_run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("worked out again")

    work = (
        (memoized_copies, "find_copies"),
        (memoized_ood, "_fitted"),
        (export, "export_onnx"),
        (memoized_gallery, "make_gallery"),
    )
    for module, name in work:
        monkeypatch.setattr(module, name, never)
    again = frostline.fit(digit_folder, tmp_path / "b", **FAST)
    assert again.metrics["images_computed"] == 0
    files = ("predictions.csv", "audit.json", "plan.json")
    models = ("weights.safetensors", "model.onnx", "familiar.safetensors", "model.json")
    for name in (*files, *(f"model/{one}" for one in models)):
        assert (again.folder / name).read_bytes() == (fast_run.folder / name).read_bytes(), name


def test_a_failed_export_costs_no_training(
    digit_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> float:
        raise EngineError("The exported model differs from the fitted one by 0.3 in a probability.")

    def again(*_: object, **__: object) -> float:
        raise AssertionError("a step of training ran again")

    with monkeypatch.context() as patch:
        patch.setattr("frostline.exporting.save_model.verify_onnx", broken)
        with pytest.raises(EngineError, match="differs") as caught:
            frostline.fit(digit_parts, tmp_path / "run", strategy="cut", **TINY)
    assert "without training again" in caught.value.hint
    assert (tmp_path / "run" / "model" / "weights.safetensors").is_file()
    monkeypatch.setattr("frostline.training.loop.Loop._step", again)
    result = frostline.fit(digit_parts, tmp_path / "run", strategy="cut", **TINY)
    assert result.model.predict(next((digit_parts / "test").rglob("*.png")))


def test_a_training_part_may_end_with_one_image(
    digits_into: Callable[..., None], tmp_path: Path
) -> None:
    digits_into(tmp_path / "d" / "train", per_class=17, classes=(0,))
    digits_into(tmp_path / "d" / "train", per_class=16, classes=(1,))
    for part, skip in (("val", 20), ("test", 24)):
        digits_into(tmp_path / "d" / part, per_class=1, classes=(0, 1), skip=skip)
    # the last map is 1 x 1 at 32 pixels, where a norm layer learns nothing from one image
    options = ["--strategy", "full", "--epochs", "1", "--batch-size", "32", "--input-size", "32"]
    run = ["fit", str(tmp_path / "d"), "-o", str(tmp_path / "run"), *options]
    done = CliRunner().invoke(app, run)
    assert done.exit_code == 0, done.output
