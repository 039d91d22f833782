"""Suggested images, and the answers about them: from a pool to a table that fits read."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app
from frostline.core.errors import InputError, RunFolderError, SettingsError
from frostline.core.files import write_text
from frostline.core.suggestion_record import Suggestions, Why
from frostline.fitting.run_result import RunResult

pytestmark = pytest.mark.slow

Write = Callable[..., None]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, digits_into: Write, digit_folder: Path) -> Path:
    """New digits, a recompressed copy of one, an image of the run, noise, and a broken file."""
    folder = tmp_path_factory.mktemp("pool")
    digits_into(folder, per_class=6, skip=16)
    first = min(folder.rglob("*.png"))
    with Image.open(first) as image:
        image.convert("RGB").save(folder / "copy.jpg", quality=90)
    known = min(digit_folder.rglob("*.png"))
    shutil.copy(known, folder / "known.png")
    with Image.open(known) as image:
        image.convert("RGB").save(folder / "nearly known.jpg", quality=90)
    (folder / "broken.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def shared(fast_run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suggest") / "run"
    shutil.copytree(fast_run.folder, folder)
    return folder


@pytest.fixture
def run(shared: Path, tmp_path: Path) -> Path:
    """A run that a test may change."""
    return Path(shutil.copytree(shared, tmp_path / "run"))


@pytest.fixture(scope="module")
def found(shared: Path, pool: Path) -> Suggestions:
    return frostline.suggest(shared, pool, n=8)


def truth(path: str) -> str:
    """The folder that a digit lies in."""
    return Path(path).parent.name


def filled(found: Suggestions, path: Path, **changes: str) -> Path:
    """Write a table of answers: the truth, or what ``changes`` say for all."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "digest"])
        for one in (*found.chosen, *found.apart):
            label = truth(one.path)
            writer.writerow([one.path, changes.get("label", label), one.digest])
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_what_is_known_is_left_out_and_copies_come_once(found: Suggestions, pool: Path) -> None:
    names = [one.name for one in (*found.chosen, *found.apart)]
    assert len(found.chosen) == 8
    assert [one.rank for one in found.chosen] == list(range(1, 9))
    assert len(set(names)) == len(names)
    assert "known.png" not in names
    assert "nearly known.jpg" not in names
    assert (found.in_run, found.near_run, found.near_copies) == (1, 1, 1)
    assert [path for path, _ in found.unreadable] == ["broken.png"]
    assert found.pool_images == 21
    assert found.forecast is not None
    assert found.forecast.labels == 8
    everyone = frostline.suggest(found.run, pool, n=100)
    told = [*everyone.chosen, *everyone.apart]
    assert sum(len(one.copies) for one in told) == 1
    assert len(told) == 18


def test_the_same_call_suggests_the_same_whatever_files_are_called(
    found: Suggestions, shared: Path, pool: Path, tmp_path: Path
) -> None:
    files = sorted(p for p in pool.rglob("*") if p.is_file())
    for number, file in enumerate(reversed(files)):
        shutil.copy(file, tmp_path / f"{number}{file.suffix}")
    again = frostline.suggest(shared, tmp_path, n=8)
    assert [one.digest for one in again.chosen] == [one.digest for one in found.chosen]
    gains = [one.expected_gain for one in again.chosen]
    assert gains == pytest.approx([one.expected_gain for one in found.chosen], rel=1e-4)
    table = tmp_path / "pool.csv"
    table.write_text("path\n" + "".join(f"{file}\n" for file in files), encoding="utf-8")
    by_table = frostline.suggest(shared, table, n=8)
    assert [one.digest for one in by_table.chosen] == [one.digest for one in found.chosen]


def test_what_the_model_says_is_what_predict_says(found: Suggestions, shared: Path) -> None:
    model = frostline.load(shared)
    for one in found.chosen[:3]:
        (said,) = model.predict_each(one.path)
        assert isinstance(said, frostline.Prediction)
        assert (one.predicted, one.confidence) == (said.label, said.confidence)
        assert one.unfamiliarity == said.unfamiliarity


def test_strange_images_stand_apart(shared: Path, pool: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pool, tmp_path / "pool"))
    Image.effect_noise((64, 64), 120).convert("RGB").save(folder / "noise.png")
    found = frostline.suggest(shared, folder, n=100)
    assert "noise.png" in [one.name for one in found.apart]
    assert all(one.why is Why.UNLIKE and one.rank == 0 for one in found.apart)


