"""Every command reads folders alike, and says what it read and what it left out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import frostline
from frostline.cli.main import app
from frostline.core.errors import FrostlineError, SettingsError

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "model" / "released" / "format-3"
Write = Callable[..., None]


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


def text(said: str) -> str:
    """What was said, whatever the width of the terminal."""
    return " ".join(said.replace("│", " ").split())


def options(settings: dict[str, Any]) -> list[str]:
    fast = {**settings, "effort": "fast"}
    return [word for k, v in fast.items() for word in (f"--{k.replace('_', '-')}", str(v))]


def picture(path: Path, grey: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize((32, 32)).point(lambda v: (v + grey) % 256).save(path)


@pytest.fixture
def brain(tmp_path: Path, digits_into: Write) -> Path:
    """Digits in Training and Testing, and what else people have there."""
    root = tmp_path / "brain"
    digits_into(root / "Training", per_class=4)
    digits_into(root / "Testing", per_class=2, skip=4)
    digits_into(root / "holiday", per_class=1, skip=8)
    for i in range(3):
        (root / "Training" / "digit 0" / f"p{i}.CR3").write_bytes(b"\0\0\0\x18ftypcrx ")
    (root / "Training" / "digit 1" / "notes.txt").write_text("x")
    picture(root / "Testing" / ".ipynb_checkpoints" / "0.png")
    return root


def test_a_fit_says_what_it_read(brain: Path, tmp_path: Path, tiny_network: dict[str, Any]) -> None:
    run = tmp_path / "run"
    words = ["fit", brain, "-o", run, *options(tiny_network)]
    refused = command(*words)
    assert refused.exit_code == 2
    assert "there are also images in 'holiday'" in text(refused.stderr)
    assert "--train Training --test Testing" in text(refused.stderr)
    said = command(*words, "--train", "Training")
    assert said.exit_code == 0, said.output
    read = "18 images of 3 classes: 12 train (Training), 6 test (Testing)"
    rest = (
        "4 files that are not read as images (3 .cr3 (a camera's raw file, which is not read: "
        "export it as TIFF or JPEG), such as Training/digit 0/p0.CR3; 1 .txt, "
        "Training/digit 1/notes.txt), 1 hidden (Testing/.ipynb_checkpoints), "
        "3 outside the parts (such as holiday/digit 0/"
    )
    assert f"Images {read}" in text(said.stdout)
    assert f"Left out: {rest}" in text(said.stderr)
    page = (run / "report.html").read_text()
    assert f"Read: {read}." in page
    assert "p0.CR3" in page
    audit = json.loads((run / "audit.json").read_text())
    assert audit["ignored"] == {"hidden": 1, "not an image": 4, "outside the parts": 3}
    assert audit["understood"]["parts"][1] == {
        "part": "test", "folders": ["Testing"], "images": 6, "classes": 3,
    }  # fmt: skip
    assert (
        "--train Training" in json.loads((run / "report.json").read_text())["provenance"]["command"]
    )
    assert json.loads((run / "settings.json").read_text())["train"] == "Training"
    (run / "report.html").unlink()
    assert command("report", run).exit_code == 0
    assert f"Read: {read}." in (run / "report.html").read_text()


def test_an_unfinished_run_goes_on_with_the_same_parts_alone(
    brain: Path, tmp_path: Path, tiny_network: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    settings: dict[str, Any] = {**tiny_network, "effort": "fast", "train": "Training"}
    frostline.fit(brain, run, **settings)
    (run / "metrics.json").unlink()
    with pytest.raises(FrostlineError, match="test: None, now 'holiday'"):
        frostline.fit(brain, run, **settings, test="holiday")
    assert frostline.fit(brain, run, **settings).metrics["n_test"] == 6


def test_advice_says_what_it_read(
    tmp_path: Path, digits_into: Write, tiny_network: dict[str, Any]
) -> None:
    digits_into(tmp_path / "wrap" / "digits", per_class=4)
    picture(tmp_path / "wrap" / "Prueba" / "0.png")
    words = ["advise", tmp_path / "wrap", *options(tiny_network)]
    said = command(*words, "--train", "digits", "--test", "Prueba")
    assert said.exit_code == 0, said.output
    assert "Images: 12 images of 3 classes: 12 train (digits)" in text(said.stdout)
    assert "Prueba/ has 1 image and no class folders: not used." in text(said.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--train", "Trainng"], "Did you mean 'Training'?"),
        (["--val", "../elsewhere"], "Setting 'val' cannot be '../elsewhere'"),
        (["--test", "/tmp"], "it must name a sub-folder of the source"),
        (["--test", "Testing", "--val", "Testing"], "are one folder"),
    ],
)
@pytest.mark.parametrize("which", ["fit", "advise"])
def test_folders_that_cannot_be_parts(
    which: str, words: list[str], said: str, brain: Path, tmp_path: Path
) -> None:
    output = ["-o", str(tmp_path / "run")] if which == "fit" else []
    refused = command(which, brain, *output, *words)
    assert refused.exit_code == 2
    assert said in text(refused.stderr)


def test_the_python_interface_takes_the_same_words(brain: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"train='Trainng'.*Did you mean 'Training'\?"):
        frostline.advise(brain, train="Trainng")
    with pytest.raises(SettingsError, match="names a sub-folder, but"):
        frostline.fit({"train": brain}, tmp_path / "run", train="Training")


@pytest.mark.parametrize(
    ("clutter", "n"),
    [
        (".ipynb_checkpoints/0.png", 2),
        ("@eaDir/0.png/0.png", 2),
        ("deep/__MACOSX/._0.png", 2),
        ("#recycle/old/1.png", 2),
        ("lost+found/1.png", 2),
        # what is no clutter
        ("deep/er/1.png", 3),
    ],
)
def test_a_prediction_leaves_out_what_a_fit_does(clutter: str, n: int, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    for name in ("0.png", "1.png", clutter):
        picture(folder / name)
    said = command("predict", MODEL, folder, "--csv")
    assert said.exit_code == 0, said.output
    assert len(list(csv.DictReader(io.StringIO(said.stdout)))) == n
    assert ("1 hidden" in text(said.stderr)) == (n == 2)


def test_a_prediction_names_what_it_does_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    picture(folder / "0.png")
    for name in ("a.CR3", "b.cr3", "notes.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "again").symlink_to(folder)
    said = command("predict", MODEL, folder, "--json")
    assert said.exit_code == 0, said.output
    rows = {Path(row["path"]).name: row.get("error") for row in json.loads(said.stdout)}
    # kinds that hold pictures have a row each; notes are no pictures
    assert rows == {"0.png": None, "a.CR3": "text, not an image", "b.cr3": "text, not an image"}
    assert "1 file that is not read as an image (1 .txt, notes.txt)" in text(said.stderr)
    assert "1 link to a folder already seen (again)" in text(said.stderr)
    for path in (folder / "0.png", folder / "a.CR3", folder / "b.cr3"):
        path.unlink()
    said = command("predict", MODEL, folder)
    assert said.exit_code == 2
    assert "has no image, only other files (1 .txt)" in text(said.stderr)


def test_an_evaluation_reads_like_a_fit(fast_run: Any, tmp_path: Path, digits_into: Write) -> None:
    root = tmp_path / "later"
    digits_into(root / "Testing", per_class=2, skip=30)
    picture(root / "Testing" / ".ipynb_checkpoints" / "0.png")
    for source, hidden in ((root, "Testing/.ipynb"), (root / "Testing", ".ipynb")):
        said = command("evaluate", fast_run.folder, source)
        assert said.exit_code == 0, said.output
        assert "Images: 6 images of 3 classes" in text(said.stderr)
        assert f"Left out: 1 hidden ({hidden}_checkpoints)." in text(said.stderr)
    digits_into(root / "more", per_class=1, skip=40)
    digits_into(root / "Training", per_class=1, skip=50)
    refused = command("evaluate", fast_run.folder, root)
    assert refused.exit_code == 2
    assert "there are also images in 'more'" in text(refused.stderr)
    # no setting of an evaluation settles it
    assert "--train" not in refused.stderr
