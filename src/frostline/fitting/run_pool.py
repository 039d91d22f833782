"""A finished run's labelled images and further ones, in the features that its head saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frostline.compute.frozen import Before, Frozen, run_frozen
from frostline.compute.memoized_copies import copies_of
from frostline.core.arrays import BoolArray, IntArray
from frostline.core.errors import InputError, SettingsError
from frostline.core.rng import generator
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog, ImageRow
from frostline.data.duplicates.copies import group_by_key
from frostline.data.duplicates.grouping import union_find
from frostline.data.splitting.sampling import chosen_rows
from frostline.fitting.earlier_run import EarlierRun, pretrained_network, read_run
from frostline.fitting.memory import images_at_once
from frostline.fitting.networks import open_networks
from frostline.model_format.card import ModelCard
from frostline.model_format.model_folder import find_model_folder, load_card
from frostline.run.label_table import Answer
from frostline.stats.gain_forecast import LastDoubling, last_doubling_of
from frostline.stats.pool_head import PoolHead, Rows32, common_rows, fit_pool_head

#: labelled images that the head of a ranking is fitted to, at most
MOST_LABELLED = 3000


@dataclass(frozen=True)
class KnownImage:
    """A labelled image: of the run, or answered since.

    ``tested``: whether it is of the run's test part, which teaches nothing here either.
    """

    row: ImageRow
    digest: str
    label: str
    tested: bool = False


@dataclass(frozen=True)
class LabelledRun:
    """A finished run with its labelled images, some of which were answered since.

    - ``classes``: those of the model, then those that answers added.
    - ``known``: every image of the run once, with the label that holds now, then answered ones.
    """

    earlier: EarlierRun
    classes: tuple[str, ...]
    known: tuple[KnownImage, ...]

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.earlier.path

    @property
    def card(self) -> ModelCard:
        """What its model is."""
        return self.earlier.card


def read_labelled_run(
    path: Path, answers: Iterable[Answer] = (), *, what: str = "This"
) -> LabelledRun:
    """Read which images a run has labels of, with answers that were given since.

    Raises RunFolderError if the folder holds no finished run with a list of its images;
    SettingsError if an image may have several labels, or numbers.

    ``what``: the command, to name it in errors.
    """
    card = load_card(find_model_folder(path))
    if not card.target.exclusive:
        kind = "numbers" if card.target.link_name == "identity" else "several labels an image"
        raise SettingsError(
            f"{what} is for runs of one class or grade an image; {path} predicts {kind}."
        )
    earlier = read_run(path)
    known: dict[str, KnownImage] = {}
    for found in earlier.images.found:
        place = found.origin if isinstance(found.origin, Path) else Path(found.name)
        row = ImageRow(place, found.name, -1, group=found.group)
        digest = earlier.images.digests[found.name]
        tested = earlier.images.parts[found.name] == "test"
        # of copies in several parts the one that taught counts
        if digest not in known or not tested:
            known[digest] = KnownImage(row, digest, found.class_name, tested)
    for answer in answers:
        before = known.get(answer.digest)
        given = Path(answer.path)
        known[answer.digest] = (
            KnownImage(ImageRow(given, answer.path, -1), answer.digest, answer.label)
            if before is None
            else replace(before, label=answer.label)
        )
    added = {one.label for one in known.values()} - set(card.classes)
    return LabelledRun(earlier, (*card.classes, *sorted(added)), tuple(known.values()))


@dataclass(frozen=True)
class RunPool:
    """Features of a run's labelled images and of a pool.

    - ``labelled``: positions in the catalog of images that teach, one of each set of copies.
    - ``labels``, shape (len(labelled),): theirs, as positions in ``run.classes``.
    - ``groups``, shape (len(labelled),): images that are left out together.
    - ``pool``: positions of images that may be chosen, one of each set of copies.
    - ``copies``: positions of other images of the pool that show the same, by the one that stands
      for them.
    - ``in_run``: images of the pool that the run has already; ``near_run``: those that are
      near-duplicates of images of the run.
    """

    run: LabelledRun
    frozen: Frozen
    rows: Rows32
    labelled: IntArray
    labels: IntArray
    groups: IntArray
    pool: IntArray
    copies: dict[int, list[int]]
    in_run: int
    near_run: int

    @property
    def catalog(self) -> Catalog:
        """Labelled images first, then the pool; readable ones only."""
        return self.frozen.catalog

    def head(self) -> PoolHead:
        """Return the head in closed form on all labelled images."""
        known = self.rows[self.labelled]
        return fit_pool_head(known, self.labels, len(self.run.classes), groups=self.groups)


@dataclass(frozen=True)
class FitView:
    """Images as a fit of the labelled ones sees them, which knows no other image.

    ``head``: on the labelled images. ``past``: what their last doubling brought. ``others``: rows
    of other images, in the order in which they were asked for.
    """

    head: PoolHead
    past: LastDoubling
    others: Rows32


def fit_view(opened: RunPool, taught: BoolArray, others: IntArray) -> FitView:
    """Return a head on some of the labelled images, and the rows of other images of the catalog.

    ``taught``, shape (len(opened.labelled),): which teach. ``others``: positions in the catalog.
    """
    features, known = opened.frozen.features, opened.labelled[taught]
    table = features.table(list(features.slices), np.concatenate([known, others]))
    rows = common_rows(table, blocks=list(features.slices.values()), over=np.arange(len(known)))
    labels, groups = opened.labels[taught], opened.groups[taught]
    n_classes = len(opened.run.classes)
    head = fit_pool_head(rows[: len(known)], labels, n_classes, groups=groups)
    rng = generator("halves of the curve", 0)
    past = last_doubling_of(head, labels, n_classes, groups, rng)
    return FitView(head, past, rows[len(known) :])


def open_run_pool(run: LabelledRun, pool: Catalog | None, runtime: Runtime) -> RunPool:
    """Return the features of a run's images and a pool; what the store has is not computed.

    They are those of the pretrained network, frozen, for runs that trained layers too: layers that
    learned these labels would be sure of all of them. Raises InputError if the labelled images are
    neither in the store nor where they were; BackboneError if the network is not here.
    """
    known_digests = {one.digest for one in run.known}
    given = [] if pool is None else list(zip(pool.rows, pool.digests, strict=True))
    new = [(row, digest) for row, digest in given if digest not in known_digests]
    names = _apart([one.row for one in run.known], [row for row, _ in new])
    whole = Catalog(
        source=str(run.path) if pool is None else pool.source,
        classes=run.classes,
        rows=tuple(names),
        digests=(*(one.digest for one in run.known), *(digest for _, digest in new)),
        special=frozenset() if pool is None else pool.special,
    )
    frozen = frozen_of(run.earlier, whole, runtime)
    catalog = frozen.catalog
    place = {digest: at for at, digest in reversed(list(enumerate(catalog.digests)))}
    taught = np.array(
        [place[k.digest] for k in run.known if not k.tested and k.digest in place], dtype=np.int64
    )
    if len(taught) < 2:
        raise InputError(
            f"{len(run.known) - len(taught):,} of the {len(run.known):,} labelled images of "
            f"{run.path} are neither stored nor where they were.",
            hint="Put the images back to where they were when the run was fitted.",
        )
    copies = copies_of(frozen.features, threads=runtime.threads)
    near = union_find(len(catalog), [*group_by_key(enumerate(catalog.digests)), *copies.near])
    together = union_find(
        len(catalog),
        [*_groups(catalog), *group_by_key(enumerate(near)), *copies.altered],
    )
    of_run = np.isin(np.array(catalog.digests), list(known_digests))
    pool_rows = np.flatnonzero(~of_run)
    near_run = np.isin(near[pool_rows], near[of_run])
    stands: dict[int, list[int]] = {}
    first: dict[int, int] = {}
    # by content: names decide nothing
    for at in sorted(pool_rows[~near_run].tolist(), key=lambda row: catalog.digests[row]):
        chief = first.setdefault(int(near[at]), at)
        stands.setdefault(chief, [])
        if chief != at:
            stands[chief].append(at)
    kept = chosen_rows(catalog.digests, _one_of_each(near, taught), MOST_LABELLED)
    label_of = {one.digest: run.classes.index(one.label) for one in run.known}
    return RunPool(
        run=run,
        frozen=frozen,
        rows=_rows(frozen),
        labelled=kept,
        labels=np.array([label_of[catalog.digests[at]] for at in kept], dtype=np.int64),
        groups=together[kept],
        pool=np.array(list(stands), dtype=np.int64),
        copies=stands,
        in_run=len(given) - len(new),
        near_run=int(near_run.sum()),
    )


def _rows(frozen: Frozen) -> Rows32:
    features = frozen.features
    table = features.table(list(features.slices), np.arange(len(frozen.catalog)))
    return common_rows(table, blocks=list(features.slices.values()))


def _one_of_each(near: IntArray, rows: IntArray) -> IntArray:
    _, first = np.unique(near[rows], return_index=True)
    return np.asarray(rows[np.sort(first)], dtype=np.int64)


def _groups(catalog: Catalog) -> list[list[int]]:
    return group_by_key((i, r.group) for i, r in enumerate(catalog.rows) if r.group is not None)


def _apart(known: list[ImageRow], new: list[ImageRow]) -> list[ImageRow]:
    """Give images of both lists names of their own: files of two folders may be called alike."""
    taken = {row.name for row in known}
    return [
        *known,
        *(replace(row, name=str(row.path)) if row.name in taken else row for row in new),
    ]


def frozen_of(
    earlier: EarlierRun, catalog: Catalog, runtime: Runtime, *, before: Before | None = None
) -> Frozen:
    """Return what the pretrained network of a run says of images, read as that run read its own.

    Raises BackboneError if the network is not here.

    ``before``: where the run kept features, if it did.
    """
    preprocessing, own = earlier.card.preprocessing, earlier.settings
    settings = Settings(
        backbone=pretrained_network(earlier),
        weights=own.weights,
        input_size=str(preprocessing.size),
    )
    network = open_networks(settings, None, runtime).networks[0]
    network.read_by(preprocessing.reading)
    network.preprocessing = preprocessing
    at_once = images_at_once(network, len(catalog), runtime)
    return run_frozen(network, catalog, runtime, at_once=at_once, before=before, fittable=False)
