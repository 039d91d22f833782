"""Options are the settings: each once, old spellings too, and from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from frostline.cli.main import app
from frostline.core.aliases import SETTINGS
from frostline.core.settings import setting_names

pytestmark = pytest.mark.slow


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def done(*words: object) -> Result:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


def options(network: dict[str, Any]) -> list[str]:
    return [part for name, value in network.items() for part in (flag(name), str(value))]


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "settings.json").read_text())
    return found


@pytest.mark.parametrize("command", ["fit", "advise"])
def test_help_lists_every_setting_once(command: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "250"}).output
    for name in setting_names():
        assert len(re.findall(rf"{flag(name)}(?![\w-])", said)) == 1, name
    for old in SETTINGS:
        assert not re.search(rf"{flag(old)}(?![\w-])", said), old
    # what "auto" stands for is said
    for meaning in ("auto: 0.1", "auto: fp32", "auto: none"):
        assert meaning in said


def test_old_spellings_work_with_a_word(
    digit_folder: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    old = "--test-fraction 0.3 --class-weights balanced --activations 8bit --no-near-duplicates"
    words = [*options(tiny_network), "--effort", "fast"]
    pattern = r"([0-9]+)\.png"
    said = done(
        *("fit", digit_folder, "-o", tmp_path / "run", *words, *old.split()),
        *("--group-by", pattern),
    )
    for name, new in SETTINGS.items():
        no = "no-" if name == "near_duplicates" else ""
        assert said.stderr.count(f"{flag(no + name)} is called {flag(no + new)} now") == 1
    found = kept(tmp_path / "run")
    assert (found["test_fraction"], found["class_weights"]) == (0.3, "balanced")
    assert (found["activations"], found["near_duplicates"]) == ("8bit", False)
    assert found["group_by"] == pattern
    said = run("fit", digit_folder, "-o", tmp_path / "x", "--test-size", 0.2, *old.split())
    assert said.exit_code == 2
    assert "'test_fraction' and 'test_size' are one thing" in said.stderr


def test_the_settings_of_a_run_make_it_again(
    digit_folder: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    words = [*options(tiny_network), "--effort", "fast", "--seed", 3, "--no-group-near-duplicates"]
    done("fit", digit_folder, "-o", tmp_path / "first", *words, "--class-weight", "balanced")
    config = tmp_path / "first" / "settings.json"
    said = done("fit", digit_folder, "-o", tmp_path / "again", "--config", config)
    assert "is called" not in said.stderr
    assert kept(tmp_path / "again") == kept(tmp_path / "first")
    first, again = (
        (tmp_path / name / "predictions.csv").read_bytes() for name in ("first", "again")
    )
    assert again == first
    words = ["--config", config, "--seed", 4, "--group-near-duplicates", "--class-weight", "auto"]
    done("fit", digit_folder, "-o", tmp_path / "other", *words)
    expected = {"seed": 4, "near_duplicates": True, "class_weights": "auto"}
    assert kept(tmp_path / "other") == {**kept(tmp_path / "first"), **expected}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.json", '{"effort": "fast", "seed": 7, "input_size": [64], "train_all": false}'),
        ("s.toml", 'effort = "fast"\nseed = 7\ninput_size = [64]\ntrain_all = false\n'),
        ("s.yaml", "effort: fast\nseed: 7\ninput_size: [64]\ntrain_all: no\n"),
    ],
)
def test_settings_come_from_a_file(
    name: str, text: str, digit_folder: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    words = options({k: v for k, v in tiny_network.items() if k != "input_size"})
    done("fit", digit_folder, "-o", tmp_path / "run", "--config", tmp_path / name, *words)
    found = kept(tmp_path / "run")
    assert (found["effort"], found["seed"], found["input_size"]) == ("fast", 7, "64")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("s.json", '{"eppochs": 3}', "there is no setting 'eppochs'. Did you mean 'epochs'?"),
        ("s.json", '{"epochs": 0}', "Setting 'epochs' cannot be 0"),
        ("s.json", "{", "s.json cannot be read"),
        ("s.json", "[1]", "must hold names and values"),
        ("s.toml", "epochs 3", "s.toml cannot be read"),
        ("s.yaml", "a: [", "s.yaml cannot be read"),
        ("s.json", '{"test_size": 0.2, "test_fraction": 0.3}', "are one thing"),
        (None, "", "s.json cannot be read"),
    ],
)
def test_a_file_that_cannot_be_followed_is_refused(
    name: str | None, text: str, expected: str, digit_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / (name or "s.json")
    if name:
        file.write_text(text)
    said = run("advise", digit_folder, "--config", file)
    assert said.exit_code == 2
    assert expected in " ".join(said.stderr.split())


def test_the_plan_that_advice_names_is_the_plan_that_fit_makes(
    digit_parts: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    words = [
        *options(tiny_network),
        *("--strategy", "finetune", "--class-weight", "balanced", "--epochs", 2),
        *("--batch-size", 16, "--learning-rate", 0.01, "--label-smoothing", 0),
        *("--augment", "none", "--precision", "fp32", "--activation-dtype", "uint8"),
    ]
    saved = tmp_path / "plan.json"
    done("advise", digit_parts, *words, "--save", saved)
    done("fit", digit_parts, "-o", tmp_path / "run", *words)
    advised, fitted = (json.loads(f.read_text()) for f in (saved, tmp_path / "run" / "plan.json"))
    assert advised["action"] == fitted["action"]
    recipe = advised["action"]["recipe"]
    assert (recipe["epochs"], recipe["class_weights"]) == (2, "balanced")
    assert (recipe["augment"], recipe["label_smoothing"]) == ("none", 0)
    assert recipe["batch_size"] == 16
