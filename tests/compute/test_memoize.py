"""One contract for everything that is kept: the same bits again, or made anew; never another's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from frostline.compute.cache import fact as fact_module
from frostline.compute.cache.array_file import dumps, load
from frostline.compute.cache.codec import decode, encode
from frostline.compute.cache.eviction import damaged, items, prune
from frostline.compute.cache.fact import Fact, digest_of
from frostline.compute.cache.locations import kind_folder
from frostline.compute.cache.memoize import Memo, memoize
from frostline.compute.engines.onnx_export import ENGINE
from frostline.compute.engines.remembered import CHOICE, Choice
from frostline.compute.file_facts import FILE_FACTS
from frostline.compute.frozen_runner import MOMENTS
from frostline.compute.kept_networks import KEPT, KeptNetwork
from frostline.compute.memoized_copies import COPIES, copies_of
from frostline.compute.moments import SourceNorm
from frostline.compute.set_values import VALUES
from frostline.compute.taps_pass import TAPS
from frostline.core.runtime import Runtime
from frostline.data.problem import Problem
from frostline.evidence import source_card
from frostline.evidence.collect import collect_evidence
from frostline.evidence.memoized import EVIDENCE, evidence_inputs
from frostline.evidence.picture_card import CARD, make_card
from frostline.explain.encoding import tile
from frostline.explain.gallery import Depth, Gallery, Tile
from frostline.explain.make import Drawn
from frostline.explain.memoized_gallery import GALLERY
from frostline.exporting.pytorch.writable import WRITABLE
from frostline.exporting.save_model import EXPORT
from frostline.training.memoized_ood import OOD, memoized_ood
from tests.evidence.pixel_store import pixel_store, problem_of
from tools.fact_digests import Code

N = 60
PIXELS: npt.NDArray[np.float32] = load_digits().data[:N].astype(np.float32)
LABELS = load_digits().target[:N] % 3
DIGESTS = [f"{i:064x}" for i in range(N)]


def problem(**changes: Any) -> Problem:
    """Labels of images that nobody opens."""
    return problem_of(**{"labels": LABELS, "classes": ("a", "b", "c"), **changes})


def evidence() -> Any:
    store = pixel_store(PIXELS, {"early": slice(0, 32), "late": slice(32, 64)})
    return collect_evidence(problem(), store, np.arange(N), Runtime())


def copies(**changes: int) -> Any:
    """What is found among noise, of which one image is brighter than another, and one mirrored."""
    thumbnails = np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    thumbnails[1] = np.clip(thumbnails[0].astype(int) + 3, 0, 255)
    thumbnails[3] = thumbnails[2][:, ::-1]
    thumbnails[5] += np.uint8(changes.get("thumbnail", 0))
    store: Any = SimpleNamespace(
        catalog=SimpleNamespace(digests=[f"{i + changes.get('digest', 0):064x}" for i in range(N)]),
        thumbnails=thumbnails,
        slices={"early": slice(0, 1), "late": slice(0, 64)},
        tap=lambda names, rows: PIXELS[rows] + changes.get("feature", 0),
    )
    found = copies_of(store)
    assert [0, 1] in found.near
    assert [2, 3] in found.altered
    return found


def ood(features: npt.NDArray[np.float32] = PIXELS, *, first: int = 20, edge: int = 32) -> Any:
    folds = [(np.arange(first, N), np.arange(first)), (np.arange(first), np.arange(first, N))]
    return memoized_ood(features, folds, [slice(0, edge), slice(edge, 64)])


def gallery() -> Any:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = tile(Image.fromarray(noise))
    shown = Tile(path="a/ü.png", label="a", prediction="b", confidence=0.1, thumbnail=picture)
    depths = (Depth(layer="stem", picture=picture, frozen=True),)
    return Drawn(Gallery(mistakes=(shown, shown), filters=picture, depths=depths), complete=True)


def network() -> Any:
    weight = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
    tensors = {"conv.weight": weight, "bn.num_batches_tracked": np.array(3)}
    return KeptNetwork('{"name": "ü"}', bytes(range(256)), tensors, {"torch": "2"}, None)


def card() -> Any:
    norms = [SourceNorm(name, 16, 1e-5, None) for name in ("early", "late")]
    return make_card(norms, PIXELS[:40] ** 2, PIXELS[40:] ** 2)


def card_of_source() -> Any:
    norms = [SourceNorm(name, 16, 1e-5, None) for name in ("early", "late")]
    return source_card.make_card(norms, PIXELS[:40] ** 2)


MEMOS: dict[str, tuple[Memo[Any], Callable[[], Any]]] = {
    "copies": (COPIES, copies),
    "engine": (ENGINE, lambda: bytes(range(256)) * 50),
    "engine choice": (CHOICE, lambda: Choice("onnx", 4, 2, {"onnx": 0.1, "openvino": 1 / 3})),
    "evidence": (EVIDENCE, evidence),
    "export": (EXPORT, lambda: bytes(range(255, -1, -1)) * 50),
    "network": (KEPT, network),
    "ood": (OOD, ood),
    "gallery": (GALLERY, gallery),
    "picture card": (CARD, card),
    "source card": (source_card.CARD, card_of_source),
    "writable as ONNX": (WRITABLE, lambda: "no such operation: ü"),
}
FACTS: dict[str, Fact] = {
    **{name: memo for name, (memo, _) in MEMOS.items()},
    **{fact.name: fact for fact in (TAPS, MOMENTS, VALUES, FILE_FACTS)},
}
INPUTS = {"images": PIXELS, "names": ["a", "b"], "seed": 0}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=MEMOS)
def case(request: pytest.FixtureRequest, empty_cache: Path) -> Iterator[Case]:
    memo, make = MEMOS[request.param]
    result = make()
    # making it may have kept something already
    prune(to=0)
    yield Case(memo, result, [])


@dataclass
class Case:
    """One fact with a real result, and how often that was asked for."""

    memo: Memo[Any]
    result: Any
    made: list[Any]

    def once(self, **changes: Any) -> Any:
        def make() -> Any:
            self.made.append(self.result)
            return self.result

        return memoize(self.memo, {**INPUTS, **changes}, make)

    @property
    def path(self) -> Path:
        (item,) = items()
        return item.path


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same, bit by bit and type by type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and np.array_equal(one, other))
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_what_was_made_is_read_back_bit_for_bit(case: Case) -> None:
    assert same(case.once(), case.result)
    assert same(case.once(), case.result)
    assert len(case.made) == 1


def test_other_inputs_are_made_anew(case: Case) -> None:
    case.once()
    case.once(seed=1)
    case.once(images=PIXELS + 1)
    assert len(case.made) == 3
    assert len(items()) == 3


def test_a_flipped_bit_is_noticed_and_mended(case: Case) -> None:
    case.once()
    whole = case.path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    case.path.write_bytes(flipped)
    assert same(case.once(), case.result)
    assert case.path.read_bytes() == whole
    assert len(case.made) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"no such file",
        dumps({}),
        dumps({"tree": np.frombuffer(b"\xff{", np.uint8)}),
        dumps({"tree": np.frombuffer(b"[[1, 2]]", np.uint8), "1": np.zeros(3)}),
        dumps({"tree": np.frombuffer(b'{"near": null}', np.uint8)}),
        dumps({"distances": np.zeros((3, 4))}),
    ],
    ids=["other bytes", "nothing", "no text", "a list", "other fields", "another version's"],
)
def test_what_is_no_such_result_is_made_again(case: Case, content: bytes) -> None:
    case.once()
    case.path.write_bytes(content)
    assert same(case.once(), case.result)
    assert same(case.once(), case.result)
    assert len(case.made) == 2


def test_the_cache_counts_verifies_and_prunes_it(case: Case, empty_cache: Path) -> None:
    case.once()
    (item,) = items()
    assert (item.kind, item.size) == (case.memo.folder, item.path.stat().st_size)
    assert damaged() == []
    os.utime(item.path, (0, 0))
    case.once()
    assert items()[0].used > 0, "reading is using"
    item.path.write_bytes(item.path.read_bytes()[:-1])
    assert damaged() == [item.path]
    case.once()
    assert len(prune(to=0)) == 1
    assert not list(empty_cache.rglob("*"))


def test_a_cache_that_cannot_be_written_costs_time_only(case: Case, empty_cache: Path) -> None:
    empty_cache.mkdir(exist_ok=True)
    kind_folder(case.memo.folder).write_text("no folder")
    assert same(case.once(), case.result)
    assert same(case.once(), case.result)
    assert len(case.made) == 2


def test_what_is_too_large_or_unwanted_is_not_kept() -> None:
    small = replace(WRITABLE, max_bytes=100)
    assert memoize(small, INPUTS, lambda: "a" * 200) == "a" * 200
    assert memoize(WRITABLE, INPUTS, lambda: "half", keep_if=lambda text: False) == "half"
    assert items() == []


def test_results_stay_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", "50KB")
    for seed in range(6):
        memoize(EXPORT, {"seed": seed}, lambda: bytes(20_000))
    left = items()
    assert 0 < sum(item.size for item in left) <= 50_000
    assert left[-1].path == EXPORT.path(EXPORT.key({"seed": 5})), "the latest is still there"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were asked for."""
    asked: list[str] = []
    plain = Fact.key

    def key(fact: Fact, inputs: Mapping[str, object]) -> str:
        asked.append(plain(fact, inputs))
        return asked[-1]

    monkeypatch.setattr(Fact, "key", key)
    return asked


