"""Code that a kept result turns on cannot change without a word about the fact's version."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

import frostline.backbones.heads.pooling
import frostline.core.preprocessing
import frostline.data.decoding.decode
import frostline.data.decoding.value_ranges
import frostline.data.duplicates.shifted_copies
import frostline.data.splitting.stratified
import frostline.evidence.curve
import frostline.onnx_graph.ood_graph
import frostline.onnx_graph.preprocessing_graph
import frostline.stats.ood
import frostline.stats.ridge
from frostline.compute.cache.fact import Fact
from tools.fact_digests import Code, changes, digests, recorded_digests

pytestmark = pytest.mark.slow

#: distributions that compute, by the name that they are imported by
LIBRARIES = {
    **{name: name for name in ("numpy", "torch", "torchvision", "timm")},
    **{name: name for name in ("onnx", "onnxruntime", "openvino")},
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
#: what each fact turns on, also far from where it is declared
TURNS_ON: dict[str, list[ModuleType]] = {
    "copies": [frostline.data.duplicates.shifted_copies],
    "engine": [frostline.backbones.heads.pooling],
    "evidence": [
        frostline.evidence.curve,
        frostline.data.splitting.stratified,
        frostline.stats.ridge,
        frostline.core.preprocessing,
    ],
    "export": [
        frostline.onnx_graph.preprocessing_graph,
        frostline.onnx_graph.ood_graph,
        frostline.stats.ood,
        frostline.core.preprocessing,
    ],
    "ood": [frostline.stats.ood],
    "gallery": [frostline.data.decoding.decode, frostline.core.preprocessing],
    "moments": [frostline.data.decoding.decode, frostline.core.preprocessing],
    "taps": [
        frostline.backbones.heads.pooling,
        frostline.data.decoding.decode,
        frostline.core.preprocessing,
    ],
    "values": [frostline.data.decoding.decode, frostline.data.decoding.value_ranges],
}
MODULES = [(name, module.__name__) for name, modules in TURNS_ON.items() for module in modules]


@pytest.fixture(scope="module")
def code() -> Code:
    return Code()


def test_no_fact_changed_without_a_word(code: Code) -> None:
    said = changes(code, recorded_digests())
    assert not said, "\n".join([*said, "Renew: python tools/fact_digests.py --renew"])


@pytest.mark.parametrize(("name", "module"), MODULES)
def test_a_change_far_away_is_noticed(code: Code, name: str, module: str) -> None:
    before = digests(code)
    text = code.text(module)
    assert any(
        said.startswith(f"{name}: code")
        for said in changes(Code({module: f"{text}\nNEW = 1\n"}), before)
    )
    # comments and docstrings give no result
    silent = text.replace('"""', '"""Otherwise said: ', 1) + "\n# a comment\n"
    assert changes(Code({module: silent}), before) == []


def test_a_changed_constant_is_noticed(code: Code) -> None:
    module = frostline.stats.ood.__name__
    text = code.text(module)
    assert "\nMOST = 1000.0\n" in text
    other = Code({module: text.replace("\nMOST = 1000.0\n", "\nMOST = 1001.0\n")})
    (export,) = (fact for fact in code.facts() if fact.name == "export")
    assert other.digest(export.module) != code.digest(export.module)


def test_a_version_that_was_raised_has_to_be_written_down(code: Code) -> None:
    recorded = digests(code)
    assert changes(code, recorded) == []
    recorded["taps"]["version"] = 0
    del recorded["moments"]
    recorded["another"] = {"version": 1, "digest": ""}
    said = changes(code, recorded)
    assert [line.partition(":")[0] for line in said] == ["moments", "taps", "another"]


def test_a_fact_names_every_library_that_its_code_imports(code: Code) -> None:
    for declared in code.facts():
        module = importlib.import_module(declared.module)
        (fact,) = (
            value
            for value in vars(module).values()
            if isinstance(value, Fact) and value.name == declared.name
        )
        imported = {LIBRARIES[name] for name in code.libraries(declared.module) & set(LIBRARIES)}
        assert imported <= set(fact.libraries), declared.name


def test_moving_a_file_changes_no_digest(tmp_path: Path) -> None:
    files = {
        "maker.py": "from frostline.zebra import strip, turn\nM = Fact(name='m', version=1)\n",
        "zebra.py": "from frostline import table\ndef strip(x):\n    return table.read(x)\n",
        "table.py": "def read(x):\n    return open('rows.csv')\n",
        "rows.csv": "a,b\n",
    }
    moved = {
        "rooms/maker.py": files["maker.py"].replace("zebra", "rooms.ant"),
        "rooms/ant.py": "from frostline.rooms.deep import table\n"
        + files["zebra.py"].partition("\n")[2],
        "rooms/deep/table.py": files["table.py"],
        "rooms/deep/rows.csv": files["rows.csv"],
    }
    other_data = {**files, "rows.csv": "a,c\n"}
    swapped = {
        **files,
        "maker.py": files["maker.py"].replace("zebra import strip", "table import strip"),
    }
    found = []
    for number, tree in enumerate((files, moved, other_data, swapped)):
        source = tmp_path / str(number) / "frostline"
        for name, text in tree.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        found.append(digests(Code(source=source))["m"]["digest"])
    assert found[0] == found[1]
    assert len(set(found)) == 3
