"""The pictures of a report, drawn once for the same classifier and the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frostline.compute.cache.fact import NETWORKS
from frostline.compute.cache.memoize import Memo, memoize
from frostline.core.runtime import Runtime
from frostline.data.audit import Audit
from frostline.data.problem import Problem
from frostline.explain.gallery import Gallery
from frostline.explain.make import Drawn, Limits, Subject, make_gallery
from frostline.stats.out_of_fold import OutOfFold

if TYPE_CHECKING:
    from frostline.compute.frozen import Frozen

GALLERY = Memo(name="gallery", version=6, libraries=NETWORKS, result=Drawn)


def memoized_gallery(
    problem: Problem,
    frozen: Frozen,
    subject: Subject,
    judged: Sequence[OutOfFold],
    audit: Audit,
    runtime: Runtime,
    limits: Limits,
) -> Gallery:
    """Make what :func:`frostline.explain.make.make_gallery` makes, or read it back.

    Takes what that function does. Pictures among which an unreadable image is missing are made
    again.
    """
    catalog = problem.catalog
    inputs = {
        "features": [frozen.features.key, runtime.numerics_id],
        "subject": [subject.origin, subject.classifier.fingerprint(), sorted(subject.frozen)],
        "labels": problem.labels,
        "judged": list(judged),
        "audit": audit.record(catalog).to_json(),
        "limits": limits,
        "classes": catalog.classes,
        "names": [row.name for row in catalog.rows],
        "digests": catalog.digests,
    }

    def draw() -> Drawn:
        return make_gallery(problem, frozen, subject, judged, audit, runtime, limits)

    return memoize(GALLERY, inputs, draw, keep_if=lambda drawn: drawn.complete).gallery
