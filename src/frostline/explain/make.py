"""Make all pictures of a report: what is shown, what is looked at, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.core.errors import BackboneError, UnreadableImageError
from frostline.core.runtime import Runtime
from frostline.data.audit import Audit
from frostline.data.problem import Problem
from frostline.data.splitting.sampling import chosen_rows
from frostline.explain.attribution import draw_heat
from frostline.explain.depths import DepthPlan, most_informative, plan_depths
from frostline.explain.drawing import BETWEEN, UInt8Array
from frostline.explain.encoding import jpeg, png, tile
from frostline.explain.filters import filter_grid, legible_filters, network_filters
from frostline.explain.findings import list_findings
from frostline.explain.gallery import Depth, FilterFacts, Gallery, Tile
from frostline.explain.looking import HeatRules, Seen, look
from frostline.explain.told import Told, doubts_told, mistakes_told
from frostline.stats.out_of_fold import OutOfFold

if TYPE_CHECKING:
    from frostline.backbones.heads.fitted_classifier import FittedClassifier
    from frostline.compute.frozen import Frozen

#: bytes of the picture of one depth, and of the filters, at most
DEPTH_BYTES = 150_000
FILTER_BYTES = 200_000

_FILTERS = 64
_FILTER_SIDE = 40


#: images that can no longer be read are named, so many of them
_LOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is shown and computed.

    ``mistakes``, ``doubtful`` and ``findings``: tiles of each kind, at most. ``heats``: heat
    maps, mistakes first. ``looked``: images that run through the trained network, those with heat
    maps among them. ``covering``: multiply-accumulates that covering parts of images may take,
    where that is the only way.
    """

    mistakes: int = 24
    doubtful: int = 24
    findings: int = 24
    heats: int = 48
    looked: int = 128
    covering: float = 800e9


#: by effort: under ``fast`` the pictures may not take longer than what they show
LIMITS: Mapping[str, Limits] = {
    "fast": Limits(mistakes=12, doubtful=12, heats=12, looked=36, covering=80e9),
    "balanced": Limits(),
    "best": Limits(looked=200),
}


@dataclass(frozen=True)
class Subject:
    """The classifier that pictures are about.

    ``classifier``: on the CPU. ``frozen``: names of its tensors that were left as pretrained.
    ``origin``: stands for how it was made: what its tensors do not tell.
    """

    classifier: FittedClassifier
    frozen: Collection[str]
    origin: str = ""


@dataclass(frozen=True)
class Drawn:
    """Pictures, and whether every image that they were to show could be read."""

    gallery: Gallery
    complete: bool


def make_gallery(
    problem: Problem,
    frozen: Frozen,
    subject: Subject,
    judged: Sequence[OutOfFold],
    audit: Audit,
    runtime: Runtime,
    limits: Limits | None = None,
) -> Drawn:
    """Choose and draw the pictures of a report.

    All tiles show what the network sees of an image, in its shape. Everything is bounded: the
    counts by ``limits``, the bytes by caps for each picture that add up to less than 2.5 MB. An
    image that can no longer be read is left out, and a note says so.

    ``judged``: the predictions that the score rests on, from which alone mistakes are taken; then
    further out-of-fold predictions, the most trusted first, that label errors are searched by, too.
    ``limits``: those of effort ``balanced`` for None.
    """
    bounds = LIMITS["balanced"] if limits is None else limits
    catalog = problem.catalog
    classifier = subject.classifier
    wrong = mistakes_told(problem, judged[0], bounds.mistakes)
    doubts = doubts_told(problem, judged, bounds.doubtful)
    row_of = {row.name: i for i, row in enumerate(catalog.rows)}
    findings = [
        (row_of[found.name], found.note) for found in list_findings(audit, most=bounds.findings)
    ]
    told = (*wrong, *doubts)
    pairs = ((one.row, one.output) for one in told if one.output is not None)
    wanted = list(dict.fromkeys(pairs))[: bounds.heats]
    plans = plan_depths(
        frozen.features,
        frozen.network,
        upto=classifier.leader.cuts[-1],
        frozen=classifier.network_names(subject.frozen),
    )
    looked = _worth_looking(frozen, wanted, plans, bounds.looked)
    shown = [said.row for said in (*wrong, *doubts)] + [row for row, _ in findings]
    asked = list(dict.fromkeys([*looked, *shown]))
    pixels = dict(_readable(frozen, asked, runtime))
    seen = look(
        frozen.network,
        classifier,
        {row: pixels[row] for row in looked if row in pixels},
        [pair for pair in wanted if pair[0] in pixels],
        plans,
        labels=problem.target.strata(problem.labels),
        heats=HeatRules(bounds.covering, alone=not problem.target.exclusive),
        runtime=runtime,
    )

    def in_shape(row: int, picture: Image.Image) -> Image.Image:
        width, height = map(int, frozen.features.facts.sizes[row])
        return frozen.network.preprocessing.in_own_shape(picture, width, height)

    def tiles(told: Sequence[Told]) -> tuple[Tile, ...]:
        return tuple(
            _tile(problem, one, pixels[one.row], seen, partial(in_shape, one.row))
            for one in told
            if one.row in pixels
        )

    filters, facts = draw_first_filters(frozen.network, classifier)
    gallery = Gallery(
        mistakes=tiles(wrong),
        doubtful=tiles(doubts),
        findings=tuple(
            Tile(
                path=catalog.rows[row].name,
                label=catalog.in_words([row])[0],
                thumbnail=tile(in_shape(row, Image.fromarray(pixels[row]))),
                note=note,
            )
            for row, note in findings
            if row in pixels
        ),
        filters=filters,
        filter_facts=facts,
        depths=tuple(
            Depth(layer=plan.cut.name, picture=jpeg(one, most=DEPTH_BYTES), frozen=plan.frozen)
            for plan, one in zip(plans, seen.depths, strict=False)
        ),
        heat_note=seen.note if seen.heats else "",
    )
    return Drawn(gallery, complete=len(pixels) == len(asked))


