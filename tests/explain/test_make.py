"""The gallery shows what it says, from the trained network, within its bounds."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import frostline.fitting.finish
from frostline.backbones.fingerprints import fingerprint
from frostline.backbones.heads.classifier import Maps, SingleClassifier
from frostline.backbones.heads.classifiers import BlendClassifier
from frostline.compute.frozen import run_frozen
from frostline.core.actions import FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.core.plan import Plan
from frostline.core.progress import NullProgress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.audit import audit
from frostline.data.duplicates.copies import find_copies
from frostline.data.problem import Problem
from frostline.explain import looking
from frostline.explain.attribution import draw_heat
from frostline.explain.depths import plan_depths
from frostline.explain.encoding import TILE, TILE_BYTES, jpeg
from frostline.explain.filters import filter_sentences, network_filters
from frostline.explain.gallery import Gallery
from frostline.explain.looking import HeatRules, look
from frostline.explain.make import (
    DEPTH_BYTES,
    FILTER_BYTES,
    LIMITS,
    Drawn,
    Limits,
    Subject,
    draw_first_filters,
    make_gallery,
)
from frostline.explain.memoized_gallery import memoized_gallery
from frostline.explain.torch_attribution import attribute
from frostline.explain.torch_sight import TorchSight
from frostline.fitting import pipeline
from frostline.fitting.decide import gather
from frostline.fitting.inputs import FitInputs
from frostline.fitting.train import Fitted, _left_out
from frostline.report import ReportData, write_report
from frostline.stats.calibration import fit_temperature, softmax
from frostline.stats.label_issues import likely_label_errors
from frostline.stats.out_of_fold import OutOfFold
from frostline.training.result import Trained

pytestmark = pytest.mark.slow

Train = Callable[[Any], Trained]

STEPS = Recipe.model_validate(
    {
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "head_learning_rate": 1e-2,
        "augment": "none",
        "flip": False,
        "validation_fraction": 0.0,
        "norm_mode": "eval",
    }
)


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


@pytest.fixture(scope="module")
def head(learn: Train) -> Trained:
    return learn(TapsHead(taps=["blocks.2", "bn2"], alpha=0.1))


@pytest.fixture(scope="module")
def suffix(learn: Train) -> Trained:
    return learn(SuffixTraining(keep_to=None, freeze_to="blocks.3", recipe=STEPS))


def left_out(trained: Trained, labels: Any) -> OutOfFold:
    if not len(trained.out_of_fold_rows):
        return OutOfFold(np.arange(len(labels)), np.full((len(labels), 4), 0.25))
    temperature = fit_temperature(trained.out_of_fold_logits, labels)
    return OutOfFold(trained.out_of_fold_rows, softmax(trained.out_of_fold_logits, temperature))


def make(
    corners: Any,
    trained: Trained,
    *,
    labels: Any = None,
    judged: Sequence[OutOfFold] = (),
    frozen: Sequence[str] | None = None,
    runtime: Runtime | None = None,
    limits: Limits = LIMITS["fast"],
) -> Gallery:
    store = corners.store
    return make_gallery(
        Problem.of(store.catalog, labels=labels),
        store,
        Subject(trained.module, trained.frozen if frozen is None else frozen),
        judged or [left_out(trained, store.catalog.labels)],
        audit(store.catalog, find_copies(store.catalog.digests, store.features.thumbnails)),
        runtime or Runtime(),
        limits,
    ).gallery


def test_a_wrong_label_is_shown_with_what_spoke_against_it(corners: Any, head: Trained) -> None:
    store = corners.store
    wrong = 5
    rows = list(store.catalog.rows)
    rows[wrong] = replace(rows[wrong], label=2)
    catalog = replace(store.catalog, rows=tuple(rows))
    honest = left_out(head, store.catalog.labels)
    mislabelled = replace(
        corners, store=replace(store, features=replace(store.features, catalog=catalog))
    )
    shown = make(mislabelled, head, judged=[honest])
    for tile in (shown.mistakes[0], shown.doubtful[0]):
        assert tile.path == rows[wrong].name
        assert (tile.label, tile.prediction) == ("red", "blue")
        assert tile.confidence == honest.probabilities[wrong].max() > 0.5
        assert opened(tile.thumbnail).size == opened(tile.heat).size == (TILE, TILE)
        pixels = store.runner.pixels(np.array([wrong]))
        x = torch.from_numpy(store.network.preprocessing.normalise(pixels))
        found = np.asarray(opened(tile.heat)).astype(float)
        apart = []
        for target in range(4):
            heat = attribute(head.module, x, [target]).heat[0]
            drawn = np.asarray(draw_heat(pixels[0], heat, side=TILE)).astype(float)
            apart.append(float(np.abs(found - drawn).mean()))
        # JPEG blurs the noise a little
        assert apart[0] < 8 < 2 * min(apart[1:])
        seen = np.asarray(opened(tile.thumbnail)).astype(float)
        assert np.abs(seen - pixels[0]).mean() < 12
    assert "for its own label" in shown.mistakes[0].note
    assert "isagreement" in shown.doubtful[0].note


def test_the_same_again_and_every_depth_is_there(corners: Any, head: Trained) -> None:
    first = make(corners, head)
    assert first == make(corners, head)
    assert [depth.layer for depth in first.depths] == ["bn1", "blocks.2", "blocks.4", "bn2"]
    assert all(depth.frozen for depth in first.depths)
    assert opened(first.filters).format == "PNG"
    assert all(opened(depth.picture).format == "JPEG" for depth in first.depths)


def test_further_judges_are_searched_for_label_errors(corners: Any, head: Trained) -> None:
    labels = corners.store.catalog.labels.copy()
    labels[30] = 0
    honest = left_out(head, corners.store.catalog.labels)
    part = OutOfFold(honest.rows[:20], honest.probabilities[:20])
    rest = OutOfFold(honest.rows[20:], honest.probabilities[20:])
    assert "red-6.png" not in [t.path for t in make(corners, head, judged=[part]).doubtful]
    shown = make(corners, head, labels=labels, judged=[part, rest])
    assert shown.doubtful[0].path == "red-6.png"
    assert "red-6.png" not in [t.path for t in shown.mistakes]


def test_the_probe_searches_training_rows_where_layers_were_trained(
    corners: Any, suffix: Trained, head: Trained
) -> None:
    store, n = corners.store, len(corners.store.catalog)
    labels = store.catalog.labels.copy()
    labels[7] = 1
    settings = Settings(effort="fast")
    problem = Problem.of(store.catalog, labels=labels)
    task = FitInputs(problem, store, settings)
    evidence = gather(task, np.arange(n), Runtime())
    validation = replace(
        suffix, out_of_fold_rows=np.array([20, 21]), out_of_fold_logits=np.eye(4)[[1, 1]] * 5
    )
    left_out = _left_out(problem, validation, evidence)
    assert left_out is not None
    np.testing.assert_allclose(left_out.probabilities.sum(axis=1), 1.0)
    fitted = Fitted(cast(Plan, None), validation, 1.0, left_out)
    assert [len(one.rows) for one in fitted.out_of_fold] == [2, n]
    assert likely_label_errors(fitted.out_of_fold, labels, most=3)[0].row == 7
    # a head that has such outputs itself needs no second judge
    assert _left_out(problem, head, evidence) is None


def test_trained_layers_are_shown_as_trained_and_nothing_changes(
    corners: Any, suffix: Trained
) -> None:
    network = corners.store.network
    before, after = fingerprint(network.feature_module), fingerprint(suffix.module)
    pixels = corners.store.runner.pixels(np.arange(3))
    x = torch.from_numpy(network.preprocessing.normalise(pixels))
    plans = plan_depths(
        corners.store.features,
        corners.store.network,
        upto="bn2",
        frozen={n.removeprefix("kept.") for n in suffix.frozen},
    )
    sight = looking._sight(network, suffix.module.leader, plans, Runtime())
    assert sight is not None
    with torch.no_grad():
        (trained,), pretrained = suffix.module.leader.feature_maps(x), network.prefix("bn2")(x)
    found = {name: torch.from_numpy(one) for name, one in sight.maps(pixels).items()}
    torch.testing.assert_close(found["bn2"], trained)
    assert (found["bn2"] - pretrained).abs().max() > 1e-3
    torch.testing.assert_close(found["blocks.2"], network.prefix("blocks.2")(x))
    shown = make(corners, suffix)
    assert [(d.layer, d.frozen) for d in shown.depths] == [
        ("bn1", True),
        ("blocks.2", True),
        ("blocks.4", False),
        ("bn2", False),
    ]
    assert fingerprint(network.feature_module) == before
    assert fingerprint(suffix.module) == after


def test_a_blend_shows_its_lead_and_the_mean_of_its_maps(
    corners: Any, head: Trained, suffix: Trained
) -> None:
    module = BlendClassifier([suffix.module.leader, head.module.leader], [0.5, 0.1]).eval()
    frozen = [f"members.{i}.{name}" for i, one in enumerate((suffix, head)) for name in one.frozen]
    labels = np.roll(corners.store.catalog.labels, 12)
    shown = make(corners, replace(head, classifier=module), frozen=frozen, labels=labels)
    alone = make(corners, suffix, labels=labels)
    assert [d.frozen for d in shown.depths] == [True, True, False, False]
    assert [d.layer for d in shown.depths] == [d.layer for d in alone.depths]
    assert all(tile.heat for tile in shown.mistakes)
    x = torch.from_numpy(
        corners.store.network.preprocessing.normalise(corners.store.runner.pixels(np.arange(2)))
    )
    found = attribute(module, x, [0, 1]).heat
    parts = [attribute(one.module, x, [0, 1]).heat for one in (suffix, head)]
    np.testing.assert_allclose(found, (parts[0] / 0.5 + parts[1] / 0.1) / 2, rtol=1e-4, atol=1e-7)


def test_tiles_have_the_shape_of_their_pictures(
    corners: Any, head: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = corners.store
    preprocessing = store.network.preprocessing.with_resize("squash")
    monkeypatch.setattr(store.network, "preprocessing", preprocessing)
    sizes = np.tile([400, 100], (len(store.catalog), 1))
    features = replace(store.features, facts=replace(store.features.facts, sizes=sizes))
    wide = replace(corners, store=replace(store, features=features))
    shown = make(wide, head, labels=np.roll(store.catalog.labels, 12))
    tile = shown.mistakes[0]
    assert opened(tile.thumbnail).size == opened(tile.heat).size == (TILE, TILE // 4)


def test_filters_are_those_of_the_trained_network(corners: Any, learn: Train) -> None:
    trained = learn(FullTraining(start="random", recipe=STEPS))
    network = corners.store.network
    _, filters = network_filters(network, trained.module.leader.kept_tensors())
    np.testing.assert_array_equal(
        filters.astype(np.float32), trained.module.state_dict()["kept.conv_stem.weight"].numpy()
    )
    drawn, random = draw_first_filters(network, trained.module)
    pretrained, facts = draw_first_filters(network, learn(TapsHead(taps=["bn2"])).module)
    assert drawn != pretrained
    assert drawn.startswith(b"\x89PNG")
    # a few steps from random weights teach a first layer nothing, and nobody says that they do
    assert random is not None and facts is not None
    assert (random.learned, facts.learned) == (False, True)
    assert "unrelated" in filter_sentences(random)[-1]
    assert "learned from images" in filter_sentences(facts)[-1]


class Foreign(SingleClassifier):
    """A classifier of something else than the network's layers, without maps."""

    tensor_prefix = "kept."
    cuts = ("bn2",)
    layouts = ("NC",)
    kept_layers = nn.Identity()

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def pool(self, maps: Maps) -> torch.Tensor:
        return maps[0].mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += len(x)
        return x.mean(dim=(2, 3)).repeat(1, 2)[:, :4]


