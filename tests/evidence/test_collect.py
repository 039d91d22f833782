"""All evidence together, on taps that are real pixels at three resolutions."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

from frostline.backbones.families import Family
from frostline.compute.frozen import Frozen
from frostline.core.errors import InputError
from frostline.core.plan import EvidenceSummary
from frostline.core.runtime import Runtime
from frostline.evidence import collect
from frostline.evidence.collect import collect_evidence
from frostline.evidence.probes import probe
from tests.evidence.pixel_store import Named, PixelStore, pixel_store, problem_of
from tests.stats.on_labels import knn_loo

Float32 = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def labels() -> npt.NDArray[np.int64]:
    return np.asarray(load_digits().target[:400], dtype=np.int64)


@pytest.fixture(scope="module")
def store() -> Frozen:
    images = load_digits().images[:400]
    coarse = images.reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(400, 4)
    medium = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(400, 16)
    taps = np.concatenate([coarse, images.reshape(400, 64), medium], axis=1).astype(np.float32)
    return pixel_store(taps, {"early": slice(0, 4), "pixels": slice(4, 68), "late": slice(68, 84)})


def test_numbers_belong_together(store: Frozen, labels: npt.NDArray[np.int64]) -> None:
    rows = np.random.default_rng(0).permutation(400)[:300]
    found = collect_evidence(problem_of(labels), store, rows, Runtime())
    summary = found.summary
    assert [p.tap for p in summary.probes] == ["early", "pixels", "late"]
    assert (summary.best_tap, summary.last_tap) == ("pixels", "late")
    by_tap = {p.tap: p for p in summary.probes}
    assert summary.cut_gain == pytest.approx(by_tap["pixels"].accuracy - by_tap["late"].accuracy)
    assert summary.cut_gain > summary.cut_gain_error > 0
    assert summary.gap == pytest.approx(summary.all_taps.train_accuracy - summary.all_taps.accuracy)
    assert summary.stacked is not None
    best = max(p.accuracy for p in (*summary.probes, summary.all_taps, summary.stacked))
    assert summary.headroom == pytest.approx(1.0 - best)
    assert summary.chance == np.bincount(labels[rows]).max() / 300
    assert 0.0 < summary.slope < 0.2
    assert summary.size.n_images == 300
    assert summary.shift.label == "unknown"
    assert EvidenceSummary.model_validate_json(summary.model_dump_json()) == summary


def test_fits_apply_to_raw_taps(store: Frozen, labels: npt.NDArray[np.int64]) -> None:
    rows = np.arange(300)
    found = collect_evidence(problem_of(labels), store, rows, Runtime())
    assert set(found.ridge) == {"early", "pixels", "late", "all"}
    fresh = np.arange(300, 400)
    everything = found.ridge["all"].predict(store.features.tap(list(store.features.slices), fresh))
    assert (everything.argmax(axis=1) == labels[fresh]).mean() > 0.8
    np.testing.assert_allclose(
        found.ridge["late"].loo,
        probe(
            "late", store.features.tap(["late"], rows), problem_of(labels).labelled(rows)
        ).fit.loo,
        atol=1e-10,
    )
    np.testing.assert_array_equal(
        found.correct["all"], found.ridge["all"].loo.argmax(axis=1) == labels[rows]
    )


def test_rows_outside_are_never_looked_at(store: Frozen, labels: npt.NDArray[np.int64]) -> None:
    rows = np.arange(200)
    spoiled = store.features.taps.copy()
    spoiled[200:] = np.nan
    other_labels = labels.copy()
    other_labels[200:] = 0
    clean = collect_evidence(problem_of(labels), store, rows, Runtime())
    dirty = collect_evidence(
        problem_of(other_labels), pixel_store(spoiled, store.features.slices), rows, Runtime()
    )
    assert clean.summary == dirty.summary


def test_many_rows_are_compared_on_a_part(
    store: Frozen, labels: npt.NDArray[np.int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "_COMPARE_ROWS", 150)
    found = collect_evidence(problem_of(labels), store, np.arange(400), Runtime())
    assert 80 <= len(found.compared) <= 150
    assert set(found.ridge) == {"all"}
    assert found.correct["all"].shape == (400,)
    assert found.correct["late"].shape == found.compared.shape
    assert (np.bincount(labels[found.compared]) > 5).all()


def test_duplicates_only_are_refused(store: Frozen, labels: npt.NDArray[np.int64]) -> None:
    problem = problem_of(labels, groups=np.zeros(400, dtype=np.int64))
    with pytest.raises(InputError, match="two training images"):
        collect_evidence(problem, store, np.arange(5), Runtime())


def test_neighbours_give_a_second_opinion_on_the_depths(
    store: Frozen, labels: npt.NDArray[np.int64]
) -> None:
    rows = np.arange(300)
    found = collect_evidence(problem_of(labels), store, rows, Runtime()).summary
    for one in found.probes:
        votes = knn_loo(store.features.tap([one.tap], rows), labels[rows], n_classes=10)
        assert one.neighbours == (votes.argmax(axis=1) == labels[rows]).mean()
    assert found.agreement == pytest.approx(1.0), "pixels, then 16 means, then 4"
    assert found.all_taps.neighbours is None
    fold = collect_evidence(problem_of(labels), store, rows, Runtime(), known=found).summary
    assert fold.agreement is None


def test_networks_without_statistics_are_compared_with_pictures(
    store: Frozen, labels: npt.NDArray[np.int64]
) -> None:
    rows = np.arange(300)
    everything = list(store.features.slices)
    ordinary = np.array(store.features.tap(everything, np.arange(300, 364)))
    # of every eight, three are drawn: these lie at a distance
    ordinary[np.arange(64) % 8 >= 5] += 8.0

    def collected(offset: float, **options: Any) -> EvidenceSummary:
        taps = np.zeros((400, ordinary.shape[1]), dtype=np.float32)
        taps[:300] = store.features.tap(everything, rows) + offset
        moved = pixel_store(taps, store.features.slices, ordinary + 0.001 * offset)
        options = {"learned_from": "photos", **options}
        return collect_evidence(problem_of(labels), moved, rows, Runtime(), **options).summary

    nothing = collected(40.0, learned_from=None).shift
    assert (nothing.measure, nothing.label, nothing.layers) == ("none", "unknown", [])
    assert "not known" in nothing.warnings[0]
    near, far = collected(1.0), collected(40.0)
    assert (near.shift.label, far.shift.label) == ("similar", "different")
    assert near.shift.measure == "reference pictures"
    assert near.shift.n_reference == 40
    assert [x.layer for x in far.shift.layers] == everything
    assert far.adapted is None, "there are no statistics to estimate anew"


def test_without_statistics_there_is_no_second_pass_and_one_rule_for_the_depth(
    store: Frozen, labels: npt.NDArray[np.int64]
) -> None:
    of_layer_norm = Named(lower_taps=("early", "pixels"))
    plain = dataclasses.replace(cast(PixelStore, store), network=of_layer_norm)
    rows = np.arange(300)
    everywhere = ("similar", "moderate", "different", "unknown")
    found = collect_evidence(
        problem_of(labels), cast(Frozen, plain), rows, Runtime(), adapt_when=everywhere
    )
    assert found.summary.adapted is None
    assert found.summary.best_below == found.summary.best_tap == "pixels"
    of_batch_norm = Named(family=Family(running_statistics=True))
    with_batch_norm = cast(Frozen, dataclasses.replace(plain, network=of_batch_norm))
    again = collect_evidence(
        problem_of(labels), with_batch_norm, rows, Runtime(), adapt_when=everywhere
    )
    assert again.summary.adapted is not None and again.summary.best_below == ""