def test_answers_become_a_table_that_a_fit_reads(
    run: Path, found: Suggestions, digit_folder: Path, tmp_path: Path
) -> None:
    answers = filled(found, tmp_path / "answers.csv")
    taken = frostline.label(run, answers)
    many = len(found.chosen) + len(found.apart)
    assert (taken.taken, taken.labels, taken.new_classes) == (many, many, ())
    assert taken.realised is not None
    assert taken.realised.images == 48
    with (run / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(truth(row["path"]) == row["label"] for row in rows)
    # what was chosen to be labelled is no fair sample: it never judges
    assert {row["split"] for row in rows} == {"train"}
    from frostline.data.sources.open_source import open_source

    catalog = open_source(run / "labels.csv")
    assert sorted(catalog.digests) == sorted(row["digest"] for row in rows)
    again = frostline.label(run, answers)
    assert (again.taken, again.same) == (0, many)
    # what was answered is not asked for again
    more = frostline.suggest(run, digit_folder.parent / found.pool, n=100)
    assert not {o.digest for o in more.chosen} & {o.digest for o in found.chosen}


def test_steps_are_undone_one_by_one_to_the_same_bytes(
    run: Path, found: Suggestions, tmp_path: Path
) -> None:
    frostline.label(run, filled(found, tmp_path / "a.csv"), measure=False)
    first = (run / "labels.csv").read_bytes()
    wrong = filled(found, tmp_path / "b.csv", label="digit 0")
    frostline.label(run, wrong, measure=False)
    assert (run / "labels.csv").read_bytes() != first
    assert frostline.label(run, undo=True).undone > 0
    assert (run / "labels.csv").read_bytes() == first
    assert frostline.label(run, undo=True).labels == 0
    with pytest.raises(InputError, match="nothing to undo"):
        frostline.label(run, undo=True)


@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_death_takes_all_answers_or_none(
    run: Path, found: Suggestions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    answers = filled(found, tmp_path / "a.csv")
    frostline.label(run, answers, measure=False)
    before = (run / "labels.csv").read_bytes()
    written = 0

    def dying(path: Path, text: str) -> None:
        nonlocal written
        written += 1
        if written == dies_at:
            raise KeyboardInterrupt
        write_text(path, text)

    monkeypatch.setattr("frostline.run.label_table.write_text", dying)
    wrong = filled(found, tmp_path / "b.csv", label="digit 0")
    with pytest.raises(KeyboardInterrupt):
        frostline.label(run, wrong, measure=False)
    monkeypatch.undo()
    assert (run / "labels.csv").read_bytes() == before
    # the way back is that of the table which is there
    assert frostline.label(run, undo=True).labels == 0


def test_a_new_class_must_be_meant(run: Path, found: Suggestions, tmp_path: Path) -> None:
    typo = filled(found, tmp_path / "typo.csv", label="digit 11")
    with pytest.raises(InputError, match="'digit 11' is none of the 3 classes") as caught:
        frostline.label(run, typo)
    assert "Did you mean 'digit 1'" in caught.value.hint
    assert not (run / "labels.csv").exists()
    taken = frostline.label(run, typo, new_classes=["digit 11"], measure=False)
    assert taken.new_classes == ("digit 11",)
    sheet = tmp_path / "answers.json"
    one = found.chosen[0]
    row = {"path": one.path, "digest": one.digest, "label": "seven"}
    told: dict[str, Any] = {"kind": "frostline answers", "answers": [row]}
    sheet.write_text(json.dumps({**told, "new_classes": ["seven"]}), encoding="utf-8")
    taken = frostline.label(run, sheet, measure=False)
    assert taken.new_classes == ("digit 11", "seven")
    sheet.write_text(json.dumps({**told, "answers": [{**row, "label": ""}]}), encoding="utf-8")
    assert frostline.label(run, sheet, measure=False).aside == 1
    assert one.digest not in (run / "labels.csv").read_text(encoding="utf-8")


def test_bad_answers_are_refused_as_a_whole(run: Path, found: Suggestions, tmp_path: Path) -> None:
    first, second = found.chosen[:2]
    image = tmp_path / "image.png"
    shutil.copy(first.path, image)
    good = f"{second.path},digit 0,{second.digest}\n"

    def refused(text: str, match: str) -> None:
        answers = tmp_path / "answers.csv"
        answers.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=match):
            frostline.label(run, answers)
        assert not (run / "labels.csv").exists()

    head = "path,label,digest\n"
    refused(f"{head}{good}gone.png,digit 0,\n", "gone.png does not exist")
    refused(f"{head}{good}{image},digit 0,{second.digest}\n", "is another image by now")
    refused(f"{head}{image},digit 0,\n{first.path},digit 1,\n", "One image has two answers")
    refused(f"{head}{image},,\n", "has no answer")
    refused("file,class\na.png,b\n", "answers need path and label")
    sheet = tmp_path / "answers.json"
    sheet.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is not the file of a contact sheet"):
        frostline.label(run, sheet)
    (run / "labels.csv").write_text("something,else\n", encoding="utf-8")
    with pytest.raises(InputError, match="is no table of labels"):
        frostline.label(run, filled(found, tmp_path / "a.csv"))


def test_doubtful_labels_are_found_and_corrected(
    fast_run: RunResult, digit_folder: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(fast_run.folder, tmp_path / "run"))
    manifest = run / "catalog.csv"
    lines = manifest.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if ",digit 0,train" in line)
    lines[place] = lines[place].replace(",digit 0,", ",digit 4,")
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = frostline.suggest(run, doubtful=True)
    doubt = found.chosen[0]
    assert (doubt.name, doubt.label, doubt.predicted) == (
        lines[place].split(",")[0],
        "digit 4",
        "digit 0",
    )
    table = tmp_path / "a.csv"
    table.write_text(f"path,label\n{doubt.path},digit 0\n", encoding="utf-8")
    taken = frostline.label(run, table)
    assert (taken.corrected, taken.table) == (1, str(run.resolve() / "corrections.csv"))
    assert doubt.name not in [one.name for one in frostline.suggest(run, doubtful=True).chosen]


