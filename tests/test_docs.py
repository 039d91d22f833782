"""Every snippet of every page runs, in its order: Python is executed, commands are given."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from frostline.backbones.describe import describe, graph_of
from frostline.backbones.load.bundled import BUNDLED, Bundled
from frostline.backbones.network import Network
from frostline.cli.main import app

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
SNIPPET = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
#: other programs; what they are given is tested where it belongs
ELSEWHERE = ("make", "source", "curl", "python", "pip", "docker", "kill")
#: they run until they are stopped, or take the demonstration's minutes; so do those that log to
#: what need not be installed
ONLY_OPTIONS = ("serve", "demo")


def _snippets(page: Path) -> list[tuple[str, str]]:
    return SNIPPET.findall(page.read_text(encoding="utf-8"))


class _Tiny(Bundled):
    """Stands for a bundled network whose weights lie where ``file`` says."""

    def weights_file(self) -> Path:
        return Path(self.file)


@pytest.fixture(scope="module", autouse=True)
def small_lite0(
    tiny_network: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A tiny network under the bundled one's name: what is shown is that the pages work."""
    net = timm.create_model(tiny_network["backbone"], pretrained=False)
    net.load_state_dict(load_file(tiny_network["weights"]))
    # weights of packages are taken in their order, which safetensors does not keep
    path = tmp_path_factory.mktemp("package") / "tiny.pth"
    torch.save(net.state_dict(), path)
    whole = BUNDLED["efficientnet_lite0"]
    tiny = {"architecture": tiny_network["backbone"], "file": str(path)}
    with pytest.MonkeyPatch.context() as patch:
        # what is kept of the whole network under this name is not of the tiny one
        patch.setenv("FROSTLINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(BUNDLED, whole.name, _Tiny(**{**asdict(whole), **tiny}))
        network = Network.load(whole.name)
        written = describe(network), graph_of(network)
        patch.setattr("frostline.backbones.described.shipped", lambda name: written)
        yield


@pytest.fixture(scope="module")
def ground(
    small_lite0: None, tmp_path_factory: pytest.TempPathFactory, digits_into: Callable[..., None]
) -> Iterator[Path]:
    """What pages take for granted: two folders of images, two photos, and a finished run."""
    folder = tmp_path_factory.mktemp("pages")
    digits_into(folder / "photos", per_class=4)
    digits_into(folder / "other_photos", per_class=3, skip=4)
    some = next((folder / "photos").rglob("*.png"))
    for name in ("new.jpg", "photo.jpg", "cat.jpg"):
        shutil.copy(some, folder / name)
    _frostline(f"fit {folder / 'photos'} -o {folder / 'run'} --effort fast --input-size 224")
    yield folder


@pytest.fixture
def place(ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it, to work in."""
    shutil.copytree(ground, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "page", [p for p in PAGES if _snippets(p)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_snippets_run(page: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    text = page.read_text(encoding="utf-8")
    for language, snippet in _snippets(page):
        if language == "python":
            exec(compile(snippet, str(page), "exec"), names)
        else:
            for command in _commands(snippet):
                _given(command)
    said = capsys.readouterr().out
    for promised in re.findall(r"print\(.*\)  # (.+)", text):
        assert promised in said


def test_every_setting_that_a_page_names_exists() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", _all_help()))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"`frostline [^`]*`", text):
            named = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", command))
            assert named <= known, f"{page.name}: {command}"


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"\S+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {str(p.relative_to(ROOT / "docs")) for p in PAGES[:-1]} == listed


def _commands(snippet: str) -> Iterator[list[str]]:
    for line in snippet.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        # what stands before a command is for its environment
        words = list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))
        if words and words[0] == "frostline":
            yield words[1:]
        elif words and line.startswith("$ "):
            assert words[0] in ELSEWHERE, line
        elif words and words[0] not in ELSEWHERE:
            # only what a command answers may stand there otherwise
            assert "$ " in snippet, f"{line!r} is no command that is known"


def _given(words: list[str]) -> None:
    if words[0] == "fit" and "-o" in words:
        # a page that lists ways to fit means each for itself
        shutil.rmtree(words[words.index("-o") + 1], ignore_errors=True)
    # what is shown is that the commands work: small images and one epoch do
    if words[0] in ("fit", "advise"):
        small = {"--epochs": "1"} if "--budget" in words else {}
        if "--plan" not in words:
            small["--input-size"] = "64"
        words = [*words, *(word for option in small.items() for word in option)]
    if words[0] not in ONLY_OPTIONS and "--log-to" not in words:
        _frostline(shlex.join(words))
        return
    known = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"}).output
    for word in words[1:]:
        assert not word.startswith("--") or word in known, word


def _frostline(command: str) -> None:
    result = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
    assert result.exit_code == 0, f"frostline {command}:\n{result.output}"


def _all_help() -> str:
    names = (*(c.name or c.callback.__name__ for c in app.registered_commands if c.callback),)
    subs = [["cache", name] for name in ("show", "verify", "prune")]
    wide = {**os.environ, "COLUMNS": "200"}
    pages = [[], *([name] for name in names), *subs]
    return "\n".join(CliRunner().invoke(app, [*p, "--help"], env=wide).output for p in pages)


if sys.platform == "win32":
    pytest.skip("The pages are written for POSIX shells.", allow_module_level=True)
