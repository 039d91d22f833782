"""The pictures of a report, drawn once for the same classifier and the same images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

import numpy as np

import frostline.backbones
import frostline.compute
import frostline.data
import frostline.explain
from frostline.backbones.fingerprints import fingerprint
from frostline.compute.cache.fits import code_of, content_of, kept
from frostline.compute.cache.locations import key_of
from frostline.compute.cache.store import Arrays
from frostline.compute.passes import FeatureStore
from frostline.core.runtime import Runtime
from frostline.data.audit import Audit
from frostline.data.problem import Problem
from frostline.explain.gallery import Depth, Gallery, Tile
from frostline.explain.make import Drawn, Limits, Subject, make_gallery
from frostline.stats.out_of_fold import OutOfFold

_TEXT, _BYTES = "text", "bytes"
_TILES = ("mistakes", "doubtful", "findings")


def gallery_once(
    problem: Problem,
    store: FeatureStore,
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
    parts = [part for one in judged for part in (one.rows, one.probabilities)]
    catalog = problem.catalog
    key = key_of(
        "gallery",
        subject.origin,
        store.key,
        runtime.numerics_id,
        fingerprint(subject.module),
        content_of(problem.labels, *parts),
        json.dumps(audit.record(catalog).to_json(), sort_keys=True),
        repr(limits),
        *sorted(subject.frozen),
        "",
        *catalog.classes,
        "",
        *(row.name for row in catalog.rows),
        *catalog.digests,
        *(version(library) for library in ("torch", "pillow")),
        code_of(frostline.backbones, frostline.explain, frostline.compute, frostline.data),
    )

    def draw() -> Drawn:
        return make_gallery(problem, store, subject, judged, audit, runtime, limits)

    return kept(key, draw, pack=_arrays, unpack=_drawn).gallery


def _arrays(drawn: Drawn) -> Arrays:
    if not drawn.complete:
        return {}
    pictures: list[bytes] = []

    def told(value: Any) -> Any:
        if isinstance(value, bytes):
            start = sum(map(len, pictures))
            pictures.append(value)
            return {_BYTES: [start, start + len(value)]}
        if isinstance(value, dict):
            return {name: told(part) for name, part in value.items()}
        return [told(part) for part in value] if isinstance(value, list | tuple) else value

    text = json.dumps(told(asdict(drawn.gallery))).encode()
    whole = b"".join(pictures)
    return {_TEXT: np.frombuffer(text, np.uint8), _BYTES: np.frombuffer(whole, np.uint8)}


def _drawn(arrays: Arrays) -> Drawn:
    whole = arrays[_BYTES].tobytes()

    def read(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {_BYTES}:
            start, stop = value[_BYTES]
            return whole[start:stop]
        if isinstance(value, dict):
            return {name: read(part) for name, part in value.items()}
        return [read(part) for part in value] if isinstance(value, list) else value

    told = read(json.loads(arrays[_TEXT].tobytes()))
    if not isinstance(told, dict) or told.keys() != {one.name for one in fields(Gallery)}:
        raise ValueError("no gallery")
    tiles = {name: tuple(Tile(**tile) for tile in told[name]) for name in _TILES}
    depths = tuple(Depth(**depth) for depth in told["depths"])
    return Drawn(Gallery(**tiles, filters=told["filters"], depths=depths), complete=True)