def test_stored_features_stand_for_images_that_are_gone(
    run: Path, found: Suggestions, pool: Path
) -> None:
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    (run / "settings.json").write_text(json.dumps({**settings, "source": "/gone"}))
    again = frostline.suggest(run, pool, n=8)
    assert [one.digest for one in again.chosen] == [one.digest for one in found.chosen]


def test_what_cannot_be_suggested_is_refused_in_a_line(
    run: Path, pool: Path, digit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="no pool of images"):
        frostline.suggest(run)
    with pytest.raises(SettingsError, match="not both"):
        frostline.suggest(run, pool, doubtful=True)
    with pytest.raises(InputError, match="there is nothing to label"):
        frostline.suggest(run, digit_folder)
    with pytest.raises(InputError, match="does not exist"):
        frostline.suggest(run, tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        frostline.suggest(tmp_path, pool)
    (run / "catalog.csv").unlink()
    with pytest.raises(RunFolderError, match="no readable list of its images"):
        frostline.suggest(run, pool)


def test_the_commands_say_what_they_do(run: Path, pool: Path, tmp_path: Path) -> None:
    said = call("suggest", run, pool, "-n", 5)
    assert said.exit_code == 0, said.output
    assert "5 of 21 images are suggested; 48 labels so far." in said.stdout
    assert "near-duplicate of images of the run" in said.stdout
    assert "expected to bring" in " ".join(said.stdout.split())
    with (run / "suggestions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows[:5]] == list("12345")
    assert (run / "suggestions.html").stat().st_size > 10_000
    for row in rows:
        row["label"] = truth(row["path"]) if row["rank"] else ""
    with (tmp_path / "filled.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    taken = call("label", run, tmp_path / "filled.csv")
    assert taken.exit_code == 0, taken.output
    assert "Taken: 5 answers" in taken.stdout
    assert "labelled before" in taken.stdout
    back = call("label", run, "--undo", "--json")
    assert json.loads(back.stdout)["undone"] == 5
    assert call("label", run).exit_code == 2
    assert call("suggest", run).exit_code == 2
    assert call("suggest", run, pool, "-o", tmp_path / "x.html").exit_code == 2
