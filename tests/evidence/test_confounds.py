"""Facts that give the label away are found, and what the model is without them is said."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from frostline.core.confound_record import Confound, ConfoundAudit, FactGroupName
from frostline.data.decoding.facts import border_colours, mean_colours
from frostline.data.decoding.file_facts import file_facts_of
from frostline.data.decoding.thumbnails import thumbnail
from frostline.evidence.confounds import audit_confounds, look_at_facts
from frostline.evidence.fact_groups import FactGroup, fact_groups
from frostline.evidence.left_out_values import FeatureFit
from frostline.stats.ridge import ridge_loo
from frostline.stats.target_matrix import OneHot
from frostline.targets.choose import target_of
from frostline.targets.labelled import Labelled
from frostline.targets.protocol import Target

Array = npt.NDArray[Any]
Make = Callable[[Image.Image, int], bytes]
NAMES = ("even", "odd")


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    found = io.BytesIO()
    picture.save(found, kind, **options)
    return found.getvalue()


def as_type(picture: Image.Image, version: int) -> bytes:
    return saved(picture, "PNG") if version else saved(picture, "JPEG", quality=40)


def by_camera(picture: Image.Image, version: int) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = ("Alpha", "A1") if version else ("Beta", "B2")
    seen = picture.point([round(v * 0.7 + 60) for v in range(256)] * 3) if version else picture
    return saved(seen, "JPEG", quality=90, exif=exif)


def by_name(picture: Image.Image, version: int) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Alpha" if version else "Beta"
    return saved(picture, "JPEG", quality=90, exif=exif)


def of_quality(picture: Image.Image, version: int) -> bytes:
    return saved(picture, "JPEG", quality=10 if version else 95)


def framed(picture: Image.Image, version: int) -> bytes:
    frame = Image.new("RGB", picture.size, (230, 230, 200) if version else (40, 20, 20))
    frame.paste(picture.crop((3, 3, 45, 45)), (3, 3))
    return saved(frame, "JPEG", quality=90)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Digits as files, with what a plain model sees of them."""

    groups: list[FactGroup]
    features: Array
    truth: Array

    def audit(self, target: Target | None = None) -> ConfoundAudit:
        own = target or target_of("single", 2)
        labelled = Labelled(own, self.truth, np.arange(len(self.truth)))
        looked = look_at_facts(labelled, self.groups)
        blocks = [slice(0, self.features.shape[1])]
        return audit_confounds(
            looked,
            lambda: FeatureFit.of(self.features, labelled, blocks),
            NAMES if own.exclusive else (),
        )


@cache
def planted(make: Make, follows: float, *, n: int = 240) -> Pictures:
    """Return even and odd digits of which so many have the version of their class."""
    rng = np.random.default_rng(0)
    data = load_digits()
    # the order of the set is that of its writers
    order = np.random.default_rng(1).permutation(len(data.target))[:n]
    labels = data.target[order] % 2
    version = np.where(rng.random(n) < follows, labels, 1 - labels)
    contents = []
    for image, own in zip(data.images[order], version.tolist(), strict=True):
        picture = Image.fromarray((image * 15.9).astype(np.uint8)).convert("RGB")
        contents.append(make(picture.resize((48, 48)), own))
    files = [file_facts_of(one, name="x", max_pixels=10**8) for one in contents]
    small = np.stack([thumbnail(Image.open(io.BytesIO(one)).convert("RGB")) for one in contents])
    groups, _ = fact_groups(files, mean_colours(small), border_colours(small))
    return Pictures(groups, small.reshape(n, -1)[:, ::131].astype(np.float64), labels)


def group(audit: ConfoundAudit, name: FactGroupName) -> Confound:
    return next(one for one in audit.groups if one.group == name)


@pytest.mark.parametrize(
    ("make", "name", "fact"),
    [
        (as_type, "file", "file type"),
        (by_camera, "camera", "camera"),
        (of_quality, "compression", "JPEG quality"),
        (framed, "border", "border colour"),
    ],
)
def test_a_value_of_its_own_cannot_be_told_from_the_class(
    make: Make, name: FactGroupName, fact: str
) -> None:
    found = group(planted(make, 1.0).audit(), name)
    assert found.verdict == "inseparable"
    assert found.score > 0.95
    assert found.honest is not None
    assert (found.honest.fact, found.honest.judged, found.honest.left_out) == (fact, 0, None)
    assert {one.label for one in found.honest.given_away} == {"even", "odd"}


def test_a_model_that_leans_on_a_camera_is_worse_without_it() -> None:
    found = group(planted(by_camera, 0.9).audit(), "camera")
    assert found.verdict == "warning"
    honest = found.honest
    assert honest is not None
    assert honest.judged == honest.images == 240
    assert honest.left_out is not None
    assert honest.same_count is not None
    assert honest.same_count - honest.left_out > 0.1
    # the truth: fitted to these, judged on digits with cameras by chance
    learned, others = planted(by_camera, 0.9), planted(by_camera, 0.5, n=720)
    fit = ridge_loo(learned.features, OneHot(learned.truth, 2))
    judged = slice(240, 720)
    decided = fit.predict(others.features[judged]).argmax(axis=1)
    truth = float(np.mean(decided == others.truth[judged]))
    low, high = honest.broken_interval
    assert low - 0.03 <= truth <= high + 0.03
    assert truth < honest.broken + honest.fall - 0.03
    assert {value.value for value in honest.values} == {"Alpha A1", "Beta B2"}


def test_a_camera_that_changes_no_pixel_is_a_note() -> None:
    found = group(planted(by_name, 0.9).audit(), "camera")
    assert found.verdict == "note"
    assert found.score > 0.8


def test_clean_pictures_raise_no_warning() -> None:
    audit = planted(as_type, 0.5).audit()
    assert {one.verdict for one in audit.groups} <= {"nothing", "note"}


def test_shuffled_labels_name_no_more_groups_than_promised() -> None:
    pictures = planted(by_camera, 0.5, n=100)
    named = warned = 0
    for seed in range(100):
        shuffled = np.random.default_rng(seed).permutation(pictures.truth)
        verdicts = {
            one.verdict
            for one in Pictures(pictures.groups, pictures.features, shuffled).audit().groups
        }
        named += verdicts != {"nothing"}
        warned += bool(verdicts & {"warning", "inseparable"})
    assert named <= 100 * 0.05 + 2 * np.sqrt(100 * 0.05 * 0.95)
    assert warned <= named


@pytest.mark.parametrize("task", ["ordinal", "multilabel", "regression"])
def test_every_task_is_looked_at(task: Any) -> None:
    pictures = planted(by_camera, 0.8)
    rng = np.random.default_rng(1)
    own: Array = pictures.truth
    if task == "multilabel":
        own = np.stack([own, rng.integers(0, 2, len(own))], axis=1).astype(np.float64)
        own[::9, 1] = np.nan
    if task == "regression":
        own = (own + rng.normal(0.0, 0.1, len(own)))[:, None]
    n_outputs = own.shape[1] if own.ndim == 2 else 2
    audit = Pictures(pictures.groups, pictures.features, own).audit(target_of(task, n_outputs))
    assert audit.score == ("r2" if task == "regression" else "balanced_accuracy")
    found = group(audit, "camera")
    assert found.verdict in ("warning", "note")
    assert found.honest is not None
    assert found.honest.fall > 0.03


def test_few_images_are_not_looked_at() -> None:
    assert planted(as_type, 1.0, n=20).audit().groups == ()