def test_a_foreign_classifier_is_asked_within_bounds(corners: Any) -> None:
    module, network = Foreign(), corners.store.network
    pixels = dict(enumerate(corners.store.runner.pixels(np.arange(6))))
    wanted = [(i, i % 4) for i in range(6)]
    labels = corners.store.catalog.labels
    seen = look(
        network,
        module,
        pixels,
        wanted,
        [],
        labels=labels,
        heats=HeatRules(3 * 37 * network.macs),
        runtime=Runtime(),
    )
    assert list(seen.heats) == wanted[:3]
    assert module.runs == 3 * 37
    assert "covering" in seen.note
    assert seen.depths == []


def test_few_images_run_through_the_network(
    corners: Any, head: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    maps = TorchSight.maps

    def counted(self: Any, pixels: Any) -> Any:
        seen.append(len(pixels))
        return maps(self, pixels)

    monkeypatch.setattr(TorchSight, "maps", counted)
    limits = Limits(mistakes=5, doubtful=4, findings=2, heats=3, looked=20)
    labels = np.roll(corners.store.catalog.labels, 12)
    shown = make(corners, head, labels=labels, limits=limits)
    assert sum(seen) == 20
    assert len(shown.mistakes) == 5
    assert [bool(tile.heat) for tile in shown.mistakes] == [True] * 3 + [False] * 2
    assert len(shown.doubtful) <= 4
    assert LIMITS["fast"].looked <= 50
    assert max(limits.looked for limits in LIMITS.values()) <= 200


def test_pictures_are_bounded_even_of_noise() -> None:
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 255, (TILE, TILE, 3)).astype(np.uint8))
    assert 0 < len(jpeg(noise)) <= TILE_BYTES
    assert len(jpeg(noise, most=600)) <= 600
    for limits in LIMITS.values():
        tiles = 2 * (limits.mistakes + limits.doubtful) + limits.findings
        assert tiles * TILE_BYTES + 4 * DEPTH_BYTES + FILTER_BYTES < 2_500_000


