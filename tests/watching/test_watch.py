"""What comes in against what a model learned from: by the function, the command and the page."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_digits
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app
from frostline.model.model import Model
from frostline.model.watched_model import WatchedModel, open_drift_card
from frostline.model_format.drift_file import DRIFT

#: images that teach, and others of the same kind
N, MORE = 220, 80


def pictures() -> list[tuple[Image.Image, int]]:
    """Digits in an order in which writers do not come one after the other."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return [
        (Image.fromarray((data.images[i] * 15.9).astype(np.uint8)).resize((64, 64)), i)
        for i in order.tolist()
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that names one class, grades, several labels and a number for every picture."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    with (folder / "digits.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split", "loop", "grade", "even", "large", "ink"])
        for place, (picture, row) in enumerate(pictures()[:N]):
            picture.save(folder / f"{place}.png")
            digit = int(data.target[row])
            loop = "loop" if digit in (0, 6, 8, 9) else "none"
            ink = float(data.images[row].sum())
            grade = "1 little" if ink < 290 else "2 some" if ink < 330 else "3 much"
            part = "test" if place % 5 == 4 else "train"
            written = [f"{place}.png", part, loop, grade, int(digit % 2 == 0), int(digit >= 5)]
            writer.writerow([*written, f"{ink:.1f}"])
    return folder / "digits.csv"


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched") / "run"
    frostline.fit(table, folder, target="loop", effort="fast", input_size="64", threads=1)
    return folder


