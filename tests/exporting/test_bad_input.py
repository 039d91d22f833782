"""What cannot be exported ends with exit code 2 and one clear message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from frostline.cli.main import app

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]


def frostline(*arguments: object) -> tuple[int, str, str]:
    said = CliRunner().invoke(app, [str(a) for a in arguments])
    assert "Traceback" not in said.stderr
    return said.exit_code, said.stdout, " ".join(said.stderr.split())


BAD = {
    "target": (["--to", "onix"], "Did you mean 'onnx'?"),
    "width": (["--quantize", "int4"], "Did you mean 'int8'?"),
    "width of a program": (["--to", "torch", "--quantize", "int8"], "belongs to to='onnx'"),
    "old operators": (["--opset", "18"], "needs 19"),
    "unheard-of operators": (["--opset", "99"], "newer than this installation"),
    "operators of a program": (["--to", "torch", "--opset", "20"], "belongs to to='onnx'"),
    "images": (["--images", "nowhere"], "does not exist"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(make_run: MakeRun, tmp_path: Path, name: str) -> None:
    options, words = BAD[name]
    code, _, said = frostline(
        "export", make_run("full").folder, "-o", tmp_path / "m.onnx", *options
    )
    assert code == 2
    assert words in said
    assert not list(tmp_path.iterdir())


def test_bad_places(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full").folder
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "old.onnx").write_text("earlier")
    (tmp_path / "folder.onnx").mkdir()
    for run_, target, words in (
        (tmp_path / "none", "m.onnx", "does not exist"),
        (tmp_path / "none.onnx", "m.onnx", "no file"),
        (run, "old.onnx", "exists already"),
        (run, "folder.onnx", "exists already"),
        (run, "file/m.onnx", "cannot be written"),
        (run, run / "model" / "model.onnx", "belongs to the run"),
        (run, run / "model", "belongs to the run"),
        (run, run, "itself lies"),
    ):
        code, _, said = frostline("export", run_, "-o", tmp_path / target)
        assert code == 2, (target, said)
        assert words in said
    assert (tmp_path / "old.onnx").read_text() == "earlier"
    for target, to, words in (("folder.onnx", "onnx", "is a folder"), ("file", "hub", "is a file")):
        code, _, said = frostline("export", run, "-o", tmp_path / target, "--to", to, "--overwrite")
        assert code == 2, said
        assert words in said


def test_what_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("cut")
    code, out, said = frostline("export", run.folder, "-o", tmp_path / "m.onnx")
    assert (code, said) == (0, "")
    assert "compared with the model on 32 images" in out
    code, out, said = frostline("export", run.folder, "-o", tmp_path / "m", "--to", "torch")
    assert code == 0
    assert "A program of torch.export, as the layers above" in said
    target = tmp_path / "small.onnx"
    code, out, _ = frostline("export", run.folder, "-o", target, "--quantize", "int8")
    assert code == 0
    for words in ("times smaller", "keep their class", "Accuracy"):
        assert words in out
    code, out, _ = frostline("predict", target, run.images[0], "--json")
    assert code == 0
    assert '"label"' in out
