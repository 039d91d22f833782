"""Runs on the images that both judged, from what their folders keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import frostline
from frostline.core.comparison_record import (
    AnswersOnly,
    ComparisonRecord,
    ImagesNotFound,
    LabelsDiffer,
    OtherOutputs,
    OutOfFold,
    TrainedOnOthersTest,
)
from frostline.core.errors import InputError, RunFolderError, SettingsError
from tests.comparing.conftest import MakeRun, probabilities

TRUTH = np.arange(400) % 3
GOOD, WORSE = probabilities(TRUTH, 0.9, 1), probabilities(TRUTH, 0.7, 2)


def compared(a: Path, b: Path, **options: object) -> ComparisonRecord:
    return frostline.compare(a, b, **options).record  # type: ignore[arg-type]


def test_scores_flips_and_parts_add_up(make_run: MakeRun) -> None:
    found = compared(make_run("a", GOOD, TRUTH), make_run("b", WORSE, TRUTH))
    right = [one.argmax(axis=1) == TRUTH for one in (GOOD, WORSE)]
    head = found.scores[0]
    assert head.score == "accuracy"
    assert (head.a, head.b) == pytest.approx([one.mean() for one in right])
    assert head.difference == pytest.approx(right[1].mean() - right[0].mean())
    low, high = head.interval
    assert low is not None
    assert high is not None
    assert low < head.difference < high < 0
    assert len(found.lost) == (right[0] & ~right[1]).sum()
    assert len(found.won) == (~right[0] & right[1]).sum()
    assert found.both_right == (right[0] & right[1]).sum()
    assert len(found.flips) + found.both_right + found.both_wrong == found.images == 400
    recall = {one.value: one for one in found.parts if one.dimension == "output"}
    assert recall["b"].a == pytest.approx(right[0][TRUTH == 1].mean())
    assert all(one.verdict == "a" for one in recall.values())
    flip = found.lost[0]
    row = int(flip.path.removesuffix(".png"))
    assert flip.truth == flip.a == "abc"[TRUTH[row]]
    assert flip.b == "abc"[int(WORSE[row].argmax())]
    assert flip.b_confidence == pytest.approx(WORSE[row].max(), abs=1e-6)
    sure = [one.b_confidence or 0.0 for one in found.lost]
    assert sure == sorted(sure, reverse=True)
    assert found.calibration is not None
    assert found.caveats == (ImagesNotFound(images=400, of=400),)
    assert ComparisonRecord.model_validate(found.to_json()) == found


def test_only_what_both_judged_is_compared_whatever_it_is_called(make_run: MakeRun) -> None:
    names = [f"{i:05d}.png" for i in range(200, 600)]
    found = compared(
        make_run("a", GOOD, TRUTH), make_run("b", GOOD, (TRUTH + 200) % 3, names=names)
    )
    assert (found.shared, found.judged_by_a, found.judged_by_b) == (200, 400, 400)
    # the name says the digest here: labels of these names are the same
    assert found.images == 200


def test_nothing_shared_asks_for_a_source(make_run: MakeRun) -> None:
    names = [f"other {i}" for i in range(400)]
    with pytest.raises(InputError, match=r"no image in common.* --on SOURCE"):
        frostline.compare(make_run("a", GOOD, TRUTH), make_run("b", GOOD, TRUTH, names=names))


def test_images_that_taught_the_other_are_left_out_and_said(make_run: MakeRun) -> None:
    names = [f"{i:05d}.png" for i in range(400)]
    a = make_run("a", GOOD, TRUTH)
    b = make_run("b", GOOD[100:], TRUTH[100:], names=names[100:], taught=names[:120])
    found = compared(a, b)
    assert found.images == 280
    (caveat,) = (one for one in found.caveats if isinstance(one, TrainedOnOthersTest))
    assert (caveat.model, caveat.images, caveat.of) == ("b", 120, 400)


def test_copies_of_what_taught_the_other_are_left_out(make_run: MakeRun) -> None:
    names = [f"{i:05d}.png" for i in range(400)]
    a = make_run("a", GOOD, TRUTH, near=[["00007.png", "00009.png"]])
    b = make_run("b", GOOD[:9], TRUTH[:9], names=names[:9], taught=["00009.png"])
    found = compared(a, b)
    assert found.images == 8
    (caveat,) = (one for one in found.caveats if isinstance(one, TrainedOnOthersTest))
    assert (caveat.model, caveat.images) == ("b", 2)


def test_all_test_images_taught_the_other(make_run: MakeRun) -> None:
    a = make_run("a", GOOD, TRUTH)
    taught = [f"{i:05d}.png" for i in range(400)]
    b = make_run("b", GOOD, TRUTH, names=[f"other {i}" for i in range(400)], taught=taught)
    with pytest.raises(InputError, match=r"400 of the 400 images that judged .*a taught .*b"):
        frostline.compare(a, b)


def test_cross_validated_runs_are_compared_out_of_fold(make_run: MakeRun) -> None:
    runs = [make_run(name, GOOD, TRUTH, method="cross-validation") for name in "ab"]
    found = compared(*runs)
    assert found.images == 400
    assert [type(one) for one in found.caveats] == [OutOfFold, ImagesNotFound]
    assert found.scores[0].difference == 0.0


def test_groups_of_both_runs_and_copies_belong_together(make_run: MakeRun) -> None:
    a = make_run("a", GOOD, TRUTH, groups=[f"g{i // 4}" for i in range(400)])
    near = [["00000.png", "00399.png"]]
    b = make_run("b", WORSE, TRUTH, near=near)
    assert compared(a, b).groups == 99


def test_a_new_class_is_judged_where_both_know_it(make_run: MakeRun) -> None:
    truth = np.arange(400) % 4
    four = probabilities(truth, 0.9, 3, k=4)
    names = [f"{i:05d}.png" for i in range(400)]
    known = np.flatnonzero(truth < 3)
    a = make_run(
        "a",
        probabilities(truth[known], 0.9, 4),
        truth[known],
        names=[names[i] for i in known],
    )
    b = make_run("b", four, truth, classes=("d", "c", "b", "a"))
    # b has its classes in another order: 3 - truth are the same letters
    with pytest.raises(InputError, match="one label in both runs"):
        frostline.compare(make_run("c", GOOD[:3], np.array([1, 0, 0])), b)
    same = make_run("same", four[:, ::-1], 3 - truth, classes=("d", "c", "b", "a"))
    found = compared(a, same)
    assert found.images == 300
    assert found.outputs == ("a", "b", "c", "d")
    (caveat,) = (one for one in found.caveats if isinstance(one, OtherOutputs))
    assert (caveat.only_a, caveat.only_b, caveat.images) == ((), ("d",), 0)
    assert found.scores[0].b == pytest.approx((four[known].argmax(axis=1) == truth[known]).mean())


def test_images_with_other_labels_in_the_other_run_are_left_out(make_run: MakeRun) -> None:
    relabelled = TRUTH.copy()
    relabelled[:5] = (TRUTH[:5] + 1) % 3
    found = compared(make_run("a", GOOD, TRUTH), make_run("b", GOOD, relabelled))
    assert found.images == 395
    assert LabelsDiffer(images=5) in found.caveats


def test_runs_of_older_versions_kept_answers_only(make_run: MakeRun) -> None:
    a, b = make_run("a", GOOD, TRUTH, numbers=False), make_run("b", WORSE, TRUTH)
    found = compared(a, b)
    assert AnswersOnly(models=("a",)) in found.caveats
    assert "log_loss" not in {one.score for one in found.scores}
    assert found.scores[0].b == pytest.approx((WORSE.argmax(axis=1) == TRUTH).mean())


def test_a_run_without_manifest_is_told_by_its_images(
    make_run: MakeRun, digit_folder: Path
) -> None:
    files = sorted(digit_folder.rglob("*.png"))
    names = [file.relative_to(digit_folder).as_posix() for file in files]
    truth = np.arange(len(files)) % 3
    p = probabilities(truth, 0.8, 5)
    runs = [make_run(name, p, truth, names=names, source=digit_folder) for name in "ab"]
    for run in runs:
        (run / "catalog.csv").unlink()
    found = compared(*runs)
    assert found.images == len(files)
    tested = {one.dimension for one in found.parts}
    assert "brightness" in tested | {one.dimension for one in found.untested}
    (runs[0] / "settings.json").unlink()
    with pytest.raises(InputError, match="does not tell which images those were"):
        frostline.compare(*runs)


@pytest.mark.parametrize("task", ["multilabel", "ordinal", "regression"])
def test_every_task(make_run: MakeRun, task: str) -> None:
    rng = np.random.default_rng(0)
    truth: np.ndarray
    if task == "ordinal":
        truth, good, bad = TRUTH, GOOD, WORSE
    elif task == "multilabel":
        truth = (rng.random((400, 3)) < 0.4).astype(float)
        good, bad = (
            np.clip(w * truth + (1 - w) * rng.random(truth.shape), 0, 1) for w in (0.6, 0.2)
        )
    else:
        truth = rng.normal(size=(400, 3))
        good, bad = (truth + rng.normal(0, s, truth.shape) for s in (0.2, 0.8))
    a, b = make_run("a", good, truth, task=task), make_run("b", bad, truth, task=task)
    found = compared(a, b)
    heads = {"ordinal": "qwk", "multilabel": "mean_average_precision", "regression": "r2"}
    assert found.scores[0].score == heads[task]
    assert found.scores[0].gain_at_least is not None
    assert found.scores[0].gain_at_least < 0
    assert found.scores[0].interval[1] is not None
    assert found.scores[0].interval[1] < 0
    assert {one.verdict for one in found.parts if one.dimension == "output"} == {"a"}
    assert len(found.lost) > len(found.won)
    mae = next((one for one in found.scores if one.score == "mae"), None)
    assert mae is None or (mae.lower_is_better and mae.difference > 0)
    better = frostline.compare(b, a, no_worse_than=0.0)
    assert better.passed
    assert "<html" in _page(better)


def _page(found: frostline.Comparison) -> str:
    from frostline.report.comparison import render_comparison

    return render_comparison(found.record, found.tiles)


def test_no_worse_than_asks_the_one_sided_bound(make_run: MakeRun) -> None:
    a, b = make_run("a", GOOD, TRUTH), make_run("b", WORSE, TRUTH)
    failed = frostline.compare(a, b, no_worse_than=5.0)
    assert failed.passed is False
    found = failed.record.non_inferiority
    assert found is not None
    assert found.margin == pytest.approx(0.05)
    head = failed.record.scores[0]
    assert head.interval[0] is not None
    assert found.gain_at_least is not None
    # a bound to one side reaches less far than an interval to both
    assert head.interval[0] < found.gain_at_least < head.difference
    passed = frostline.compare(a, b, no_worse_than=-100 * found.gain_at_least + 0.01)
    assert passed.passed is True
    assert frostline.compare(a, b).passed is None
    same = frostline.compare(a, a, no_worse_than=0.0)
    # exactly alike on these images is not surely alike on others
    assert same.passed is False


def test_another_metric_comes_first(make_run: MakeRun) -> None:
    a, b = make_run("a", GOOD, TRUTH), make_run("b", WORSE, TRUTH)
    found = frostline.compare(a, b, metric="log_loss", no_worse_than=0.1).record
    assert found.scores[0].score == "log_loss"
    assert found.non_inferiority is not None
    assert found.non_inferiority.margin == 0.1
    assert found.non_inferiority.gain_at_least is not None
    assert found.non_inferiority.gain_at_least < -0.1
    with pytest.raises(SettingsError, match="balanced_accuracy"):
        frostline.compare(a, b, metric="balanced_acuracy")
    with pytest.raises(SettingsError, match="at least 0"):
        frostline.compare(a, b, no_worse_than=-1.0)


def test_what_is_no_run_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    a = make_run("a", GOOD, TRUTH)
    with pytest.raises(RunFolderError, match="does not exist"):
        frostline.compare(a, tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match=r"without its run.* --on SOURCE"):
        frostline.compare(a, Path(__file__).parents[1] / "model" / "released" / "format-5")
    with pytest.raises(InputError, match="different things: single and ordinal"):
        frostline.compare(a, make_run("o", GOOD, TRUTH, task="ordinal"))
    (a / "predictions.csv").write_text("path,label\nx,y\n")
    with pytest.raises(RunFolderError, match="expected the columns path, label"):
        frostline.compare(a, a)