class Notes(NullProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, fact: object, /) -> None:
        self.said.append(str(fact))


def test_an_image_that_is_gone_is_named_and_left_out(
    corners: Any, head: Trained, tmp_path: Path
) -> None:
    rows = []
    for row in corners.store.catalog.rows:
        path = tmp_path / row.name
        path.write_bytes(row.path.read_bytes())
        rows.append(replace(row, path=path))
    catalog = replace(corners.store.catalog, rows=tuple(rows))
    progress = Notes()
    runtime = Runtime(progress=progress)
    store = run_frozen(corners.store.network, catalog, runtime)
    labels = np.roll(catalog.labels, 12)
    before = make(replace(corners, store=store), head, labels=labels)
    gone = before.mistakes[0].path
    (tmp_path / gone).unlink()
    fresh = run_frozen(corners.store.network, catalog, runtime)
    after = make(replace(corners, store=fresh), head, labels=labels, runtime=runtime)
    assert [t.path for t in after.mistakes] == [t.path for t in before.mistakes[1:]]
    assert any(gone in said for said in progress.said)


def test_a_run_hands_its_gallery_to_the_report(
    tmp_path: Path, digits_into: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    digits_into(tmp_path / "digits", per_class=16)
    wrong = tmp_path / "digits" / "digit 0" / "of digit 1.png"
    source = sorted((tmp_path / "digits" / "digit 1").iterdir())[3]
    source.rename(wrong)
    handed: list[ReportData] = []

    def kept(path: Path, *, data: ReportData) -> None:
        handed.append(data)
        write_report(path, data=data)

    monkeypatch.setattr(frostline.fitting.finish, "write_report", kept)
    result = pipeline.fit(
        tmp_path / "digits", tmp_path / "run", effort="fast", threads=1, input_size="96"
    )
    gallery = handed[0].gallery
    assert gallery is not None
    assert gallery.doubtful[0].path == "digit 0/of digit 1.png"
    assert gallery.doubtful[0].prediction == "digit 1"
    assert gallery.mistakes and all(tile.heat for tile in gallery.mistakes)
    assert len(gallery.depths) == 4
    assert result.metrics["seconds"]["drawing pictures"] >= 0


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Drawn]:
    """Every gallery that was asked for, none of which shows anything."""
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path))
    asked: list[Drawn] = []

    def make(*_: Any, **__: Any) -> Drawn:
        # of the first an image was missing
        asked.append(Drawn(Gallery(filters=b"png"), complete=bool(asked)))
        return asked[-1]

    monkeypatch.setattr("frostline.explain.memoized_gallery.make_gallery", make)
    return asked


