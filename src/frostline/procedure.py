"""The procedure: evidence, strategy, training. The final fit and every fold call this alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from frostline.evaluation.calibration import fit_temperature, softmax
from frostline.evaluation.intervals import paired_difference
from frostline.evidence.collect import Evidence, collect_evidence
from frostline.evidence.flips import check_flips, rows_to_mirror
from frostline.features.passes import FeatureStore
from frostline.plan import CandidateResult, EvidenceSummary, Plan, TapsHead
from frostline.progress import NullProgress, Progress
from frostline.settings import ResolvedSettings, Settings
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cases import prior_case
from frostline.strategy.context import Context
from frostline.strategy.decide import decide, make_plan
from frostline.training.result import Trained
from frostline.training.train import train

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

#: training must beat the frozen features by more than this, or by more than one standard error
_WORTH = 0.01
_BATCH = 32


@dataclass(frozen=True)
class Task:
    """What every fit of one run shares.

    ``labels`` and ``groups`` have shape (n,) and belong to all rows of the store's catalog.
    ``given_plan`` says that the plan came from the user, so nothing decides anew.
    """

    store: FeatureStore
    labels: IntArray
    groups: IntArray
    settings: Settings
    resolved: ResolvedSettings
    progress: Progress
    given_plan: bool = False

    @property
    def n_classes(self) -> int:
        return len(self.store.catalog.classes)

    def class_weights(self, rows: IntArray) -> FloatArray | None:
        """Weight of each class in closed-form fits: n / (C n_c), or None for none."""
        if self.settings.class_weights != "balanced":
            return None
        counts = np.bincount(self.labels[rows], minlength=self.n_classes)
        return np.asarray(len(rows) / (self.n_classes * np.maximum(counts, 1)), dtype=np.float64)

    def quietly(self) -> Task:
        """Return the same task without progress bars."""
        return replace(self, progress=NullProgress())


@dataclass(frozen=True)
class Fitted:
    """A plan that was carried out, with its calibrated classifier."""

    plan: Plan
    trained: Trained
    temperature: float

    def probabilities(self, store: FeatureStore, rows: IntArray) -> FloatArray:
        """Calibrated probabilities of shape (len(rows), n_classes) for rows of the store."""
        return softmax(_logits(self.trained, store, rows), self.temperature)


def gather(task: Task, rows: IntArray, *, known: EvidenceSummary | None = None) -> Evidence:
    """Collect the evidence on ``rows``; ``known`` is that of all rows, when these are a fold."""
    return collect_evidence(
        task.store,
        rows,
        task.labels,
        task.groups,
        seed=task.settings.seed,
        class_weights=task.class_weights(rows),
        known=known,
    )


def make_context(task: Task, evidence: Evidence, *, refits: float) -> Context:
    """Put together what the strategy needs; asks the probe whether mirroring is harmless."""
    return Context(
        network=task.store.network,
        evidence=evidence,
        settings=task.settings,
        resolved=task.resolved,
        refits=refits,
        flip=_flip_is_safe(task, evidence) if task.settings.may_train else True,
    )


def fit_once(
    task: Task,
    rows: IntArray,
    *,
    plan: Plan | None = None,
    validation_rows: IntArray | None = None,
    refits: float = 1.0,
    checkpoint_dir: Path | None = None,
    known: EvidenceSummary | None = None,
) -> Fitted:
    """Decide on ``rows`` (unless a plan is given), train on them, calibrate on them.

    Parameters
    ----------
    task : Task
    rows : int array
        Training rows: nothing else is learned from.
    plan : Plan or None, default=None
        Carried out as it is when given.
    validation_rows : int array or None, default=None
        A validation part that the user gave; otherwise one is drawn from ``rows`` when needed.
    refits : float, default=1.0
        How often the training will run altogether (for its share of the budget).
    checkpoint_dir : Path or None, default=None
        Where gradient training keeps its state, so that it can be resumed.
    known : EvidenceSummary or None, default=None
        The evidence on all training rows, when ``rows`` is a fold of them.
    """
    if plan is not None:
        trained = _train(task, plan, rows, validation_rows, checkpoint_dir, None)
        return _calibrated(task, plan, trained)
    evidence = gather(task, rows, known=known)
    context = make_context(task, evidence, refits=refits)
    decision = decide(context)
    plan = decision.plan
    if plan.estimated_seconds:
        task.progress.note(
            f"Plan: {plan.chosen}, about {plan.estimated_seconds / 60:.1f} nominal minutes."
        )
    trained = _train(task, plan, rows, validation_rows, checkpoint_dir, evidence)
    if decision.fallback is None:
        return _calibrated(task, plan, trained)
    return _veto(task, context, plan, trained, decision.fallback, rows)


def _train(
    task: Task,
    plan: Plan,
    rows: IntArray,
    validation_rows: IntArray | None,
    checkpoint_dir: Path | None,
    evidence: Evidence | None,
) -> Trained:
    return train(
        plan.action,
        task.store,
        rows,
        task.labels,
        n_classes=task.n_classes,
        groups=task.groups,
        resolved=task.resolved,
        seed=task.settings.seed,
        checkpoint_dir=checkpoint_dir,
        progress=task.progress,
        probe=None if evidence is None else evidence.ridge,
        validation_rows=validation_rows,
    )


def _calibrated(task: Task, plan: Plan, trained: Trained) -> Fitted:
    temperature = 1.0
    if len(trained.honest_rows):
        temperature = fit_temperature(trained.honest_logits, task.labels[trained.honest_rows])
    return Fitted(plan, trained, temperature)


def _veto(
    task: Task,
    context: Context,
    plan: Plan,
    trained: Trained,
    fallback: Proposal,
    rows: IntArray,
) -> Fitted:
    """Keep the trained layers only if they beat the frozen features on the validation part."""
    judged = trained.honest_rows
    if len(judged) == 0:
        return _calibrated(task, plan, trained)
    truth = task.labels[judged]
    others = np.setdiff1d(rows, judged)
    head = _train(task.quietly(), _with_action(plan, fallback), others, None, None, None)
    tuned_right = trained.honest_logits.argmax(axis=1) == truth
    head_right = _logits(head, task.store, judged).argmax(axis=1) == truth
    gain, error = paired_difference(tuned_right, head_right)
    compared = (
        f"On {len(judged)} validation images training reached {tuned_right.mean():.1%} "
        f"and frozen features {head_right.mean():.1%} "
        f"({gain * 100:+.1f} ± {error * 100:.1f} points)."
    )
    scored = [
        candidate.model_copy(
            update={
                "score": float(tuned_right.mean()),
                "standard_error": float(tuned_right.std() / np.sqrt(len(judged))),
            }
        )
        if candidate.name == plan.chosen
        else candidate
        for candidate in plan.candidates
    ]
    if gain > min(error, _WORTH):
        verdict = plan.model_copy(
            update={"candidates": scored, "explanation": [*plan.explanation, compared]}
        )
        return _calibrated(task, verdict, trained)
    reasons = [
        f"Training was tried ({plan.chosen}). {compared} "
        "That is no clear gain, so the simpler model is kept."
    ]
    verdict = make_plan(
        context,
        fallback,
        prior=prior_case(context.summary),
        candidates=_stopped(scored, plan.chosen, fallback.name),
        reasons=reasons,
    )
    kept = _train(task.quietly(), verdict, rows, None, None, context.evidence)
    return _calibrated(task, verdict, kept)


def _stopped(candidates: list[CandidateResult], loser: str, winner: str) -> list[CandidateResult]:
    said = {loser: "no clear gain over frozen features on validation", winner: "chosen"}
    return [c.model_copy(update={"stopped": said.get(c.name, c.stopped)}) for c in candidates]


def _with_action(plan: Plan, proposal: Proposal) -> Plan:
    return plan.model_copy(update={"action": proposal.action})


def _logits(trained: Trained, store: FeatureStore, rows: IntArray) -> FloatArray:
    """Logits for rows of the store; a head on taps needs no image again."""
    if isinstance(trained.action, TapsHead):
        head = trained.module.get_submodule("head")
        weight = head.weight.detach().double().numpy()  # type: ignore[operator]
        bias = head.bias.detach().double().numpy()  # type: ignore[operator]
        taps = store.tap(trained.action.taps, rows).astype(np.float64)
        return np.asarray(taps @ weight.T + bias, dtype=np.float64)
    device = next(trained.module.parameters()).device
    preprocessing = store.network.preprocessing
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            pixels = store.pixels(rows[start : start + _BATCH])
            batch = torch.from_numpy(preprocessing.normalise(pixels)).to(device)
            found.append(trained.module(batch).double().cpu().numpy())
    return np.concatenate(found) if found else np.zeros((0, 0))


def _flip_is_safe(task: Task, evidence: Evidence) -> bool:
    """Ask a probe on the frozen features whether mirrored images keep their class."""
    store, rows = task.store, evidence.rows
    labels, groups = task.labels[rows], task.groups[rows]
    positions = rows_to_mirror(labels, groups, seed=task.settings.seed)
    mirrored = np.ascontiguousarray(store.pixels(rows[positions])[:, :, ::-1])
    check = check_flips(
        store.tap(list(store.slices), rows),
        labels,
        store.features_of(mirrored),
        positions,
        n_classes=task.n_classes,
        groups=groups,
        blocks=list(store.slices.values()),
        strength=evidence.ridge["all"].strength,
        seed=task.settings.seed,
    )
    return check.safe
