"""The folder for a hub: read by timm, by Frostline and by the code in its README."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

import frostline
from frostline.core.errors import InputError

if TYPE_CHECKING:
    from tests.exporting.conftest import Run

pytestmark = pytest.mark.slow

MakeRun = Callable[[str], "Run"]
CLASSES = ("b | <b>", "Äpfel", "c")


@pytest.mark.parametrize("kind", ["full, one place", "finetuned", "cut", "head", "blend"])
def test_everything_in_the_readme_works(make_run: MakeRun, tmp_path: Path, kind: str) -> None:
    run = make_run(kind)
    folder = tmp_path / "my model"
    done = frostline.export(run.folder, folder, to="hub")
    assert done.n_bytes == sum(f.stat().st_size for f in folder.iterdir())
    assert {"README.md", "config.json", "model.safetensors", "model.onnx", "model.json"} <= {
        f.name for f in folder.iterdir()
    }
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    for words in ('license: "apache-2.0"', "Accuracy 90.0% (95 %: 80.0% to 95.0%)", "Äpfel"):
        assert words in text
    # names of classes are text, not markup
    assert "<b>" not in text
    assert str(run.images[0].parent) not in text
    Image.open(run.images[0]).save(folder / "image.jpg", quality=95)
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(snippets) == 3
    expected = run.expected()
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.chdir(folder)
        names: dict[str, Any] = {"images": run.tensors()}
        exec(compile(snippets[0], "README", "exec"), names)
        np.testing.assert_allclose(names["probabilities"][0], expected[0], atol=0.1)
        exec(compile(snippets[1], "README", "exec"), names)
        np.testing.assert_allclose(names["probabilities"].numpy(), expected, atol=1e-4)
        exec(compile(snippets[2].replace("this folder", str(folder)), "README", "exec"), names)
    (folder / "image.jpg").unlink()
    model = frostline.load(folder)
    np.testing.assert_allclose(model.predict_proba(list(run.images)), expected, atol=1e-6)


def test_timm_loads_it_by_itself(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full, one place")
    frostline.export(run.folder, tmp_path / "m", to="hub")
    net = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    assert net.pretrained_cfg["label_names"] == list(CLASSES)
    data = timm.data.resolve_data_config({}, model=net)
    assert tuple(data["input_size"]) == (3, 32, 32)
    assert tuple(data["mean"]) == run.card.preprocessing.mean
    with torch.inference_mode():
        found = net(run.tensors()).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, run.expected(), atol=1e-4)


def test_timm_loads_what_lies_below_the_head(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full")
    frostline.export(run.folder, tmp_path / "m", to="hub")
    net = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    head = load_file(tmp_path / "m" / "head.safetensors")
    with torch.inference_mode():
        maps = net(run.tensors()).flatten(2)
        features = torch.cat([maps.mean(2), maps.std(2, correction=0)], dim=1)
        logits = features @ head["head.weight"].T + head["head.bias"]
    np.testing.assert_allclose(logits.softmax(1).numpy(), run.expected(), atol=1e-4)


def test_a_cut_network_comes_as_a_program(make_run: MakeRun, tmp_path: Path) -> None:
    done = frostline.export(make_run("cut").folder, tmp_path / "m", to="hub")
    assert "were removed" in done.notes[0]
    assert (tmp_path / "m" / "model.pt2").is_file()
    assert json.loads((tmp_path / "m" / "config.json").read_text())["num_classes"] == 3


def test_only_an_earlier_export_is_replaced(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full, one place")
    target = tmp_path / "m"
    frostline.export(run.folder, target, to="hub")
    with pytest.raises(InputError, match="exists already"):
        frostline.export(run.folder, target, to="hub")
    (target / "left.txt").write_text("old")
    frostline.export(run.folder, target, to="hub", overwrite=True)
    assert not (target / "left.txt").exists()
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.png").write_bytes(b"x")
    with pytest.raises(InputError, match="something else"):
        frostline.export(run.folder, other, to="hub", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "photos"]
