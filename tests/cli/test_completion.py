"""The shell completes commands and options, and hears of trackers that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from frostline.cli.main import app

_RUN = "import sys; sys.argv[0] = 'frostline'; from frostline.cli.main import run; run()"


def completed(words: str, shell: str = "bash") -> list[str]:
    """What the shell is offered for the last word of a line."""
    said = subprocess.run(
        [sys.executable, "-c", _RUN],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **os.environ,
            "_FROSTLINE_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        check=False,
    )
    return said.stdout.split()


def test_commands_options_and_values_are_completed() -> None:
    assert completed("frostline ev") == ["evaluate"]
    assert "--train-all" in completed("frostline fit --tra")
    assert completed("frostline fit --effort b") == ["balanced", "best"]


def test_the_script_can_be_shown() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _RUN, "--show-completion", "bash"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "_FROSTLINE_COMPLETE=complete_bash" in said.stdout


@pytest.mark.parametrize(
    ("tracker", "expected"), [("tensorbord", "Did you mean 'tensorboard'?"), ("wandb", "mlflow")]
)
def test_a_tracker_that_is_not_there_stops_the_fit_before_it_begins(
    tracker: str, expected: str, tmp_path: Path
) -> None:
    said = CliRunner().invoke(
        app, ["fit", str(tmp_path), "-o", str(tmp_path / "run"), "--log-to", tracker]
    )
    assert said.exit_code == 2
    assert expected in said.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()
