"""Is what comes in now still what a model learned from? Watch a source in its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from frostline._version import __version__
from frostline.core.arrays import FloatArray
from frostline.core.audit_record import UnreadableImage
from frostline.core.cancel import CancelToken
from frostline.core.errors import InputError, SettingsError, UnreadableImageError
from frostline.core.machine import available_cores
from frostline.core.preprocessing import UInt8Array
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.core.watch_record import (
    Alarm,
    DepthDrift,
    DriftOnset,
    EvidencePoint,
    OutputDrift,
    UnknownShare,
    WatchRecord,
)
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.decoding.read_ahead import read_in_order
from frostline.data.naming import encodable, visible
from frostline.data.sources.unlabelled import Pool, open_unlabelled
from frostline.model.model import Model
from frostline.model.watched_model import WatchedModel, open_drift_card
from frostline.model_format.drift_file import DriftCard
from frostline.run.manifest import read_rows
from frostline.stats.drift_watch import DriftWatch, WatchState
from frostline.stats.intervals import wilson
from frostline.stats.output_drift import (
    OutputChange,
    class_changes,
    label_changes,
    number_changes,
)
from frostline.watching.watched import Watched
from frostline.wording.progress import worded

#: chance of ever raising a false alarm
FALSE_ALARMS = 0.01
_BATCH = 16
#: points of the course that is kept
_MOST_POINTS = 200
#: images before and behind an alarm that locate a change which is over
_AROUND = 30
_LEVEL = 0.05
Taps = list[npt.NDArray[np.float32]]


def watch(
    run: str | Path | Model,
    source: Pool,
    *,
    false_alarms: float = FALSE_ALARMS,
    max_pixels: int = Settings.max_pixels,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Watched:
    """Compare what comes in with what a model learned from, and say when it is something else.

    Every image passes through the network once. At five depths its pooled activations are compared
    with those of training images, in the order of arrival; an alarm is raised when the evidence
    that these images are not like the others passes what a stream without any change ever reaches
    with a chance of ``false_alarms``
    (:class:`frostline.stats.conformal_martingale.ConformalMartingale`). Of copies of one image, and
    of images of one group, the first is counted. Images that the model was trained on are left out.

    Parameters
    ----------
    run : str, Path or Model
        A run folder or model folder.
    source : path or list of paths
        A folder of images (in the order of names; in an order as good as random where folders lie
        in it, since these say nothing about what came first), a table with a column ``path`` (in
        the order of rows; perhaps with a column ``group``), an image, or several paths. Labels are
        not looked at.
    false_alarms : float in (0, 1), default=0.01
        Chance that a source like the training images ever raises an alarm, however long it is.
    max_pixels : int, default=100_000_000
        Larger images count as unreadable.
    progress : Progress or None, default=None
    cancel : CancelToken or None, default=None
        Ends the work early, from another thread.

    Returns
    -------
    Watched

    Raises
    ------
    RunFolderError
        If there is no finished model, or it was made before models told what a watch needs.
    InputError
        If the source does not exist, or no image of it can be read.
    SettingsError
        If ``false_alarms`` is out of range.

    Examples
    --------
    >>> found = frostline.watch("run", "incoming/")  # doctest: +SKIP
    >>> found.alarmed, found.record.onset.kind  # doctest: +SKIP
    (True, 'early')
    """
    if not 0.0 < false_alarms < 1.0:
        raise SettingsError(f"false_alarms must lie between 0 and 1, not {false_alarms}.")
    runtime = Runtime(progress=worded(progress), cancel=cancel or CancelToken())
    model = run if isinstance(run, Model) else Model.load(run, max_pixels=max_pixels)
    card = open_drift_card(model)
    watched = WatchedModel(model, card.facts.depths, threads=available_cores())
    catalog = open_unlabelled(source, model.classes, task=model.card.task, runtime=runtime)
    seen = _Seen(DriftWatch(card.reference, false_alarms=false_alarms))
    mixed = _is_by_folder(source, catalog)
    order = _mixed(catalog) if mixed else list(range(len(catalog)))
    known = {row.digest for row in read_rows(model.folder.parent) or () if row.part == "train"}
    order = [place for place in order if catalog.digests[place] not in known]
    if not order:
        raise InputError(
            f"The model was trained on every image of {catalog.source}.",
            hint="Give images that came later.",
        )
    for row, counts, found in _images(watched, catalog, order, runtime):
        if isinstance(found, UnreadableImageError):
            seen.unreadable.append(UnreadableImage(path=row.name, reason=found.reason))
        else:
            seen.take(row, counts, *found)
    if not seen.images:
        first = seen.unreadable[0]
        raise InputError(f"No readable image in {catalog.source}: {first.path}: {first.reason}.")
    name = visible(encodable(str(model.folder if isinstance(run, Model) else run)))
    record = _record(name, model, card, catalog, seen)
    return Watched(
        record.model_copy(update={"mixed": mixed, "trained_on": len(catalog) - len(order)})
    )


def _is_by_folder(source: Pool, catalog: Catalog) -> bool:
    """Whether images come from a folder with others in it, often one for each class."""
    is_folder = isinstance(source, str | Path) and Path(source).is_dir()
    return is_folder and len({PurePath(row.name).parent for row in catalog.rows}) > 1


def _mixed(catalog: Catalog) -> list[int]:
    """Return the places of all images in the order of what they show, as good as random."""
    return sorted(range(len(catalog)), key=lambda place: catalog.digests[place])


@dataclass
class _Seen:
    """What was seen of a source so far."""

    watch: DriftWatch
    images: int = 0
    alarm: Alarm | None = None
    around: WatchState | None = None
    course: list[EvidencePoint] = field(default_factory=list)
    rows: list[FloatArray] = field(default_factory=list)
    unknown: list[bool] = field(default_factory=list)
    unreadable: list[UnreadableImage] = field(default_factory=list)

    def take(
        self, row: ImageRow, counts: bool, answer: FloatArray, score: float | None, taps: Taps
    ) -> None:
        """Take an image with what the model says of it; copies only as one more image."""
        self.images += 1
        if not counts:
            return
        self.rows.append(answer)
        if score is not None:
            self.unknown.append(score > 1.0)
        if self.watch.see(taps):
            self.alarm = Alarm(image=self.watch.images, path=row.name)
        self.course.append(EvidencePoint(images=self.watch.images, evidence=self.watch.evidence))
        if self.alarm is not None and self.watch.images == self.alarm.image + _AROUND:
            self.around = self.watch.state(last=2 * _AROUND)


def _images(
    watched: WatchedModel, catalog: Catalog, order: Sequence[int], runtime: Runtime
) -> Iterator[tuple[ImageRow, bool, tuple[FloatArray, float | None, Taps] | UnreadableImageError]]:
    """Yield every image in order, whether it counts, and what the model gives."""
    model, known = watched.model, set[str]()
    rows = [catalog.rows[place] for place in order]
    digests = [catalog.digests[place] for place in order]

    def load(row: ImageRow) -> UInt8Array:
        origin = row.origin
        return model.prepare(origin, name=row.name)

    with runtime.progress.task("classifying", len(rows)) as bar:
        waiting: list[tuple[ImageRow, str, UInt8Array | UnreadableImageError]] = []
        loaded = read_in_order(rows, load, workers=min(available_cores(), 8))
        for place, (row, digest, image) in enumerate(zip(rows, digests, loaded, strict=True)):
            waiting.append((row, digest, image))
            if len(waiting) < _BATCH and place + 1 < len(rows):
                continue
            readable = [one for _, _, one in waiting if isinstance(one, np.ndarray)]
            given = watched.answer_prepared(readable).each() if readable else iter(())
            for own, content, one in waiting:
                bar.advance()
                if isinstance(one, UnreadableImageError):
                    yield own, False, one
                    continue
                unit = content if own.group is None else f"group {own.group}"
                counts = not {unit, content} & known
                known |= {unit, content}
                yield own, counts, next(given)
            waiting = []
            runtime.cancel.check()


def _record(name: str, model: Model, card: DriftCard, catalog: Catalog, seen: _Seen) -> WatchRecord:
    state, facts = seen.watch.state(), card.facts
    if state.onset.kind == "none" and seen.around is not None:
        state = seen.around
    depth = None if state.onset.depth is None else facts.depths[state.onset.depth].name
    unreadable = [UnreadableImage(path=one.path, reason=one.reason) for one in catalog.unreadable]
    return WatchRecord(
        name=name,
        source=catalog.source,
        task=model.card.task,
        images=seen.images,
        counted=seen.watch.images,
        false_alarms=seen.watch.false_alarms,
        alarm=seen.alarm,
        evidence=state.evidence,
        needed=state.needed,
        course=_thinned(seen.course),
        depths=tuple(
            DepthDrift(
                name=own.name,
                depth=own.depth,
                distance=one.distance,
                by_chance=one.by_chance,
                p_value=one.p_value,
                p_adjusted=one.p_adjusted,
            )
            for own, one in zip(facts.depths, state.depths, strict=True)
        ),
        onset=DriftOnset(kind=state.onset.kind, depth=depth),
        located_by=state.recent,
        outputs=tuple(_outputs(model, card, np.stack(seen.rows))),
        unknown=_unknown(seen.unknown),
        n_fitted=facts.n_fitted,
        n_left_out=facts.n_left_out,
        left_out=facts.left_out,
        unreadable=(*unreadable, *seen.unreadable),
        version=__version__,
    )


def _thinned(course: Sequence[EvidencePoint]) -> tuple[EvidencePoint, ...]:
    """Keep some points, the last of them always."""
    places = np.unique(np.linspace(0, len(course) - 1, min(_MOST_POINTS, len(course))).round())
    return tuple(course[int(place)] for place in places)


def _outputs(model: Model, card: DriftCard, rows: FloatArray) -> Iterator[OutputDrift]:
    """Compare shares of classes and labels, or means of numbers, with those of training."""
    trained = np.array([one.mean for one in card.facts.outputs])
    if len(trained) != rows.shape[1]:
        return
    n = card.facts.n_train
    target = model.card.target
    changes: list[OutputChange]
    if target.link_name == "identity":
        spreads = np.array([one.spread for one in card.facts.outputs])
        changes = number_changes(rows, trained, spreads, n)
    elif target.exclusive:
        shares = model.card.shares
        calibrated = np.array(shares) if shares else None
        changes = class_changes(rows, trained, n, calibrated=calibrated)
    else:
        changes = label_changes(rows, trained, n)
    for name, one in zip(model.classes, changes, strict=True):
        moved = "more" if one.now > one.trained else "less"
        yield OutputDrift(
            name=name,
            trained=one.trained,
            now=one.now,
            interval=one.interval,
            p_adjusted=one.p_adjusted,
            verdict=moved if one.p_adjusted < _LEVEL else "as before",
        )


def _unknown(found: Sequence[bool]) -> UnknownShare | None:
    if not found:
        return None
    share = sum(found) / len(found)
    return UnknownShare(share=share, interval=wilson(sum(found), len(found)))
