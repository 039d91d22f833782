"""Two models that both predict labelled images."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import frostline
from frostline.core.comparison_record import LeftOutAsTaught, OtherOutputs, TrainingUnknown
from frostline.core.errors import InputError
from frostline.fitting.run_result import RunResult
from frostline.run.manifest import COLUMNS
from tests.comparing.conftest import MODEL, MakeRun, write_csv

RELEASED = MODEL.parent
CLASSES = ("sound", "cracked", "größer")


def pictures(n: int) -> tuple[list[np.ndarray], list[str]]:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(n)]
    return images, [CLASSES[i % 3] for i in range(n)]


def test_both_predict_and_are_scored_as_each_alone() -> None:
    images, labels = pictures(30)
    found = frostline.compare(RELEASED / "format-6", RELEASED / "format-1", on=(images, labels))
    record, head = found.record, found.record.scores[0]
    alone = [
        frostline.evaluate(RELEASED / name, (images, labels)).scores
        for name in ("format-6", "format-1")
    ]
    assert (head.a, head.b) == pytest.approx([one.accuracy for one in alone])
    log_loss = next(one for one in record.scores if one.score == "log_loss")
    assert (log_loss.a, log_loss.b) == pytest.approx([one.nll for one in alone])
    assert record.calibration is not None
    assert record.calibration.a == pytest.approx(alone[0].ece)
    assert record.caveats == (TrainingUnknown(models=("a", "b")),)
    assert record.images == 30
    assert record.shared is None
    assert record.a.bytes == (RELEASED / "format-6" / "model.onnx").stat().st_size
    assert len(found.tiles) == min(len(record.lost), 48) + min(len(record.won), 48)


def test_unreadable_images_and_groups(tmp_path: Path) -> None:
    images, labels = pictures(12)
    rows = []
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        rows.append((f"{i}.png", label, i // 2))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    rows.append(("bad.png", "sound", 99))
    write_csv(tmp_path / "t.csv", ("path", "label", "group"), rows)
    model = frostline.load(RELEASED / "format-6")
    found = frostline.compare(model, model, on=tmp_path / "t.csv", speed=True).record
    assert [one.path for one in found.unreadable] == ["bad.png"]
    assert (found.images, found.groups) == (12, 6)
    assert not found.flips
    assert found.a.images_a_second is not None
    assert found.a.images_a_second > 0
    for row in rows[:-1]:
        (tmp_path / row[0]).write_bytes(b"no image")
    with pytest.raises(InputError, match="could be read by both"):
        frostline.compare(model, model, on=tmp_path / "t.csv")


def test_sources_that_cannot_judge(tmp_path: Path) -> None:
    model = frostline.load(RELEASED / "format-6")
    images, _ = pictures(3)
    with pytest.raises(InputError, match="unknown"):
        frostline.compare(model, model, on=(images, ["sound", "cracked", "unknown"]))
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError):
        frostline.compare(model, model, on=tmp_path)


def test_images_that_taught_either_are_left_out(
    fast_run: RunResult, digit_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(fast_run.folder, tmp_path / "a")
    shutil.copytree(fast_run.folder / "model", tmp_path / "b" / "model")
    rows = list(csv.reader((tmp_path / "a" / "catalog.csv").open(encoding="utf-8")))[1:]
    # a was trained on the last 20, b on the first 12 and on a copy of the 13th
    for name, taught in (("a", rows[-20:]), ("b", rows[:12])):
        card_says = fast_run.model.card.n_train
        more = [(f"x{i}", f"{i:064d}", "digit 0", "train", "") for i in range(card_says)]
        kept = [*taught, *more[: card_says - len(taught)]]
        write_csv(tmp_path / name / "catalog.csv", COLUMNS, kept)
    (tmp_path / "b" / "metrics.json").write_text("{}")
    with (tmp_path / "b" / "catalog.csv").open("a", encoding="utf-8") as file:
        file.write(",".join([rows[12][0], rows[12][1], "digit 0", "test", ""]) + "\n")
    near = f'{{"near_duplicates": [["{rows[12][0]}", "{rows[0][0]}"]]}}'
    (tmp_path / "b" / "audit.json").write_text(near)
    found = frostline.compare(tmp_path / "a", tmp_path / "b", on=digit_folder).record
    assert found.images == 48 - 33
    assert LeftOutAsTaught(a=20, b=13, images=33, copies=1) in found.caveats
    with pytest.raises(InputError, match=r"Every image of .* taught one of the models"):
        frostline.compare(fast_run.folder, tmp_path / "b", on=digit_folder)


def test_classes_that_one_model_lacks_are_not_judged(make_run: MakeRun) -> None:
    images, labels = pictures(9)
    renamed = make_run(
        "b", np.eye(3), np.arange(3), classes=("sound", "cracked", "bigger"), taught=["x"]
    )
    found = frostline.compare(RELEASED / "format-6", renamed, on=(images, labels)).record
    assert found.images == 6
    (caveat,) = (one for one in found.caveats if isinstance(one, OtherOutputs))
    assert (caveat.only_a, caveat.only_b, caveat.images) == (("größer",), ("bigger",), 3)
    with pytest.raises(InputError, match="a class that both models know"):
        frostline.compare(RELEASED / "format-6", renamed, on=(images[2::3], labels[2::3]))


def test_columns_of_a_data_frame_divide_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = pictures(60)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    frame = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(60)],
            "label": labels,
            "lamp": ["old", "new"] * 30,
        }
    )
    monkeypatch.chdir(tmp_path)
    found = frostline.compare(RELEASED / "format-6", RELEASED / "format-1", on=frame).record
    lamps = {one.value: one.images for one in found.parts if one.dimension == "column lamp"}
    assert lamps == {"old": 30, "new": 30}