def test_pictures_are_kept_for_one_classifier_and_its_images(
    corners: Any, head: Trained, made: list[Drawn]
) -> None:
    store, labels = corners.store, corners.store.catalog.labels
    honest = left_out(head, labels)
    module = copy.deepcopy(head.module)
    subject = Subject(module, head.frozen, "taps")
    given: dict[str, Any] = {
        "problem": Problem.of(store.catalog),
        "frozen": store,
        "subject": subject,
        "judged": [honest],
        "audit": audit(store.catalog, None),
        "runtime": Runtime(),
        "limits": LIMITS["fast"],
    }

    def once(**changes: Any) -> None:
        memoized_gallery(**{**given, **changes})

    once()
    once()
    assert len(made) == 2, "what is not complete is not kept"
    once()
    assert len(made) == 2
    once(subject=replace(subject, origin="another"))
    once(subject=replace(subject, frozen=()))
    once(problem=Problem.of(store.catalog, labels=np.roll(labels, 1)))
    digests = ("0" * 64, *store.catalog.digests[1:])
    once(problem=Problem.of(replace(store.catalog, digests=digests)))
    once(judged=[OutOfFold(honest.rows[:-1], honest.probabilities[:-1])])
    once(judged=[honest, honest])
    once(limits=LIMITS["balanced"])
    once(frozen=replace(store, features=replace(store.features, key="another")))
    once(runtime=Runtime(threads=2))
    with torch.no_grad():
        module.get_parameter("head.bias")[0] += 1.0
    once()
    assert len(made) == 12
