"""An update of a run equals a fit of the images that it then has, wherever they came from."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import frostline
from frostline.cli.main import app
from frostline.compute.cache.locations import cache_root
from frostline.core.errors import InputError, RunFolderError, SettingsError
from frostline.fitting.run_result import RunResult
from frostline.run.manifest import ManifestRow, read_rows
from frostline.run.replacement import next_folder, previous_folder, take_place

SIZE: dict[str, Any] = {"effort": "fast", "input_size": "64"}
Digits = Callable[..., None]


def rows_of(run: Path) -> list[ManifestRow]:
    rows = read_rows(run)
    assert rows is not None
    return rows


def union_of(run: Path, table: Path) -> Path:
    """Write the images of a run as a table, with their parts if they have any."""
    rows = rows_of(run)
    parts = {"train": "train", "validation": "val", "test": "test"}
    divided = any(row.part == "test" for row in rows)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", *(["split"] if divided else [])])
        for row in rows:
            writer.writerow(
                [row.file, row.label, row.group, *([parts[row.part]] if divided else [])]
            )
    return table


def weights(run: Path) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = load_file(run / "model" / "weights.safetensors")
    return found


def same_bits(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, digits_into: Digits) -> Path:
    folder = tmp_path_factory.mktemp("images")
    digits_into(folder / "old", per_class=12)
    digits_into(folder / "new", per_class=6, skip=12)
    digits_into(folder / "class", per_class=8, classes=(7,))
    return folder


@pytest.fixture(scope="module")
def run(images: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return frostline.fit(images / "old", tmp_path_factory.mktemp("run") / "run", **SIZE)


@pytest.fixture(scope="module")
def grown(run: RunResult, images: Path) -> RunResult:
    """The run with more images and a class of its own."""
    first = frostline.update(run.folder, run.folder.parent / "more", add=images / "new")
    assert (first.added, first.removed, first.already, first.new_classes) == (18, 0, 0, ())
    second = frostline.update(first.result.folder, run.folder.parent / "7", add=images / "class")
    assert second.new_classes == ("digit 7",)
    return second.result


def test_images_and_classes_that_are_added_give_the_bits_of_a_fit(
    grown: RunResult, tmp_path: Path, images: Path
) -> None:
    whole = frostline.fit(union_of(grown.folder, tmp_path / "all.csv"), tmp_path / "run", **SIZE)
    assert same_bits(grown.folder, whole.folder)
    assert grown.metrics["test"]["method"] == whole.metrics["test"]["method"] == "cross-validation"
    assert grown.metrics["test"]["accuracy"] == whole.metrics["test"]["accuracy"]
    assert grown.record.audit.images == 62
    seen = sorted((images / "class").rglob("*.png"))
    assert np.array_equal(grown.model.predict_proba(seen), whole.model.predict_proba(seen))


def test_no_order_of_arrival_matters(run: RunResult, grown: RunResult, images: Path) -> None:
    first = frostline.update(run.folder, run.folder.parent / "first 7", add=images / "class")
    both = frostline.update(first.result.folder, run.folder.parent / "both", add=images / "new")
    a, b = weights(grown.folder), weights(both.result.folder)
    assert both.result.classes == grown.classes
    assert all(np.allclose(a[name], b[name], rtol=0, atol=1e-6) for name in a)
    seen = sorted((images / "class").rglob("*.png"))
    one, other = (r.model.predict_proba(seen) for r in (grown, both.result))
    assert np.allclose(one, other, atol=1e-6)


def test_removed_images_leave_no_trace_and_labels_are_corrected(
    grown: RunResult, images: Path, tmp_path: Path
) -> None:
    rows = rows_of(grown.folder)
    gone, wrong = rows[0], rows[1]
    table = tmp_path / "right.csv"
    table.write_text(f"path,label\n{wrong.file},digit 4\n")
    found = frostline.update(
        grown.folder, tmp_path / "run", remove=(gone.name, "digit 7"), relabel=table
    )
    assert (found.removed, found.relabelled) == (9, 1)
    after = {row.name: row for row in rows_of(tmp_path / "run")}
    assert after[wrong.name].label == "digit 4"
    for name, digest in ((row.name, row.digest) for row in rows if row.name not in after):
        for file in (tmp_path / "run").rglob("*"):
            if file.is_file() and file.suffix in (".json", ".csv", ".html", ".jsonl"):
                text = file.read_text(encoding="utf-8")
                assert digest not in text, file
                assert name not in text, file
    whole = frostline.fit(union_of(tmp_path / "run", tmp_path / "t.csv"), tmp_path / "fit", **SIZE)
    assert same_bits(tmp_path / "run", whole.folder)


def test_purged_images_leave_the_store_too_and_images_that_stay_do_not(
    run: RunResult, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cache_root()
    shutil.copytree(store, tmp_path / "cache")
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    rows = rows_of(run.folder)
    gone = [row.digest for row in rows if row.label == "digit 4"]

    def traces() -> list[Path]:
        wanted = [*map(bytes.fromhex, gone), *(digest.encode() for digest in gone)]
        files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        return [path for path in files if any(one in path.read_bytes() for one in wanted)]

    assert traces()
    words = ["update", str(run.folder), "--remove", "digit 4", "-o", str(tmp_path / "next")]
    done = CliRunner().invoke(app, [*words, "--purge"])
    assert done.exit_code == 0, done.output
    assert "it had 12 images of those removed" in done.output
    assert traces() == []
    again = frostline.update(run.folder, tmp_path / "more", remove=("digit 4",))
    assert again.result.record.metrics.images_computed == 0
    assert same_bits(tmp_path / "next", again.result.folder)
    with pytest.raises(SettingsError, match="nothing to purge"):
        frostline.update(run.folder, tmp_path / "x", add=images / "class", purge=True)


def test_images_that_are_gone_are_read_from_the_store_or_counted(
    grown: RunResult,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    digits_into: Digits,
) -> None:
    digits_into(tmp_path / "more", per_class=3, skip=18)
    here = frostline.update(grown.folder, tmp_path / "here", add=tmp_path / "more").result
    hidden = images.with_name("hidden")
    images.rename(hidden)
    try:
        there = frostline.update(grown.folder, tmp_path / "gone", add=tmp_path / "more").result
        assert same_bits(here.folder, there.folder)
        # what is known of them is not made up from the images of then
        assert there.plan.evidence is None
        monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "empty"))
        with pytest.raises(InputError, match="used 62 are neither"):
            frostline.update(grown.folder, tmp_path / "lost", add=tmp_path / "more")
    finally:
        hidden.rename(images)
    assert not (tmp_path / "lost").exists()


def test_features_that_a_run_keeps_stand_in_for_store_and_images(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_into: Digits
) -> None:
    shutil.copytree(images / "old", tmp_path / "old")
    kept = frostline.fit(tmp_path / "old", tmp_path / "run", keep_features=True, **SIZE)
    told = kept.record.metrics.kept_features
    assert told is not None
    assert (told.images, told.left_out) == (36, None)
    files = [path for path in (tmp_path / "run" / "features").rglob("*") if path.is_file()]
    assert told.bytes < sum(path.stat().st_size for path in files) < 1.1 * told.bytes + 10_000
    wanted = frostline.update(kept.folder, tmp_path / "wanted", add=images / "class").result
    shutil.rmtree(tmp_path / "old")
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "empty"))
    found = frostline.update(kept.folder, tmp_path / "next", add=images / "class").result
    assert found.record.metrics.images_computed == 8
    assert same_bits(found.folder, wanted.folder)
    # what goes leaves them too, and what stays is carried on
    row = rows_of(found.folder)[0]
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "empty again"))
    again = frostline.update(found.folder, tmp_path / "less", remove=(row.name,)).result
    told = again.record.metrics.kept_features
    assert told is not None
    assert told.images == 43
    for file in (tmp_path / "less").rglob("*"):
        assert not file.is_file() or bytes.fromhex(row.digest) not in file.read_bytes()


def test_features_are_kept_up_to_a_limit(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.compute.kept_features.MOST_BYTES", 1000)
    words = ["fit", str(images / "old"), "-o", str(tmp_path / "run"), "--keep-features"]
    done = CliRunner().invoke(app, [*words, "--effort", "fast", "--input-size", "64"])
    assert done.exit_code == 0, done.output
    assert "no features: they would take" in done.output
    assert not (tmp_path / "run" / "features").exists()


def test_old_images_keep_their_part_and_copies_join_them(
    images: Path, tmp_path: Path, digits_into: Digits
) -> None:
    shutil.copytree(images / "old", tmp_path / "given" / "train")
    digits_into(tmp_path / "given" / "test", per_class=4, skip=30)
    run = frostline.fit(tmp_path / "given", tmp_path / "run", **SIZE)
    before = {row.digest: row.part for row in rows_of(run.folder)}
    digits_into(tmp_path / "add", per_class=10, skip=40)
    judged = next(path for path in (tmp_path / "given" / "test").rglob("*.png"))
    copy = tmp_path / "add" / judged.parent.name / "copy.png"
    # the same picture in other bytes
    with Image.open(judged) as picture:
        picture.save(copy, compress_level=1, pnginfo=None, optimize=False)
    assert copy.read_bytes() != judged.read_bytes()
    found = frostline.update(run.folder, tmp_path / "next", add=tmp_path / "add")
    rows = rows_of(found.result.folder)
    assert {row.digest: row.part for row in rows if row.digest in before} == before
    parts = {row.file: row.part for row in rows}
    assert parts[str(copy)] == "test"
    new = [row.part for row in rows if row.digest not in before and row.file != str(copy)]
    assert 4 <= new.count("test") <= 8
    assert found.result.metrics["test"]["method"] == "given"


def test_an_update_in_place_keeps_the_run_of_before(
    run: RunResult, images: Path, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    old = weights(place)
    (place / "labels.csv").write_text("path,label\n")
    add = str(images / "class")
    done = CliRunner().invoke(app, ["update", str(place), "--add", add, "--in-place"])
    assert done.exit_code == 0, done.output
    assert "8 images added" in done.output
    assert "show no difference" in done.output
    assert frostline.load(place).classes == ("digit 0", "digit 1", "digit 4", "digit 7")
    assert all(np.array_equal(old[k], v) for k, v in weights(previous_folder(place)).items())
    assert str(next_folder(place)) not in (place / "report.json").read_text()
    # what no run wrote goes with the place
    assert (place / "labels.csv").exists()
    assert not (previous_folder(place) / "labels.csv").exists()
    # died between the two steps
    place.rename(next_folder(place))
    again = CliRunner().invoke(app, ["update", str(place), "--add", add, "--in-place"])
    assert again.exit_code == 2
    assert "Nothing changes: all 8 images are in the run already" in again.output
    assert "digit 7" in frostline.load(place).classes


def test_a_run_that_is_worse_does_not_take_the_place(
    run: RunResult, images: Path, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    old = weights(place)
    lines = ["path,label"]
    for digit, other in ((0, 1), (1, 4), (4, 0)):
        some = sorted((images / "old" / f"digit {digit}").iterdir())[:8]
        lines += [f"{path},digit {other}" for path in some]
    table = tmp_path / "wrong.csv"
    table.write_text("\n".join(lines))
    words = ["update", str(place), "--relabel", str(table), "--in-place"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3, done.output
    assert "Not replaced" in done.output
    assert all(np.array_equal(old[name], value) for name, value in weights(place).items())
    assert frostline.load(next_folder(place)).classes == run.classes
    assert not previous_folder(place).exists()


def test_a_proof_that_so_few_images_cannot_give_is_not_made_up(
    run: RunResult, images: Path, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    found = frostline.update(place, add=images / "class", no_worse_than=0.5)
    assert not found.replaced
    assert found.comparison is not None
    assert found.comparison.passed is False
    assert found.result.folder == next_folder(place)
    again = frostline.update(place, add=images / "class", no_worse_than=20.0)
    assert again.replaced
    assert again.result.folder == place
    with pytest.raises(SettingsError, match="it has its own"):
        frostline.update(place, tmp_path / "x", remove=("digit 7",), no_worse_than=1.0)


def test_what_is_in_the_way_is_refused(run: RunResult, tmp_path: Path) -> None:
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    previous_folder(place).mkdir()
    (previous_folder(place) / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="holds no Frostline run"):
        frostline.update(place, remove=("digit 4",))
    with pytest.raises(RunFolderError, match="holds no Frostline run"):
        take_place(place)
    assert (previous_folder(place) / "thesis.txt").read_text() == "mine"
    # a run that somebody put files into is no less theirs
    shutil.rmtree(previous_folder(place))
    shutil.copytree(run.folder, previous_folder(place))
    (previous_folder(place) / "thesis.txt").write_text("mine")
    shutil.copytree(run.folder, next_folder(place))
    take_place(place)
    assert (place / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({}, SettingsError, "Nothing is to change"),
        ({"remove": ("digit 0/nothing.png",)}, InputError, "no image of the run"),
        ({"remove": ("digit 0", "digit 1", "digit 4")}, InputError, "All 36 images"),
        ({"remove": ("digit 0", "digit 1")}, InputError, "belong to one class"),
        ({"add": "nowhere"}, InputError, "does not exist"),
    ],
)
def test_changes_that_cannot_be(
    run: RunResult, tmp_path: Path, changes: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        frostline.update(run.folder, tmp_path / "next", **changes)  # type: ignore[arg-type]
    assert not (tmp_path / "next").exists()


def test_other_labels_come_by_relabel_alone(run: RunResult, images: Path, tmp_path: Path) -> None:
    one = next((images / "old" / "digit 1").iterdir())
    table = tmp_path / "other.csv"
    table.write_text(f"path,label\n{one},digit 0\n")
    with pytest.raises(InputError, match="in the run under another label") as caught:
        frostline.update(run.folder, tmp_path / "next", add=table)
    assert "--relabel" in str(caught.value.hint)
    table.write_text(f"path,label\n{one},digit 1\n")
    with pytest.raises(InputError, match="every label is as the run has it"):
        frostline.update(run.folder, tmp_path / "next", relabel=table)


def test_a_damaged_list_of_images_is_refused(run: RunResult, tmp_path: Path) -> None:
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    (place / "catalog.csv").write_text("path,digest\n")
    with pytest.raises(RunFolderError, match="no readable list of its images"):
        frostline.update(place, tmp_path / "next", remove=("digit 0",))


def numbers(folder: Path, rows: range, table: Path, *, label: str) -> Path:
    """Write a table of digits with labels, or with numbers to many digits."""
    data = load_digits()
    folder.mkdir(exist_ok=True)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "labels" if label else "ink"])
        for row in rows:
            path = folder / f"{row}.png"
            Image.fromarray((data.images[row] * 15.9).astype(np.uint8)).resize((64, 64)).save(path)
            digit = int(data.target[row])
            names = [name for name, has in (("even", digit % 2 == 0), (label, digit > 6)) if has]
            said = ";".join(names) if label else float(data.images[row].sum()) / 7.0
            writer.writerow([path, said])
    return table


@pytest.mark.parametrize("label", ["", "large"])
def test_labels_and_numbers_are_updated_alike(label: str, tmp_path: Path) -> None:
    """The old table names no image above six, so that its label comes with the new one."""
    old = numbers(tmp_path / "i", range(60), tmp_path / "old.csv", label=label and "even")
    new = numbers(tmp_path / "i", range(60, 90), tmp_path / "new.csv", label=label)
    wanted = {**SIZE, **({} if label else {"target": "ink"})}
    run = frostline.fit(old, tmp_path / "run", **wanted)
    found = frostline.update(run.folder, tmp_path / "next", add=new)
    both = tmp_path / "both.csv"
    both.write_text(old.read_text() + "".join(new.read_text().splitlines(keepends=True)[1:]))
    whole = frostline.fit(both, tmp_path / "fit", **wanted)
    assert found.result.classes == whole.classes
    assert same_bits(found.result.folder, whole.folder)


@pytest.mark.slow
def test_trained_layers_stay_whoever_goes_on(
    tiny_network: dict[str, Any], digit_parts: Path, images: Path, tmp_path: Path
) -> None:
    trained = frostline.fit(
        digit_parts, tmp_path / "trained", strategy="finetune", epochs=1, **tiny_network
    )
    once = frostline.update(trained.folder, tmp_path / "once", add=images / "class")
    trained.folder.rename(tmp_path / "away")
    twice = frostline.update(once.result.folder, tmp_path / "twice", remove=("digit 1",))
    assert once.result.plan.action.closed_form
    reached = trained.record.metrics.test.headline.value
    for run in (once, twice):
        refit = run.result.record.metrics.refit
        assert refit is not None
        assert refit.before.reached == reached
        assert run.result.metrics["refit"]["due"] == refit.due
    assert twice.removed == 16
    assert twice.result.classes == ("digit 0", "digit 4", "digit 7")

    def layers(run: Path) -> set[bytes]:
        return {v.tobytes() for v in weights(run).values() if v.ndim == 4}

    learned = layers(tmp_path / "away")
    assert len(learned) > 5
    assert layers(tmp_path / "once") == layers(tmp_path / "twice") <= learned


def test_a_network_that_is_not_here_is_named(run: RunResult, images: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    for name in ("settings.json", "plan.json"):
        text = (place / name).read_text(encoding="utf-8")
        (place / name).write_text(text.replace("efficientnet_lite0", "no_such_network"))
    words = ["update", str(place), "--add", str(images / "class"), "-o", str(tmp_path / "next")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert "no_such_network" in done.output
    assert not (tmp_path / "next").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--remove", "digit 4"], "no folder was given"),
        (["--remove", "digit 4", "-o", "x", "--in-place"], "both -o and --in-place"),
        (["-o", "x"], "Nothing is to change"),
        (["--add", "{images}/class", "-o", "x", "--purge"], "nothing to purge"),
        (["--remove", "digit 4", "-o", "x", "--no-worse-than", "1"], "it has its own"),
        (["--remove", "digit 4", "-o", "x", "--no-worse-than", "-1"], "--no-worse-than"),
        (["--add", "nowhere", "-o", "x"], "does not exist"),
        (["--relabel", "nowhere.csv", "-o", "x"], "does not exist"),
        (["--remove", "nobody.png", "-o", "x", "--purge"], "no image of the run"),
        (["--remove", "digit 4", "-o", "{run}"], "is the run itself"),
    ],
)
def test_bad_input_is_refused_before_anything_is_done(
    run: RunResult,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in cache_root().rglob("*"))
    given = [word.format(images=images, run=run.folder) for word in words]
    done = CliRunner().invoke(app, ["update", str(run.folder), *given])
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "x").exists()
    assert (run.folder / "metrics.json").exists()
    assert sorted(path.name for path in cache_root().rglob("*")) == before


def test_a_run_of_an_older_version_is_gone_on_from(
    run: RunResult, images: Path, tmp_path: Path
) -> None:
    """One from before settings, metrics and manifests had what they have today."""
    place = tmp_path / "run"
    shutil.copytree(run.folder, place)
    settings = json.loads((place / "settings.json").read_text(encoding="utf-8"))
    for name in ("keep_features", "task", "target", "label_separator", "at_most_wrong"):
        settings.pop(name)
    (place / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    data = json.loads((place / "report.json").read_text(encoding="utf-8"))
    (place / "report.json").write_text(json.dumps({**data, "version": "0.1.0"}), encoding="utf-8")
    found = frostline.update(place, tmp_path / "next", add=images / "class")
    wanted = frostline.update(run.folder, tmp_path / "wanted", add=images / "class")
    assert same_bits(found.result.folder, wanted.result.folder)
