"""The command line: exit codes, messages, formats, Ctrl-C.

Most commands run in this process, as their entry point does: a process for each would import
PyTorch each time. Those that are about processes have one.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from frostline.cli.main import app
from frostline.fitting.run_result import RunResult

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "frostline"]

Write = Callable[..., None]


def frostline(*arguments: object) -> Result:
    words = [*map(str, arguments)]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"}, catch_exceptions=False)


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )


@pytest.fixture(scope="module")
def fitted(fast_run: RunResult) -> Path:
    return fast_run.folder


def test_help_names_the_commands() -> None:
    said = in_a_process("--help")
    assert said.returncode == 0
    assert all(name in said.stdout for name in ("fit", "advise", "predict", "evaluate", "demo"))


def options(settings: dict[str, Any]) -> list[str]:
    """Settings as the command line has them."""
    return [word for k, v in settings.items() for word in (f"--{k.replace('_', '-')}", str(v))]


def test_fit_says_what_was_decided_and_how_good_it_is(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    said = frostline("fit", digit_folder, "-o", run, "--effort", "fast", *options(tiny_network))
    assert said.exit_code == 0, said.stderr
    for words in ("Decision", "Why", "Accuracy", "95 %", "frostline predict"):
        assert words in said.stdout
    assert (run / "metrics.json").exists()


def test_advise_shows_evidence_and_trains_nothing(digit_folder: Path, tmp_path: Path) -> None:
    said = frostline("advise", digit_folder, "--input-size", "96", "--save", tmp_path / "plan.json")
    assert said.exit_code == 0, said.stderr
    for words in ("Shift from the pretraining data", "leave-one-out", "blocks.3", "Why", "Plan"):
        assert words in said.stdout
    assert json.loads((tmp_path / "plan.json").read_text())["case"] in (1, 2, 3, 4)


def test_predict_prints_a_table_json_and_csv(
    fitted: Path, digit_folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    image = next((digit_folder / "digit 4").iterdir())
    said = in_a_process("predict", fitted, image, broken)
    assert said.returncode == 0
    assert "digit 4" in said.stdout
    assert "broken.png" in said.stderr
    answers = json.loads(frostline("predict", fitted, image, broken, "--json").stdout)
    assert answers[0]["label"] == "digit 4"
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)
    assert answers[1]["error"]
    listed = frostline("predict", fitted, digit_folder, "--csv")
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert len(rows) == 48
    assert {row["label"] for row in rows} == {"digit 0", "digit 1", "digit 4"}
    assert in_a_process("predict", fitted, broken).returncode == 2


def test_evaluate_scores_another_folder(fitted: Path, tmp_path: Path, digits_into: Write) -> None:
    digits_into(tmp_path / "other", per_class=20)
    said = frostline("evaluate", fitted, tmp_path / "other", "--json")
    assert said.exit_code == 0, said.stderr
    # 16 of each class taught the model
    assert json.loads(said.stdout)["n"] == 12
    assert json.loads(said.stdout)["left_out"]["taught"] == 48
    digits_into(tmp_path / "foreign", per_class=3, classes=(0, 7))
    said = frostline("evaluate", fitted, tmp_path / "foreign")
    assert said.exit_code == 2
    assert "digit 7" in said.stderr


def nowhere(folder: Path, write: Write) -> list[object]:
    return [folder / "nowhere"]


def one_class(folder: Path, write: Write) -> list[object]:
    write(folder / "in", per_class=4, classes=(3,))
    return [folder / "in"]


def one_image(folder: Path, write: Write) -> list[object]:
    write(folder / "in", per_class=4, classes=(3, 4))
    write(folder / "in", per_class=1, classes=(8,))
    return [folder / "in"]


def empty(folder: Path, write: Write) -> list[object]:
    (folder / "in").mkdir()
    return [folder / "in"]


def only_unreadable(folder: Path, write: Write) -> list[object]:
    for name in ("a", "b"):
        (folder / "in" / name).mkdir(parents=True)
        for number in range(3):
            (folder / "in" / name / f"{number}.png").write_bytes(b"\x89PNG nothing")
    return [folder / "in"]


def wrong_columns(folder: Path, write: Write) -> list[object]:
    (folder / "t.csv").write_text("path,colour\na.png,x\n")
    return [folder / "t.csv"]


def missing_files(folder: Path, write: Write) -> list[object]:
    (folder / "t.csv").write_text("path,label\na.png,x\nb.png,y\n")
    return [folder / "t.csv"]


def digits_and(*options: object) -> Callable[[Path, Write], list[object]]:
    def make(folder: Path, write: Write) -> list[object]:
        write(folder / "in", per_class=4)
        return [folder / "in", *options]

    return make


def wrong_weights(folder: Path, write: Write) -> list[object]:
    save_file(timm.create_model("resnet10t").state_dict(), folder / "w.safetensors")
    return [*digits_and("--weights", folder / "w.safetensors")(folder, write)]


BAD = {
    "missing folder": (nowhere, "nowhere"),
    "empty folder": (empty, "no image"),
    "one class": (one_class, "one class"),
    "class with one image": (one_image, "digit 8"),
    "only unreadable images": (only_unreadable, "o readable image"),
    "wrong columns": (wrong_columns, "label"),
    "missing files": (missing_files, "a.png"),
    "unknown backbone": (digits_and("--backbone", "eficientnet_lite0"), "efficientnet_lite0"),
    "wrong weights": (wrong_weights, "does not fit the architecture"),
    "unknown cut": (digits_and("--strategy", "cut", "--cut", "blocks.9"), "blocks.6"),
    "cut without its strategy": (digits_and("--cut", "blocks.3"), "needs strategy='cut'"),
    "bad budget": (digits_and("--budget", "soon"), "'5m'"),
    "bad seed": (digits_and("--seed", "-1"), "seed"),
    "bad number": (digits_and("--epochs", "many"), "epochs"),
    "missing plan": (digits_and("--plan", "no-plan.json"), "no-plan.json"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_with_exit_code_2_and_one_clear_message(
    name: str, tmp_path: Path, digits_into: Write
) -> None:
    make, words = BAD[name]
    command = ["fit", *make(tmp_path, digits_into), "-o", tmp_path / "run", "--effort", "fast"]
    said = CliRunner().invoke(app, [str(word) for word in command])
    assert said.exit_code == 2, said.output
    assert "Traceback" not in said.stderr
    assert said.stderr.count("Error") == 1
    assert words.lower() in " ".join(said.stderr.lower().split())


def test_a_finished_run_and_an_unwritable_output_end_with_exit_code_2(
    fitted: Path, digit_folder: Path, tmp_path: Path
) -> None:
    said = frostline("fit", digit_folder, "-o", fitted, "--effort", "fast")
    assert said.exit_code == 2
    assert "--overwrite" in said.stderr
    (tmp_path / "file").write_text("in the way")
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        said = frostline("fit", digit_folder, "-o", output, "--effort", "fast")
        assert said.exit_code == 2
        assert "Traceback" not in said.stderr


def test_ctrl_c_keeps_what_was_done_and_the_same_command_finishes(
    digit_folder: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    table = tmp_path / "table.csv"
    images = sorted(digit_folder.rglob("*.png"))
    lines = [f"{p},{p.parent.name},{('train', 'test')[i % 3 == 2]}" for i, p in enumerate(images)]
    table.write_text("\n".join(["path,label,split", *lines]))
    run, whole = tmp_path / "run", tmp_path / "whole"
    training = ["--strategy", "full", "--epochs", "12", "--batch-size", "16"]
    training += options(tiny_network)
    command = [*COMMAND, "fit", str(table), "-o", str(run), *training]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 200
        while not any((run / "checkpoints").rglob("*.json")) and time.monotonic() < deadline:
            assert process.poll() is None, "it finished before it could be interrupted"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted" in stderr
    assert b"Traceback" not in stderr
    assert any((run / "checkpoints").rglob("*.safetensors"))
    assert not (run / "metrics.json").exists()
    for folder in (run, whole):
        said = frostline("fit", table, "-o", folder, *training)
        assert said.exit_code == 0, said.stderr
    assert (whole / "predictions.csv").read_text() == (run / "predictions.csv").read_text()
