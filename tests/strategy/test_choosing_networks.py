"""Networks and input sizes are compared on frozen features, the cheapest good one is taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from sklearn.datasets import load_digits

from frostline.backbones.network import Network
from frostline.compute.frozen import Frozen
from frostline.core.errors import FrostlineError, SettingsError
from frostline.core.plan import Plan
from frostline.core.progress import NullProgress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.problem import Problem
from frostline.evidence.networks import best_network
from frostline.fitting import networks, usual_size
from frostline.fitting.networks import open_networks
from frostline.wording.evidence import networks_sentences

pytestmark = pytest.mark.slow

N = 400
LABELS = np.asarray(load_digits().target[:N], dtype=np.int64)
ROWS = np.arange(300)


def problem(labels: npt.NDArray[np.int64] = LABELS) -> Problem:
    """Digits that nobody opens."""
    rows = tuple(ImageRow(Path(str(i)), str(i), int(label)) for i, label in enumerate(labels))
    return Problem.of(Catalog("digits", tuple("0123456789"), rows, tuple(map(str, range(N)))))


class Notes(NullProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, fact: object, /) -> None:
        self.said.append(str(fact))


def store(name: str, *, macs: int, noise: float) -> Frozen:
    """Digits as features, blurred by noise."""
    pixels = load_digits().images[:N].reshape(N, 64)
    taps = pixels + np.random.default_rng(0).normal(0, noise + 1e-6, size=pixels.shape)

    def table(names: Any, rows: Any) -> Any:
        del names
        return taps[rows].astype(np.float32)

    network = SimpleNamespace(
        name=name, macs=macs, preprocessing=SimpleNamespace(size=8 if macs < 20 else 16)
    )
    features = SimpleNamespace(slices={"pixels": slice(0, 64)}, table=table)
    found = SimpleNamespace(features=features, network=network)
    return cast(Frozen, found)


@pytest.mark.parametrize(("noise", "taken"), [(0.0, "small"), (9.0, "large")])
def test_the_larger_is_taken_only_where_it_is_clearly_better(noise: float, taken: str) -> None:
    large, small = store("large", macs=30, noise=0.0), store("small", macs=10, noise=noise)
    chosen, results = best_network(problem(), [large, small], ROWS, tie=0.01)
    assert chosen.network.name == taken
    assert [r.backbone for r in results] == ["large", "small"], "in the order given"
    assert [r.chosen for r in results] == [taken == "large", taken == "small"]
    said = networks_sentences(results)[0]
    assert said.startswith(f"Frozen features of {taken}")
    assert "small at 8 px" in said or "large at 16 px" in said


def test_only_training_rows_decide() -> None:
    spoiled = LABELS.copy()
    spoiled[300:] = 0
    two = [store("a", macs=30, noise=2.0), store("b", macs=10, noise=4.0)]
    scores = best_network(problem(), two, ROWS, tie=0.01)[1]
    assert scores == best_network(problem(spoiled), two, ROWS, tie=0.01)[1]


def test_one_network_needs_no_words() -> None:
    only = [store("only", macs=1, noise=0.0)]
    _, results = best_network(problem(), only, ROWS, tie=0.01)
    assert networks_sentences(results) == []


def test_sizes_are_opened_and_weights_stay() -> None:
    settings = Settings(input_size="64,96")
    small, larger = open_networks(settings, None, Runtime()).networks
    assert (small.preprocessing.size, larger.preprocessing.size) == (64, 96)
    assert small.weights_id == larger.weights_id
    assert [c.name for c in small.cuts] == [c.name for c in larger.cuts]
    assert larger.macs > 2 * small.macs
    assert larger.last.shape[1:] == (3, 3)


def test_effort_best_looks_at_a_larger_input() -> None:
    opened = open_networks(Settings(effort="best"), None, Runtime()).networks
    assert [n.preprocessing.size for n in opened] == [224, 288]
    assert len(open_networks(Settings(), None, Runtime()).networks) == 1


def test_a_plan_settles_the_size() -> None:
    plan = cast(Plan, SimpleNamespace(backbone="efficientnet_lite0", input_size=96))
    opened = open_networks(Settings(effort="best"), plan, Runtime()).networks
    assert [n.preprocessing.size for n in opened] == [96]


@pytest.mark.parametrize("size", ["12", "big", "224,", "4096", "-64", "64.5"])
def test_wrong_sizes_are_refused(size: str) -> None:
    with pytest.raises(SettingsError, match="input_size"):
        Settings(input_size=size)


def test_a_size_that_a_network_cannot_take_is_said(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "vit.pt"
    torch.save(timm.create_model("test_vit", pretrained=False).state_dict(), weights)
    asked = Settings(backbone="test_vit", weights=weights, input_size="100")
    with pytest.raises(FrostlineError, match=r"squares of 16 pixels.*--input-size 96 or 112"):
        open_networks(asked, None, Runtime())
    # of sizes that were asked for together, the others stay
    notes = Notes()
    both = Settings(backbone="test_vit", weights=weights, input_size="100,64")
    (only,) = open_networks(both, None, Runtime(progress=notes)).networks
    assert only.preprocessing.size == 64
    assert ["other sizes are compared" in text for text in notes.said] == [True]


def test_large_images_are_not_taken_on_a_processor_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usual_size, "LARGEST", 96)
    monkeypatch.setattr(networks, "FEW_PIXELS", 72)
    torch.manual_seed(0)
    weights = tmp_path / "w.pth"
    torch.save(timm.create_model("test_vit", pretrained=False).state_dict(), weights)
    unasked = Settings(backbone="test_vit", weights=weights)
    (network,) = open_networks(unasked, None, Runtime()).networks
    assert network.preprocessing.size in (64, 80), "72 is no multiple of 16"
    assert network.summary().pretraining_size == network.pretraining_size == 160
    assert "--input-size 160" in network.notes[-1]
    assert network.macs < Network.load("test_vit", weights=weights).macs / 3
    asked = Settings(backbone="test_vit", weights=weights, input_size=160)
    (own,) = open_networks(asked, None, Runtime()).networks
    assert (own.preprocessing.size, own.pretraining_size, own.notes) == (160, None, ())
    # bundled networks were measured at their own size
    bundled = [n.preprocessing.size for n in open_networks(Settings(), None, Runtime()).networks]
    assert bundled == [224]


def test_a_size_among_others_is_the_network_of_that_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "w.pth"
    torch.save(timm.create_model("test_vit", pretrained=False).state_dict(), weights)
    asked = Settings(backbone="test_vit", weights=weights, input_size="64,96")
    _, second = open_networks(asked, None, Runtime()).networks
    # positions resampled twice would be other numbers
    alone = Network.load("test_vit", weights=weights, size=96)
    assert second.weights_id == alone.weights_id


def test_several_backbones_with_one_file_of_weights_are_refused() -> None:
    with pytest.raises(SettingsError, match="one backbone"):
        Settings(backbone="a,b", weights="w.safetensors")
    with pytest.raises(SettingsError, match="missing between commas"):
        Settings(backbone="a,,b")
