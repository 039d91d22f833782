"""Duplicates, conflicts and leaks on generated photos, digits and solar cells."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import elpv_dataset
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_digits

from frostline.data.audit import Audit, audit
from frostline.data.catalog import Catalog, ImageRow, Part, Unreadable
from frostline.data.decoding.decode import decode
from frostline.data.decoding.thumbnails import thumbnail
from frostline.data.duplicates import near_duplicates
from frostline.data.duplicates.copies import Copies, find_copies
from frostline.data.duplicates.grouping import duplicated_groups, union_find
from frostline.data.duplicates.near_duplicates import find_near_duplicates
from frostline.data.sources.left_out import LeftOut
from frostline.wording.audit import audit_notes

Photo = Callable[..., Image.Image]
Thumbs = npt.NDArray[np.uint8]
TRAIN: Part = "train"
VAL: Part = "val"
TEST: Part = "test"


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return decode(stream.getvalue(), max_pixels=10**7)


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-encoded": lambda image: jpeg(image, 50),
    "resized": lambda image: image.resize((61, 61), Image.Resampling.BICUBIC),
    "resized and re-encoded": lambda image: jpeg(image.resize((150, 150)), 75),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.08),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.1),
}


def thumbs(images: list[Image.Image]) -> Thumbs:
    return np.stack([thumbnail(image) for image in images])


def catalog_of(
    labels: list[int],
    digests: list[str] | None = None,
    parts: Sequence[Part | None] | None = None,
    groups: list[str | None] | None = None,
) -> Catalog:
    n = len(labels)
    rows = tuple(
        ImageRow(Path(f"/x/{i}"), f"{i}.png", labels[i], (parts or [None] * n)[i],
                 (groups or [None] * n)[i])
        for i in range(n)
    )  # fmt: skip
    return Catalog("x", ("a", "b"), rows, tuple(digests or [f"{i:064x}" for i in range(n)]))


# ------------------------------------------------------------------------- near-duplicates


def test_thumbnail(photo: Photo) -> None:
    for size in ((1, 1), (8, 8), (300, 40), (1000, 1000)):
        found = thumbnail(photo(1).resize(size))
        assert found.shape == (32, 32, 3)
        assert found.dtype == np.uint8
    assert (thumbnail(Image.new("RGB", (500, 3), (1, 2, 3))) == [1, 2, 3]).all()


@pytest.mark.parametrize("change", ALTERED)
def test_altered_copies_are_found(change: str, photo: Photo) -> None:
    originals = [photo(seed) for seed in range(60)]
    copies = [ALTERED[change](image) for image in originals[:20]]
    found = find_near_duplicates(thumbs([*originals, *copies]))
    assert found.groups == tuple((i, 60 + i) for i in range(20))
    assert found.complete


def test_every_picture_may_have_copies(photo: Photo) -> None:
    originals = [photo(seed) for seed in range(30)]
    everything = originals + [jpeg(image, q) for q in (90, 70, 50) for image in originals]
    found = find_near_duplicates(thumbs(everything))
    assert found.groups == tuple((i, i + 30, i + 60, i + 90) for i in range(30))


def test_different_pictures_are_not_grouped(photo: Photo) -> None:
    assert find_near_duplicates(thumbs([photo(seed) for seed in range(200)])).groups == ()


def test_colour_tells_pictures_apart() -> None:
    """Flags share their layout; grey values alone would take some for copies."""
    rng = np.random.default_rng(0)
    flags = [
        Image.fromarray(rng.integers(0, 256, (1, 3, 3), dtype=np.uint8).repeat(40, 0).repeat(20, 1))
        for _ in range(100)
    ]
    assert find_near_duplicates(thumbs(flags)).groups == ()


def test_blank_pictures_are_not_copies_of_each_other() -> None:
    rng = np.random.default_rng(0)
    blank = np.full((40, 32, 32, 3), 200, dtype=np.uint8)
    blank += rng.integers(0, 2, blank.shape, dtype=np.uint8)
    assert find_near_duplicates(blank).groups == ()
    assert find_near_duplicates(np.full((40, 32, 32, 3), 255, dtype=np.uint8)).groups == ()


def test_small_steps_do_not_chain(photo: Photo) -> None:
    """A slow fade from one picture to another must not become one group."""
    start, end = (np.asarray(photo(seed), dtype=float) for seed in (1, 2))
    fade = [
        Image.fromarray(np.rint(start + (end - start) * t).astype(np.uint8))
        for t in np.linspace(0, 1, 60)
    ]
    others = [photo(seed) for seed in range(10, 150)]
    pictures = thumbs([*fade, *others])
    for group in find_near_duplicates(pictures).groups:
        values = pictures[list(group)].astype(float).reshape(len(group), -1, 3)
        values -= values.mean(axis=1, keepdims=True)
        flat = values.reshape(len(group), -1)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        widest = np.linalg.norm(flat[:, None] - flat[None], axis=2).max()
        assert widest <= near_duplicates.MAX_DISTANCE


def test_order_does_not_matter(photo: Photo) -> None:
    images = [photo(seed) for seed in range(40)]
    images += [jpeg(image, 60) for image in images[:15]]
    pictures = thumbs(images)
    order = np.random.default_rng(3).permutation(len(pictures))
    plain = {frozenset(group) for group in find_near_duplicates(pictures).groups}
    shuffled = find_near_duplicates(pictures[order]).groups
    assert {frozenset(int(order[i]) for i in group) for group in shuffled} == plain


@pytest.mark.parametrize("n", range(10))
def test_tiny_sets(n: int, photo: Photo) -> None:
    pictures = thumbs([photo(seed) for seed in range(n)] or [photo(0)])[:n]
    assert find_near_duplicates(pictures).groups == ()
    if n:
        again = np.concatenate([pictures, pictures[:1]])
        assert find_near_duplicates(again).groups == ((0, n),)


def test_the_audit_says_when_not_all_pairs_were_compared(
    photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photo(seed) for seed in range(120)]
    pictures = thumbs([*images, *(jpeg(image, 70) for image in images[:30])])
    monkeypatch.setattr(near_duplicates, "COMPLETE_UP_TO", 60)
    monkeypatch.setattr(near_duplicates, "_BLOCK_ENTRIES", 1000)
    found = find_near_duplicates(pictures)
    assert not found.complete
    assert found.groups == tuple((i, 120 + i) for i in range(30))
    catalog = catalog_of([0, 1] * 75)
    result = audited(catalog, pictures)
    assert result.searched == "partial"
    assert "likely neighbours" in audit_notes(result, catalog)[0]


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        find_near_duplicates(np.zeros((3, 16, 16, 3), dtype=np.uint8))


def test_digits_have_no_near_duplicates_but_copies_are_found() -> None:
    digits = (load_digits().images * (255 / 16)).astype(np.uint8)
    pictures = thumbs([Image.fromarray(digit).convert("RGB") for digit in digits])
    noise = np.random.default_rng(0).integers(-2, 3, pictures[:50].shape)
    copies = np.clip(pictures[:50] + noise, 0, 255).astype(np.uint8)
    assert find_near_duplicates(pictures).groups == ()
    found = find_near_duplicates(np.concatenate([pictures, copies])).groups
    assert found == tuple((i, len(pictures) + i) for i in range(50))


def test_solar_cells_that_look_alike_are_kept_apart() -> None:
    """Some cells seem to appear twice; hundreds of different ones are hard to tell apart."""
    folder = Path(str(elpv_dataset.__file__)).parent / "data" / "images"
    cells = [decode(path, max_pixels=10**6) for path in sorted(folder.glob("*.png"))]
    copies = [jpeg(cell, 60) for cell in cells[:2600:100]]
    n = len(cells)
    assert n == 2624
    groups = find_near_duplicates(thumbs([*cells, *copies])).groups
    home = {member: group for group in groups for member in group}
    assert all(n + i in home.get(i * 100, ()) for i in range(26))
    # by eye the same cells, sharp and, 542 images later, blurred
    assert 2278 in home[1736]
    assert 2286 in home[1744]
    inside = [group for group in groups if group[-1] < n]
    assert sum(map(len, inside)) < 0.07 * n
    assert max(map(len, inside)) <= 4


# ------------------------------------------------------------------------- the audit


def test_joined() -> None:
    assert union_find(7, [[1, 4], [4, 6], [2, 3]]).tolist() == [0, 1, 2, 2, 1, 3, 1]
    assert union_find(3, []).tolist() == [0, 1, 2]
    assert union_find(0, []).tolist() == []


def test_joined_and_shared_as_by_hand() -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 60):
        sets = [rng.integers(0, n, rng.integers(1, 5)).tolist() for _ in range(n // 4)]
        expected = list(range(n))
        for _ in range(n):
            for members in sets:
                least = min(expected[i] for i in members)
                for i in members:
                    expected[i] = least
        found = union_find(n, sets)
        assert found.tolist() == [sorted(set(expected)).index(i) for i in expected]
        groups = [np.flatnonzero(found == g).tolist() for g in range(found.max() + 1)]
        assert duplicated_groups(found) == [group for group in groups if len(group) > 1]
    assert duplicated_groups(np.array([7, 3, 7, 1, 3, 7])) == [[0, 2, 5], [1, 4]]
    assert duplicated_groups(union_find(0, [])) == []


def audited(catalog: Catalog, pictures: Thumbs) -> Audit:
    return audit(catalog, find_copies(catalog.digests, pictures))


def pictures_of(photo: Photo, seeds: list[int]) -> Thumbs:
    return thumbs([photo(abs(s)) if s >= 0 else jpeg(photo(-s), 60) for s in seeds])


def test_exact_and_near_duplicates_and_conflicts(photo: Photo) -> None:
    # 0 and 3 have the same bytes; 9 shows the picture of 1; 10 that of 0 and 3
    seeds = [50, 1, 2, 50, 4, 5, 6, 7, 8, -1, -50, *range(9, 40)]
    labels = [0, 0, 1, 1, *[0, 1] * 19]
    digests = [f"{i:064x}" for i in range(len(seeds))]
    digests[3] = digests[0]
    result = audited(catalog_of(labels[: len(seeds)], digests), pictures_of(photo, seeds))
    assert result.exact_duplicates == [["0.png", "3.png"]]
    assert sorted(result.near_duplicates) == [["0.png", "3.png", "10.png"], ["1.png", "9.png"]]
    exact, near = (
        [c for c in result.label_conflicts if c["kind"] == kind] for kind in ("exact", "near")
    )
    assert exact == [{"paths": ["0.png", "3.png"], "labels": ["a", "b"], "kind": "exact"}]
    assert {"paths": ["1.png", "9.png"], "labels": ["a", "b"], "kind": "near"} in near
    groups = result.groups
    assert groups[0] == groups[3] == groups[10]
    assert groups[1] == groups[9]
    assert len(set(groups.tolist())) == len(seeds) - 3
    assert result.class_counts == {"a": 21, "b": 21}
    assert result.leaks == []
    assert not result.leaked.any()


def test_copies_whose_numbers_hardly_differ_do_not_contradict_each_other() -> None:
    known = [10.0, 10.4, 30.0, 50.0, 12.0, 80.0]
    rows = tuple(
        ImageRow(Path(f"/x/{i}"), f"{i}.png", -1, values=(v,)) for i, v in enumerate(known)
    )
    catalog = replace(Catalog("x", ("age",), rows, tuple("aabbcd")), task="regression")
    result = audit(catalog, Copies(near=[[0, 1, 4], [3, 5]], altered=[], complete=True))
    assert [(c["paths"], c["labels"], c["kind"]) for c in result.label_conflicts] == [
        (["2.png", "3.png"], ["age 30", "age 50"], "exact"),
        (["3.png", "5.png"], ["age 50", "age 80"], "near"),
    ]
    assert result.exact_duplicates == [["0.png", "1.png"], ["2.png", "3.png"]]


def test_given_parts_that_share_images_leak(photo: Photo) -> None:
    seeds = [1, 2, 3, 4, 5, -1, 7, 8, 3, *range(20, 50)]
    parts = [*[TRAIN] * 4, VAL, *[TEST] * 4, *[TRAIN] * 30]
    digests = [f"{i:064x}" for i in range(39)]
    digests[8] = digests[2]
    result = audited(catalog_of([0, 1, 0] * 13, digests, parts), pictures_of(photo, seeds))
    assert sorted(result.leaks, key=lambda leak: leak["paths"][0]) == [
        {"paths": ["0.png", "5.png"], "parts": ["train", "test"]},
        {"paths": ["2.png", "8.png"], "parts": ["train", "test"]},
    ]
    assert np.flatnonzero(result.leaked).tolist() == [5, 8]


def test_groups_of_the_user_join_with_duplicates() -> None:
    groups: list[str | None] = ["p", "p", None, "q", "q", None]
    digests = list("abccde")
    parts = [TRAIN, TEST, TRAIN, TRAIN, TRAIN, TEST]
    result = audit(catalog_of([0, 1] * 3, digests, parts, groups), None)
    assert result.groups.tolist() == [0, 0, 1, 1, 1, 2]
    assert result.shared_groups == [{"group": "p", "parts": ["train", "test"], "images": 2}]
    assert not result.leaked.any()
    assert result.searched == "no"


def test_json(photo: Photo) -> None:
    catalog = catalog_of([0, 1] * 10)
    hidden, bad = LeftOut("hidden", 2, "a/.x"), Unreadable("bad.png", "truncated")
    catalog = replace(catalog, left_out=(hidden,), unreadable=(bad,))
    report: dict[str, Any] = (
        audited(catalog, pictures_of(photo, list(range(20)))).record(catalog).to_json()
    )
    assert json.loads(json.dumps(report)) == report
    assert report["unreadable"] == [{"path": "bad.png", "reason": "truncated"}]
    assert report["ignored"] == {"hidden": 2}
    assert report["class_counts"] == {"a": 10, "b": 10}
    assert {"exact_duplicates", "near_duplicates", "label_conflicts", "leaks"} <= report.keys()


def test_thumbnails_must_fit_the_catalog() -> None:
    with pytest.raises(ValueError, match="3 thumbnails for 2 images"):
        audited(catalog_of([0, 1]), np.zeros((3, 32, 32, 3), dtype=np.uint8))
