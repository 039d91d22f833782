"""The command that a report shows makes the same run again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import frostline.fitting.pipeline
from frostline.cli.main import app
from frostline.core.errors import InputError
from frostline.core.settings import Settings, setting_names
from frostline.report.reproduce import command, fingerprint_of_images, provenance, versions

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(effort="fast", seed=7, group_near_duplicates=False, workers=0),
        Settings(strategy="cut", cut="blocks.3", train_all=True, epochs=3, learning_rate=0.01),
        Settings(backbone="a,b", input_size="224,288", budget="90s", groups=r"patient_(\d+)"),
        Settings(weights=Path("my weights.safetensors"), precision="bf16", class_weight="balanced"),
    ],
)
def test_the_command_line_gives_the_same_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = command(settings, source="my photos", run="a run", plan_given=True)
    seen: dict[str, Any] = {}

    def fit(source: Path, output: Path, **values: Any) -> None:
        seen.update(values, source=source, output=output)
        raise InputError("far enough")

    monkeypatch.setattr(frostline.fitting.pipeline, "fit", fit)
    words = shlex.split(said)
    assert words.pop(0) == "frostline"
    done = CliRunner().invoke(app, words)
    assert "far enough" in done.output, done.output
    chosen = {name: seen[name] for name in setting_names() if name in seen}
    assert Settings(**chosen) == settings
    assert (seen["source"], seen["output"]) == (Path("my photos"), Path("a run"))
    assert seen["plan"] == Path("a run/plan.json")


def test_only_what_was_chosen_is_named() -> None:
    assert command(Settings(), source="photos", run="run", plan_given=False) == (
        "frostline fit photos -o run --seed 0"
    )


def test_versions_and_fingerprints_are_named() -> None:
    assert {"python", "torch", "timm", "numpy", "machine"} <= set(versions())
    found = provenance(
        Settings(),
        source="p",
        run="r",
        plan_given=False,
        fingerprints={"frozen layers": "", "images": "ab", "onnx": None},
    )
    assert found.fingerprints == {"images": "ab"}


def test_the_fingerprint_of_images_sees_every_change_but_the_order() -> None:
    rows = [("a.png", "11", "cat"), ("b.png", "22", "dog")]
    first = fingerprint_of_images(rows)
    assert fingerprint_of_images(rows[::-1]) == first
    for other in (
        [("a.png", "11", "dog"), rows[1]],
        [("a.png", "12", "cat"), rows[1]],
        [("c.png", "11", "cat"), rows[1]],
        rows[:1],
        [("a.png1", "1", "cat"), rows[1]],
    ):
        assert fingerprint_of_images(other) != first