@pytest.fixture(scope="module")
def incoming(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Further digits, as they are, light on dark, and blurred."""
    folder = tmp_path_factory.mktemp("incoming")
    changes: dict[str, Any] = {
        "same": lambda one: one,
        "inverted": ImageOps.invert,
        "blurred": lambda one: one.filter(ImageFilter.GaussianBlur(3)),
    }
    for name, change in changes.items():
        (folder / name).mkdir()
        for place, (picture, _) in enumerate(pictures()[N : N + MORE]):
            change(picture).save(folder / name / f"{place:03d}.png")
    return {name: folder / name for name in changes}


def command(*words: Any) -> Result:
    said = [str(word) for word in words]
    return CliRunner().invoke(app, said, env={"COLUMNS": "200"}, catch_exceptions=False)


def test_images_like_those_of_training_raise_no_alarm(run: Path, incoming: dict[str, Path]) -> None:
    found = frostline.watch(run, incoming["same"])
    assert not found.alarmed
    assert found.record.onset.kind == "none"
    assert (found.record.images, found.record.counted) == (MORE, MORE)
    assert sum(one.now for one in found.record.outputs) == pytest.approx(1.0)
    assert all(one.verdict == "as before" for one in found.record.outputs)
    assert found.record.unknown is not None
    assert found.record.unknown.interval[0] < 0.15


def test_folder_after_folder_is_no_order_of_arrival(run: Path, tmp_path: Path) -> None:
    target = load_digits().target
    for place, (picture, row) in enumerate(pictures()[N : N + 300]):
        for name in (f"folders/{target[row]}", "one by one"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / f"folders/{target[row]}/{place:03d}.png")
        picture.save(tmp_path / f"one by one/{target[row]} {place:03d}.png")
    by_name = frostline.watch(run, tmp_path / "one by one").record
    assert by_name.alarm is not None and not by_name.mixed
    mixed = frostline.watch(run, tmp_path / "folders").record
    assert mixed.alarm is None and mixed.mixed
    assert mixed.onset.kind == "none"
    assert sorted(one.now for one in mixed.outputs) == pytest.approx(
        sorted(one.now for one in by_name.outputs), abs=1e-6
    )
    assert "they come mixed" in command("watch", run, tmp_path / "folders").output


def test_images_that_the_model_was_trained_on_are_left_out(run: Path, table: Path) -> None:
    # of five, one was left out of training
    record = frostline.watch(run, table.parent).record
    assert (record.trained_on, record.images) == (N - N // 5, N // 5)
    assert record.alarm is None
    with pytest.raises(frostline.InputError, match="trained on every image"):
        frostline.watch(run, table.parent / "0.png")


@pytest.mark.parametrize("change", ["inverted", "blurred"])
def test_another_camera_is_found_and_told_from_other_content(
    run: Path, incoming: dict[str, Path], change: str
) -> None:
    record = frostline.watch(run, incoming[change]).record
    assert record.alarm is not None
    assert record.alarm.image <= 20
    assert record.onset.kind == "early"
    assert record.depths[0].p_adjusted < 0.05


def test_the_command_says_it_in_every_form(
    run: Path, incoming: dict[str, Path], tmp_path: Path
) -> None:
    said = command("watch", run, incoming["inverted"], "-o", tmp_path / "page.html")
    assert said.exit_code == 3
    assert "Alarm at image" in said.output
    assert "early end of the network" in said.output
    page = (tmp_path / "page.html").read_text()
    assert "Alarm: the pictures changed" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    said = command("watch", run, incoming["same"], "--json", "-o", tmp_path / "again.json")
    assert said.exit_code == 0
    told = json.loads(said.stdout)
    assert told == json.loads((tmp_path / "again.json").read_text())
    assert told["alarm"] is None
    assert [one["name"] for one in told["outputs"]] == ["loop", "none"]


def test_taps_of_the_model_are_those_of_the_stored_features(run: Path, table: Path) -> None:
    """What left-out images scored is what they score when they come in."""
    model = Model.load(run, threads=1)
    card = open_drift_card(model)
    watched = WatchedModel(model, card.facts.depths, threads=1)
    files = [table.parent / f"{place}.png" for place in range(N)]
    prepared = [model.prepare(file, name=file.name) for file in files]
    given = watched.answer_prepared(prepared)
    taught = [place for place in range(N) if place % 5 != 4]
    scores = card.reference.scores([one[taught].astype(np.float64) for one in given.taps])
    near = np.abs(scores[:, None] - card.reference.left_out[None]).max(axis=2).min(axis=0)
    assert near.max() < 0.02
    expected = model.predict_prepared(prepared)
    np.testing.assert_allclose(given.answers.probabilities, expected, atol=1e-5)


def test_copies_and_images_of_one_group_count_once(
    run: Path, incoming: dict[str, Path], tmp_path: Path
) -> None:
    for place in range(12):
        shutil.copy(incoming["same"] / f"{place // 2:03d}.png", tmp_path / f"{place}.png")
    assert frostline.watch(run, tmp_path).record.counted == 6
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = [[f"{place}.png", f"burst {place // 4}"] for place in range(12)]
        csv.writer(file).writerows([["path", "group"], *rows])
    record = frostline.watch(run, tmp_path / "list.csv").record
    assert (record.images, record.counted) == (12, 3)


@pytest.mark.parametrize(
    ("target", "settings", "kind"),
    [
        pytest.param("grade", {"task": "ordinal"}, "shares", marks=pytest.mark.slow),
        ("even,large", {"task": "multilabel"}, "each"),
        pytest.param("ink", {"task": "regression"}, "means", marks=pytest.mark.slow),
    ],
)
def test_every_task_is_watched(
    table: Path,
    incoming: dict[str, Path],
    tmp_path: Path,
    target: str,
    settings: dict[str, Any],
    kind: str,
) -> None:
    folder = tmp_path / "run"
    frostline.fit(
        table, folder, target=target, effort="fast", input_size="64", threads=1, **settings
    )
    same = frostline.watch(folder, incoming["same"]).record
    assert same.alarm is None
    assert frostline.watch(folder, incoming["inverted"]).record.onset.kind == "early"
    now: npt.NDArray[np.float64] = np.array([one.now for one in same.outputs])
    if kind == "shares":
        assert now.sum() == pytest.approx(1.0)
    elif kind == "each":
        assert [one.name for one in same.outputs] == ["even", "large"]
        assert all(one.interval[0] < one.trained < one.interval[1] for one in same.outputs)
    else:
        assert now == pytest.approx(same.outputs[0].trained, rel=0.1)
    assert command("watch", folder, incoming["same"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit"])
def test_a_trained_network_is_watched_at_its_own_depths(
    table: Path, incoming: dict[str, Path], tmp_path: Path, name: str
) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model(name, pretrained=False).state_dict(), tmp_path / "w.safetensors")
    options: dict[str, Any] = {
        "backbone": name,
        "weights": str(tmp_path / "w.safetensors"),
        "workers": 0,
    }
    folder = tmp_path / "run"
    frostline.fit(table, folder, target="loop", strategy="finetune", epochs=1, threads=1, **options)
    card = open_drift_card(Model.load(folder))
    assert len(card.facts.depths) >= 3
    assert card.facts.left_out == "not trained on"
    assert sorted(one.depth for one in card.facts.depths) == [d.depth for d in card.facts.depths]
    assert not frostline.watch(folder, incoming["same"]).alarmed
    assert frostline.watch(folder, incoming["inverted"]).alarmed


def test_an_older_model_says_what_it_lacks(
    run: Path, incoming: dict[str, Path], tmp_path: Path
) -> None:
    older = tmp_path / "model"
    shutil.copytree(run / "model", older)
    (older / DRIFT).unlink()
    said = command("watch", older, incoming["same"])
    assert said.exit_code == 2
    assert "has no drift.safetensors" in said.output
    assert "frostline fit" in said.output


def test_bad_input_is_refused(run: Path, incoming: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(frostline.SettingsError, match="false_alarms"):
        frostline.watch(run, incoming["same"], false_alarms=0.0)
    with pytest.raises(frostline.InputError, match="does not exist"):
        frostline.watch(run, tmp_path / "nowhere")
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(frostline.InputError, match="No readable image"):
        frostline.watch(run, tmp_path)
    shutil.copy(incoming["same"] / "000.png", tmp_path / "good.png")
    assert [one.path for one in frostline.watch(run, tmp_path).record.unreadable] == ["bad.png"]
    damaged = tmp_path / "model"
    shutil.copytree(run / "model", damaged)
    (damaged / DRIFT).write_bytes((damaged / DRIFT).read_bytes()[:-40])
    with pytest.raises(frostline.RunFolderError, match="damaged"):
        frostline.watch(damaged, incoming["same"])
    said = command("watch", run, incoming["same"], "-o", tmp_path / "page.txt")
    assert said.exit_code == 2
    assert "neither a page nor JSON" in said.output