def test_copies_are_those_of_the_same_images(keys: list[str]) -> None:
    for changes in ({}, {"digest": 1}, {"thumbnail": 1}, {"feature": 1}):
        copies(**changes)
    assert len(set(keys)) == len(keys) == 4
    copies()
    assert keys[-1] == keys[0]


def test_an_ood_score_is_that_of_the_same_features_and_folds(keys: list[str]) -> None:
    ood()
    ood(PIXELS + (np.arange(64) == 3))
    ood(first=21)
    ood(edge=31)
    assert len(set(keys)) == len(keys) == 4
    ood()
    assert keys[-1] == keys[0]


def test_evidence_is_that_of_the_same_problem() -> None:
    def key(**changes: Any) -> str:
        return EVIDENCE.key(evidence_inputs(problem(**changes), np.arange(N)))

    keys = [
        key(),
        key(digests=[f"{i:064x}" for i in range(1, N + 1)]),
        key(classes=("a", "b", "d")),
        key(labels=(LABELS + 1) % 3),
        key(groups=np.arange(N) // 2),
        key(weights="balanced"),
        key(seed=1),
        EVIDENCE.key(evidence_inputs(problem(), np.arange(1, N))),
    ]
    assert len(set(keys)) == len(keys)
    assert key(groups=1000 - np.arange(N)) == key(), "only who shares a group counts"


@pytest.mark.parametrize("name", FACTS)
def test_another_version_of_the_fact_or_of_a_library_has_another_key(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = FACTS[name]
    keys = {fact.key(INPUTS), replace(fact, version=fact.version + 1).key(INPUTS)}
    keys.add(replace(fact, name="another").key(INPUTS))
    installed = fact_module.version_of
    for library in fact.libraries:
        with monkeypatch.context() as patch:
            patch.setattr(
                fact_module,
                "version_of",
                lambda one, library=library: "99" if one == library else installed(one),
            )
            keys.add(fact.key(INPUTS))
    assert len(keys) == 3 + len(set(fact.libraries))


def test_every_fact_of_the_package_is_held_to_this_contract() -> None:
    assert {fact.name for fact in Code().facts()} == set(FACTS)


def test_a_key_is_values_shapes_types_and_order() -> None:
    rows = np.arange(6)
    values: list[Any] = [
        rows,
        rows[::-1],
        rows.reshape(2, 3),
        rows.astype(np.int32),
        [rows, rows],
        [[rows], rows],
        [rows, [rows]],
        *("", "1", b"1", 1, 1.0, True, None, 0.1, float("nan")),
        *(["ab"], ["a", "b"], [["a", "b"]], {"a": "b"}, {"a": {"b": 1}}, {"a": 1, "b": 2}),
    ]
    assert len({digest_of(value) for value in values}) == len(values)
    columns = np.asfortranarray(rows.reshape(2, 3))
    assert digest_of(columns) == digest_of(rows.reshape(2, 3))
    assert digest_of({"b": 2, "a": 1}) == digest_of({"a": 1, "b": 2})
    assert digest_of(np.float64(0.1)) == digest_of(0.1)
    assert digest_of(("a",)) == digest_of(["a"])
    with pytest.raises(TypeError, match="object"):
        digest_of({"a": object()})


def test_arrays_keep_their_order_in_memory_to_themselves(tmp_path: Path) -> None:
    columns = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    (tmp_path / "a.shard").write_bytes(dumps({"a": columns}))
    found = load(tmp_path / "a.shard")
    assert found is not None
    np.testing.assert_array_equal(found["a"], columns)


def test_the_codec_reads_back_what_it_is_given_and_nothing_else() -> None:
    @dataclass
    class Other:
        name: str

    assert decode(encode("text"), str) == "text"
    for kind in (int, bytes, Other, Choice):
        with pytest.raises((LookupError, TypeError, ValueError)):
            decode(encode("text"), kind)
    arrays = encode(Choice("a", 1, 1, {"a": 1.0}))
    with pytest.raises(ValueError, match="Other"):
        decode(arrays, Other)
