"""Average several trained classifiers: one classifier, one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from frostline.backbones.heads.fitted_classifier import OF_MEMBER
from frostline.core.actions import Blend
from frostline.core.arrays import FloatArray, IntArray
from frostline.data.problem import Problem
from frostline.targets.links import averaged
from frostline.training.result import Trained


def blend(action: Blend, members: Sequence[Trained], problem: Problem) -> Trained:
    """Put trained members together.

    Every member is calibrated on its own out-of-fold images first. Those that are so for all
    members calibrate the average: it is less sure of itself than its members are.

    ``members``: one for each of the action's, in its order.
    """
    # one of the members trained layers
    from frostline.backbones.heads.classifiers import BlendClassifier

    temperatures = [_temperature(member, problem) for member in members]
    shared = members[0].out_of_fold_rows
    for member in members[1:]:
        shared = np.intersect1d(shared, member.out_of_fold_rows)
    each = [
        problem.target.link(
            member.out_of_fold_logits[_places(member.out_of_fold_rows, shared)], temperature
        )
        for member, temperature in zip(members, temperatures, strict=True)
    ]
    modules = [member.module.leader for member in members]
    members = [replace(m, classifier=own) for m, own in zip(members, modules, strict=True)]
    return Trained(
        action=action,
        target=problem.target,
        classifier=BlendClassifier(
            modules, temperatures, action.weights, link=problem.target.link_name
        ).eval(),
        out_of_fold_logits=averaged(problem.target.link_name, each, action.weights),
        out_of_fold_rows=shared,
        frozen_verified=all(member.frozen_verified for member in members),
        history=[entry for member in members for entry in member.history],
        epochs_done=sum(member.epochs_done for member in members),
        best_epoch=members[0].best_epoch,
        alpha=members[0].alpha,
        frozen=_names(members, "frozen"),
        trained=_names(members, "trained"),
        new_layers=_names(members, "new_layers"),
        notes=list(dict.fromkeys(note for member in members for note in member.notes)),
        members=list(members),
    )


def blended_logits(trained: Trained, each: Sequence[FloatArray]) -> FloatArray:
    """Return the blend's logits (n, C) from those of its members, as its classifier does."""
    temperatures = [temperature for _, temperature in trained.classifier.averaged]
    links = [trained.target.link(z, t) for z, t in zip(each, temperatures, strict=True)]
    return averaged(trained.target.link_name, links, trained.classifier.shares)


def _temperature(member: Trained, problem: Problem) -> float:
    if not len(member.out_of_fold_rows):
        return 1.0
    return problem.labelled(member.out_of_fold_rows).calibrate(member.out_of_fold_logits)


def _places(rows: IntArray, wanted: IntArray) -> IntArray:
    """Where the wanted rows stand among ``rows``."""
    order = np.argsort(rows, kind="stable")
    return np.asarray(order[np.searchsorted(rows, wanted, sorter=order)], dtype=np.int64)


def _names(members: Sequence[Trained], what: str) -> list[str]:
    return [
        OF_MEMBER.format(i) + name
        for i, member in enumerate(members)
        for name in getattr(member, what)
    ]
