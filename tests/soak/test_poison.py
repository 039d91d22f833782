"""Feed it poison: hostile images, names, folders and tables; nothing may crash, hang or spread."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from frostline.cli.main import app
from frostline.core.errors import FrostlineError
from frostline.core.preprocessing import Preprocessing
from frostline.core.reading_rules import ReadingRules, ValueRange
from frostline.data.decoding.decode import EXTENSIONS, decode
from frostline.data.naming import printable
from frostline.data.sources.open_source import open_source
from tests.conftest import write_digits
from tests.soak import commands
from tests.soak.commands import Job, limit_memory
from tests.soak.hostile import GOOD, corpus, encoded, picture, plant_names, plant_things, tables

pytestmark = pytest.mark.soak
#: rows of the long tables
_ROWS = 1_000_000
#: bytes of memory that a whole command may take
_COMMAND = 14 * 2**30
#: whoever reads a whole set has measured what its deep greys reach
_RULES = ReadingRules(integers=ValueRange(low=0, high=65535), floats=ValueRange(low=0, high=1))


def test_every_image_is_read_or_refused_with_a_reason(bounded: None) -> None:
    refused = {one.kind for one in corpus() if _reason(one.content)}
    assert {"bomb", "only a beginning"} <= refused
    assert not {"orientation", "animated"} & refused


def test_every_table_is_read_or_refused(bounded: None, tmp_path: Path) -> None:
    for number, path in enumerate(GOOD):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(encoded(picture(number=number), "PNG") or b"")
    for name, content in tables(_ROWS):
        (tmp_path / name).write_bytes(content)
        try:
            found = len(open_source(tmp_path / name))
        except FrostlineError:
            found = 0
        assert found == 4 or not name.startswith("good"), name
        (tmp_path / name).unlink()


def test_commands_take_a_folder_of_everything(forking: None, tmp_path: Path) -> None:
    everything, run = tmp_path / "everything", tmp_path / "run"
    write_digits(everything, per_class=24)
    first, second, _ = classes = sorted(everything.iterdir())
    outside = tmp_path / "outside.png"
    outside.write_bytes(encoded(picture(), "PNG") or b"")
    refused = _plant_hostile(classes)
    plant_names(first, outside.read_bytes())
    things = plant_things(second, outside)
    unseen = tmp_path / "unseen"
    write_digits(unseen, per_class=4, skip=24)
    _plant_hostile(sorted(unseen.iterdir()))
    for words in (
        ["fit", str(everything), "-o", str(run), "--effort", "fast"],
        ["advise", str(everything)],
        ["predict", str(run), str(everything)],
        ["predict", str(run), str(everything), "--csv"],
        ["evaluate", str(run), str(unseen)],
    ):
        _done(words, tmp_path / "cache")
    said = {
        entry["path"]
        for entry in json.loads((run / "audit.json").read_text())["unreadable"]
        if entry["reason"]
    }
    assert {printable(str(path.relative_to(everything))) for path in refused} <= said
    images = {name for name in things if name.endswith(".png")}
    # one leads to an image, and one is a folder
    assert images - {"outside.png", "folder.png"} <= {Path(name).name for name in said}


def test_refused_files_change_nothing_for_good_ones(forking: None, tmp_path: Path) -> None:
    weights, scores, answers = [], [], []
    for name in ("clean", "beside"):
        folder, run = tmp_path / name, tmp_path / f"run-{name}"
        write_digits(folder, per_class=24)
        if name == "beside":
            # below 500 files, as from there on engines are timed
            refused = set(_plant_hostile(sorted(folder.iterdir()))[:400])
            for path in folder.rglob("h*"):
                if path not in refused:
                    path.unlink()
        _done(["fit", str(folder), "-o", str(run), "--effort", "fast"], tmp_path / f"cache-{name}")
        weights.append((run / "model" / "weights.safetensors").read_bytes())
        with (run / "predictions.csv").open(newline="") as stream:
            scores.append(list(csv.reader(stream)))
        words = ["predict", str(tmp_path / "run-clean"), str(folder), "--json"]
        said = json.loads(CliRunner().invoke(app, words).stdout)
        answers.append(
            {
                str(Path(one["path"]).relative_to(folder)): one["probabilities"]
                for one in said
                if "probabilities" in one
            }
        )
    assert weights[0] == weights[1]
    assert scores[0] == scores[1]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 72


def _reason(content: bytes | Path) -> str:
    """Why an image is refused; empty if it is not."""
    preprocessing = Preprocessing()
    try:
        least = preprocessing.decode_at_least
        preprocessing.apply(decode(content, max_pixels=10**8, at_least=least, rules=_RULES))
    except FrostlineError as error:
        return str(getattr(error, "reason", error))
    return ""


def _plant_hostile(classes: list[Path]) -> list[Path]:
    """Write the corpus into the folders of classes, in turn; returns what is refused."""
    written = []
    for number, one in enumerate(corpus()):
        if f".{one.ending}" in EXTENSIONS:
            path = classes[number % len(classes)] / f"h{number}.{one.ending}"
            path.write_bytes(one.content)
            written.append(path)
    return sorted(path for path in written if _reason(path))


def _done(words: list[str], cache: Path) -> None:
    """Run a command with bounded memory."""
    said = cache.with_name("said.txt")
    ended = commands.one(Job(words, cache, said, before=(partial(limit_memory, _COMMAND),)))
    assert ended.code == 0, ended.said[-1000:]
