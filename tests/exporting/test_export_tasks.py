"""Exports of models with several labels, and with numbers, each against the model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import frostline
from frostline.cli.export import export_run
from frostline.core.errors import EngineError
from frostline.exporting.agreement import EXACT, compare, require

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

MakeRun = Callable[[str], "Run"]
#: what code calls the result
TOLD = {"labels": "probabilities", "numbers": "values"}


def run_code(code: str, folder: Path, names: dict[str, Any]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.chdir(folder)
        exec(compile(code, "code", "exec"), names)
    return names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"), [("labels", "m"), ("labels", "m.safetensors"), ("numbers", "m")]
)
def test_pytorch_gives_what_the_model_gives(
    make_run: MakeRun, tmp_path: Path, kind: str, name: str
) -> None:
    run = make_run(kind)
    done = frostline.export(run.folder, tmp_path / name, to="torch")
    assert (done.agreement.n, done.agreement.same) == (32, 32)
    if done.form == "program":
        extra = {"frostline.json": ""}
        torch.export.load(done.path, extra_files=extra)
        text = extra["frostline.json"]
    else:
        with safe_open(done.path, framework="pt") as file:
            text = file.metadata()["frostline"]
    described = json.loads(text)
    assert described["task"] == run.card.task
    names = run_code(described["load"], tmp_path, {"images": run.tensors()})
    found = names[TOLD[kind]].numpy()
    expected = run.expected()
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    if kind == "labels":
        names = run_code(described["answer"], tmp_path, {"probabilities": expected})
        np.testing.assert_array_equal(names["answer"], run.card.decide(expected))
    else:
        assert "answer" not in described


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("labels", ("multi-label-image-classification", "which of 3 labels", "precision", "80.0%")),
        ("numbers", ("image-regression", "Predicts 3 numbers", "R2", "## Numbers", "0.600")),
    ],
)
def test_a_folder_to_publish_says_the_task(
    make_run: MakeRun, tmp_path: Path, kind: str, words: tuple[str, ...]
) -> None:
    run = make_run(kind)
    folder = tmp_path / "published"
    frostline.export(run.folder, folder, to="hub")
    text = (folder / "README.md").read_text(encoding="utf-8")
    for one in words:
        assert one in text, one
    assert "Accuracy" not in text
    assert ("pipeline_tag" in text) == (kind == "labels")
    assert json.loads((folder / "config.json").read_text())["frostline"]["task"] == run.card.task
    expected = run.expected()
    whole = Image.open(run.images[0]).convert("RGB")
    whole.save(folder / "image.jpg", quality=95)
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, Any] = {"images": run.tensors()}
    off = 0.1 * max(1, np.abs(expected).max())
    run_code(snippets[0], folder, names)
    np.testing.assert_allclose(names[TOLD[kind]][0], expected[0], atol=off)
    if kind == "labels":
        run_code(snippets.pop(1), folder, names)
        assert names["answer"].tolist() == (names["probabilities"] >= [0.3, 0.5, 0.7]).tolist()
    run_code(snippets[1], folder, names)
    np.testing.assert_allclose(names[TOLD[kind]].numpy(), expected, atol=1e-3 * off)
    model = frostline.load(folder)
    np.testing.assert_allclose(model.predict_proba(list(run.images)), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "said"), [("labels", "all their labels"), ("numbers", "R2")])
def test_eight_bits_lose_little(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, said: str
) -> None:
    run = make_run(kind)
    path = tmp_path / "small.onnx"
    done = frostline.export(run.folder, path, quantize="int8")
    loss = done.loss
    assert loss is not None
    assert loss.labelled == loss.judged_on
    # the truth of these runs is what the model itself answers
    assert loss.accuracy_before is not None and loss.accuracy_before > 0.99
    assert loss.accuracy is not None and loss.accuracy > 0.9
    assert loss.same_class >= 0.8 * loss.judged_on
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = np.stack(
        [
            session.run([TOLD[kind]], {"image": np.asarray(Image.open(p).convert("RGB"))})[0][0]
            for p in run.images
        ]
    )
    expected = run.expected()
    assert np.abs(found - expected).mean() < 0.1 * np.ptp(expected)
    assert np.abs(found - expected).max() > 0, "nothing became smaller"
    export_run(
        run.folder,
        tmp_path / "again.onnx",
        to="onnx",
        quantize="int8",
        opset=None,
        images=None,
        overwrite=False,
    )
    words = " ".join(capsys.readouterr().out.split())
    assert said in words
    assert "Accuracy" not in words


@pytest.mark.slow
def test_one_label_that_turns_over_is_another_answer(make_run: MakeRun) -> None:
    card = make_run("labels").card
    expected = np.array([[0.9, 0.1, 0.2], [0.2, 0.8, 0.9]])
    found = expected.copy()
    # the likeliest label stays
    found[1, 1] = 0.45
    agreement = compare(expected, found, card, real=True)
    assert (agreement.same, agreement.ties) == (1, 0)
    with pytest.raises(EngineError, match="answer for 1 of 2 images"):
        require(agreement, EXACT)
    # a threshold between two numbers that are hardly apart
    near = expected.copy()
    expected[0, 2], near[0, 2] = 0.7, 0.7 - EXACT / 2
    tied = compare(expected, near, card, real=True)
    assert (tied.same, tied.ties) == (1, 1)
    assert require(tied, EXACT).n == 2


@pytest.mark.slow
def test_numbers_are_as_far_off_as_they_are_large(make_run: MakeRun) -> None:
    card = make_run("numbers").card
    expected = np.array([[1000.0, 10.0, -3.0], [-900.0, 20.0, 5.0]])
    assert require(compare(expected, expected * (1 + 1e-6), card, real=True), EXACT).same == 2
    with pytest.raises(EngineError, match=r"differs from the model by 0\.01"):
        require(compare(expected, expected * 1.01, card, real=True), EXACT)