def draw_first_filters(
    network: FrozenNetwork, classifier: FittedClassifier
) -> tuple[bytes, FilterFacts | None]:
    """Return a PNG of the trained network's first filters, and what is known of them.

    Empty and None where there are none.
    """
    try:
        _, filters = network_filters(network, classifier.leader.kept_tensors())
    except BackboneError:
        return b"", None
    most = _FILTERS
    while True:
        drawn, facts = legible_filters(filters, network.preprocessing.size, most=most)
        written = png(filter_grid(drawn, side=_FILTER_SIDE, background=BETWEEN))
        if len(written) <= FILTER_BYTES or most == 1:
            return written, facts
        most //= 2


def _worth_looking(
    frozen: Frozen, wanted: Sequence[tuple[int, int]], plans: Sequence[DepthPlan], most: int
) -> list[int]:
    """Rows of heat maps, then those that excite deep channels most, then a fair sample."""
    sample = chosen_rows(frozen.catalog.digests, np.arange(len(frozen.catalog)), most).tolist()
    rows = [*(row for row, _ in wanted), *most_informative(plans, most=most), *sample]
    return list(dict.fromkeys(rows))[:most]


def _readable(
    frozen: Frozen, rows: Sequence[int], runtime: Runtime
) -> Iterator[tuple[int, UInt8Array]]:
    """Prepared images of those rows that can still be read; notes name the first of the others."""

    lost: list[str] = []

    def prepared(row: int) -> UInt8Array | None:
        try:
            return frozen.runner.images.preprocessed(frozen.catalog.digests[row])
        except UnreadableImageError as error:
            lost.append(str(error))
            return None

    for row, pixels in zip(rows, frozen.runner.images.map(rows, prepared), strict=True):
        if pixels is not None:
            yield row, pixels
    for said in lost[:_LOST_NAMED]:
        runtime.progress.note(f"Not among the pictures of the report: {said}")
    if len(lost) > _LOST_NAMED:
        runtime.progress.note(
            f"Nor are {len(lost) - _LOST_NAMED:,} others that cannot be read any more."
        )


def _tile(
    problem: Problem,
    told: Told,
    pixels: UInt8Array,
    seen: Seen,
    in_shape: Callable[[Image.Image], Image.Image],
) -> Tile:
    heat = None if told.output is None else seen.heats.get((told.row, told.output))
    return Tile(
        path=problem.catalog.rows[told.row].name,
        label=told.label,
        prediction=told.prediction,
        confidence=told.confidence,
        thumbnail=tile(in_shape(Image.fromarray(pixels))),
        heat=b"" if heat is None else tile(in_shape(draw_heat(pixels, heat, side=len(pixels)))),
        note=told.note,
    )
