"""Evidence about several labels and about numbers, on features of digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, log_loss, r2_score

from frostline.core.arrays import FloatArray, Truth
from frostline.data.splitting.stratified import stratified_folds
from frostline.evidence.curve import last_doubling
from frostline.evidence.flips import check_flips
from frostline.evidence.probes import probe
from frostline.evidence.stacked import stacked_probe
from frostline.stats.metrics import ACCURACY
from frostline.targets.choose import target_of
from frostline.targets.labelled import Labelled

N = 600
#: the writers of the digits come one after the other
ORDER = np.random.default_rng(5).permutation(1797)
#: three "depths": the image, its left half twice as loud, and noise
BLOCKS = [slice(0, 64), slice(64, 96), slice(96, 128)]


def features() -> FloatArray:
    pixels = load_digits().data[ORDER]
    left = pixels.reshape(-1, 8, 8)[:, :, :4].reshape(len(pixels), -1)
    noise = np.random.default_rng(0).normal(size=left.shape)
    return np.hstack([pixels, 2.0 * left, noise])


def labels() -> Truth:
    digit = load_digits().target[ORDER]
    said = [digit % 2 == 0, np.isin(digit, [0, 6, 8, 9]), digit >= 7, digit == 3]
    return np.column_stack(said).astype(np.float64)


def numbers() -> Truth:
    pixels = load_digits().images[ORDER]
    weight = np.arange(8.0)
    ink = pixels.sum(axis=(1, 2))
    # where the ink lies across, which a mirror changes, and how much there is
    return np.column_stack([(pixels.sum(axis=1) @ weight) / ink, ink / 100.0])


def labelled(task: str, truth: Truth) -> Labelled:
    target = target_of(task, truth.shape[1])  # type: ignore[arg-type]
    return Labelled(target, truth, np.arange(len(truth)), metric=target.metric(ACCURACY))


def stacked(about: Labelled, X: FloatArray) -> tuple[FloatArray, float, FloatArray]:
    """Outputs for other rows by the stacked head, its score, and what each fit counts."""
    names = [str(i) for i in range(len(about))]
    by = about.target.split_by(about.truth)
    folds = stratified_folds(by, about.groups, names, n_folds=5, seed=0)
    whole = probe("all", X[: len(about)], about, blocks=BLOCKS)
    taps = {str(i): probe(str(i), X[: len(about), b], about).fit for i, b in enumerate(BLOCKS)}
    found = stacked_probe(whole.fit, taps, BLOCKS, about, folds)
    head = about.target.stacked_head(
        [whole.fit, *taps.values()],
        [slice(0, 128), *BLOCKS],
        about.truth,
        folds,
        prior=np.array([0.6, 0.2, 0.2, 0.2]),
        groups=about.groups,
    )
    return X[len(about) :] @ head.weight + head.bias, found.evidence.reached, head.shares


def test_labels_are_told_as_well_as_by_models_of_their_own() -> None:
    X, truth = features(), labels()
    about = labelled("multilabel", truth[:N])
    outputs, reached, shares = stacked(about, X)
    p = about.target.link(outputs)
    rest = truth[N:]
    ours = np.mean([average_precision_score(rest[:, c], p[:, c]) for c in range(4)])
    others = []
    for c in range(4):
        model = LogisticRegression(C=0.01, max_iter=2000).fit(X[:N] / 16, truth[:N, c])
        others.append(average_precision_score(rest[:, c], model.predict_proba(X[N:] / 16)[:, 1]))
    assert ours > np.mean(others) - 0.002
    # probabilities can be believed, and leave-one-out said how good they would be
    losses = [log_loss(rest[:, c], p[:, c]) for c in range(4)]
    bases = [log_loss(rest[:, c], np.full(len(rest), truth[:N, c].mean())) for c in range(4)]
    assert reached == pytest.approx(1.0 - np.sum(losses) / np.sum(bases), abs=0.06)
    assert shares[3] < 0.1
    rule = about.target.rule(about.metric, p, rest, (rest, None))
    assert len(rule.thresholds) == 4
    assert about.target.decide(p, rule).shape == p.shape


def test_unknown_labels_are_left_out_class_by_class() -> None:
    X, truth = features(), labels()
    sparse = truth[:N].copy()
    sparse[np.random.default_rng(2).random(sparse.shape) < 0.3] = np.nan
    sparse[:400, 3] = np.nan
    about = labelled("multilabel", sparse)
    outputs, _, _ = stacked(about, X)
    missing_as_absent = labelled("multilabel", np.nan_to_num(sparse))
    worse, _, _ = stacked(missing_as_absent, X)
    target = about.target
    assert target.accuracy(outputs, truth[N:]) > 0.9
    assert target.certainty(target.link(outputs), truth[N:]).mean() > (
        target.certainty(target.link(worse), truth[N:]).mean() + 0.02
    )


def test_numbers_are_told_as_well_as_by_ridge() -> None:
    X, truth = features(), numbers()
    about = labelled("regression", truth[:N])
    outputs, reached, shares = stacked(about, X)
    ours = r2_score(truth[N:], outputs)
    other = r2_score(truth[N:], Ridge(alpha=100.0).fit(X[:N], truth[:N]).predict(X[N:]))
    assert ours > other - 0.01
    assert reached == pytest.approx(ours, abs=0.04)
    assert shares[3] < 0.1


@pytest.mark.parametrize(("task", "truth"), [("multilabel", labels()), ("regression", numbers())])
def test_more_images_help(task: str, truth: Truth) -> None:
    X, about = features()[:200], labelled(task, truth[:200])
    whole = probe("all", X, about, blocks=BLOCKS)
    gained = last_doubling(X, about, blocks=BLOCKS, seed=0, whole=whole.evidence)
    assert gained is not None
    assert 0.0 < gained < 0.2


def test_mirrors_are_checked_against_the_target() -> None:
    pixels = load_digits().images[ORDER]
    mirrored = pixels[:, :, ::-1].reshape(len(pixels), -1)
    X = np.hstack([pixels.reshape(len(pixels), -1), np.zeros((len(pixels), 1))])
    mirrored = np.hstack([mirrored, np.zeros((len(pixels), 1))])
    positions = np.arange(0, 600, 5)
    for column, safe in ((0, False), (1, True)):
        about = labelled("regression", numbers()[:N, [column]])
        found = check_flips(X[:N], about, mirrored[positions], positions)
        assert found.safe == safe, column
        assert found.plain > 0.9
