"""Everything that is known before anything is decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from frostline.backbones.frozen_network import FrozenNetwork
from frostline.compute.frozen import Before, Frozen, run_frozen
from frostline.compute.image_loader import room_for_pixels
from frostline.compute.memoized_copies import copies_of
from frostline.compute.set_values import measure_set
from frostline.core.arrays import IntArray
from frostline.core.plan import Plan
from frostline.core.run_record import TrainedBefore
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.core.stopwatch import Stopwatch
from frostline.data.audit import Audit, audit, with_unseen
from frostline.data.catalog import Catalog
from frostline.data.decoding.value_ranges import SetValues
from frostline.data.sources.open_source import Source, open_source
from frostline.data.sources.target_choice import TargetChoice
from frostline.data.splitting.split import Split, make_split
from frostline.data.unseen import find_unseen
from frostline.fitting.assess import TRAINED_FOLDS
from frostline.fitting.comparing import NetworkCandidate, cheapest_first, compare_networks, left_out
from frostline.fitting.inputs import FitInputs
from frostline.fitting.memory import NoRoomError, images_at_once
from frostline.fitting.networks import Opened, open_networks
from frostline.fitting.resizing import settle_resizing
from frostline.fitting.wanted import check_task, problem_of
from frostline.training.layers import redescribe
from frostline.wording.decision import with_given_sentence
from frostline.wording.unseen import unseen_sentences
from frostline.wording.values import values_sentences


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before anything is decided.

    ``command``: what makes the same run again; blank where that is a plain fit of its source.
    ``trained``: what training had reached, where the network has layers that an earlier run
    trained and this one goes on from it.
    """

    inputs: FitInputs
    audit: Audit
    split: Split
    command: str = ""
    trained: TrainedBefore | None = None

    @property
    def catalog(self) -> Catalog:
        """The readable images."""
        return self.inputs.frozen.catalog

    @property
    def refits(self) -> float:
        """How often gradient training would run, in multiples of the training rows."""
        return TRAINED_FOLDS if self.split.method == "cross-validation" else 1.0


def prepare(
    source: Source,
    settings: Settings,
    runtime: Runtime,
    clock: Stopwatch,
    *,
    plan: Plan | None = None,
    hold_out: bool = True,
) -> Prepared:
    """List the images, run the frozen layers, look for what is wrong, and divide.

    A ``plan`` is to be carried out instead of deciding; without ``hold_out`` every image is learned
    from.
    """
    with clock.phase("listing images"):
        catalog = open_source(
            source,
            group_by=settings.groups,
            folders=settings.part_folders,
            choice=TargetChoice(settings.task, settings.target, settings.label_separator),
            runtime=runtime,
        )

    def divide(catalog: Catalog, groups: IntArray) -> Split:
        if not hold_out:
            return Split.everything(len(catalog))
        return make_split(catalog, groups, test_size=settings.test_size, seed=settings.seed)

    return prepare_catalog(
        catalog, settings, runtime, clock, plan=plan, divide=divide, hold_out=hold_out
    )


def prepare_catalog(
    catalog: Catalog,
    settings: Settings,
    runtime: Runtime,
    clock: Stopwatch,
    *,
    divide: Callable[[Catalog, IntArray], Split],
    plan: Plan | None = None,
    hold_out: bool = True,
    before: Before | None = None,
) -> Prepared:
    """Run the frozen layers over images that are listed, look for what is wrong, and divide.

    A network runs over all images before they are divided: which are alike, so that they must stay
    together, shows in its features.

    ``divide``: which of the readable images teach and which judge, given their groups. ``plan`` and
    ``hold_out``: as for :func:`prepare`. ``before``: of an earlier run that is gone on from.
    """
    # before anything is computed
    check_task(settings, catalog)
    with clock.phase("loading the network"):
        opened = _usable_networks(settings, plan, runtime)
        networks = cheapest_first(opened.networks)
    with clock.phase("listing images"):
        kept = None if before is None else before.kept
        values = _rules_of_reading(catalog, networks, runtime, kept)
    room = room_for_pixels(trains=settings.may_train)
    with clock.phase("frozen features"):
        candidates, without = _with_room(networks, len(catalog), runtime)
        resizings = [
            settle_resizing(
                candidate.network, catalog, settings, runtime, plan=plan, hold_out=hold_out
            )
            for candidate in candidates
        ]
    for attempt in count():
        with clock.phase("frozen features"):
            for candidate, resizing in zip(candidates, resizings, strict=True):
                candidate.network.preprocessing = resizing.preprocessing
            # which images are alike shows in the features of any network
            frozen = run_frozen(
                candidates[0].network,
                catalog,
                runtime,
                preprocessed_bytes=room,
                at_once=candidates[0].at_once,
                before=before,
            )
            frozen.report.add(resizings[0].report)
        with clock.phase("audit"):
            found, split = _audited(frozen, values, settings, runtime, divide)
        # near-duplicates are known only now: images that were looked at may belong together, or
        # to the test
        digests = frozen.catalog.digests
        learned = {digests[row]: int(found.groups[row]) for row in split.train}
        passed = [one.mode for one in resizings]
        resizings = [one.again(learned, threads=runtime.threads) for one in resizings]
        if attempt:
            # what wavers is left to the weights
            resizings = [
                one if one.mode == mode else one.as_own()
                for one, mode in zip(resizings, passed, strict=True)
            ]
        if passed == [one.mode for one in resizings]:
            break
    problem = problem_of(frozen.catalog, found.groups, settings)
    compared = left_out([*opened.left_out, *without])
    if len(candidates) > 1:
        with clock.phase("comparing networks"):
            frozen, scored = compare_networks(
                problem, frozen, candidates[1:], split.train, runtime, preprocessed_bytes=room
            )
            compared = [*scored, *compared]
    resizing = next(
        one
        for candidate, one in zip(candidates, resizings, strict=True)
        if candidate.network is frozen.network
    )
    if resizing is not resizings[0]:
        frozen.report.add(resizing.report)
    resizes = resizing.results(frozen.features.facts.sizes)
    unseen = find_unseen(frozen.catalog, frozen.features.facts, frozen.network.preprocessing)
    for sentence in unseen_sentences(unseen):
        runtime.progress.note(sentence)
    found = with_unseen(found, unseen)
    carried_out = None
    if plan is not None:
        # a plan may have been decided for another metric than this run serves
        settled = plan.model_copy(
            update={
                "resize": resizing.mode,
                "resizes": list(resizes),
                "metric": problem.metric.name,
            }
        )
        carried_out = with_given_sentence(redescribe(settled, frozen.network))
    inputs = FitInputs(
        problem=problem,
        frozen=frozen,
        settings=settings,
        plan=carried_out,
        networks=tuple(compared),
        resizes=resizes,
    )
    return Prepared(inputs, found, split)


def _audited(
    frozen: Frozen,
    values: SetValues,
    settings: Settings,
    runtime: Runtime,
    divide: Callable[[Catalog, IntArray], Split],
) -> tuple[Audit, Split]:
    """Look for what is wrong with the images, and divide them."""
    copies = None
    if settings.group_near_duplicates:
        copies = copies_of(frozen.features, threads=runtime.threads)
    found = audit(frozen.catalog, copies, values=values)
    return found, divide(frozen.catalog, found.groups)


def _with_room(
    networks: Sequence[FrozenNetwork], n_images: int, runtime: Runtime
) -> tuple[list[NetworkCandidate], list[tuple[str, int, str]]]:
    """Keep the networks that memory has room for; name the others. One alone must fit.

    Raises NoRoomError if none fits.
    """
    candidates: list[NetworkCandidate] = []
    without: list[tuple[str, int, str]] = []
    for network in networks:
        try:
            candidates.append(NetworkCandidate(network, images_at_once(network, n_images, runtime)))
        except NoRoomError as error:
            if len(networks) == len(without) + 1:
                raise
            without.append((network.name, network.preprocessing.size, str(error)))
            runtime.progress.note(f"Left out: {error}")
    return candidates, without


def _usable_networks(settings: Settings, plan: Plan | None, runtime: Runtime) -> Opened:
    """Load the networks; refuse, before anything is computed, what could not be carried out."""
    opened = open_networks(settings, plan, runtime)
    for network in opened.networks:
        if settings.cut is not None:
            network.cut(settings.cut)
        for note in network.notes:
            runtime.progress.note(note)
        if network.graph_without_weights() is None:
            # it may have an operation that ONNX lacks
            from frostline.backbones.trainable import trainable
            from frostline.exporting.pytorch.writable import check_writable

            check_writable(trainable(network), cut=settings.cut)
    return opened


def _rules_of_reading(
    catalog: Catalog, networks: Sequence[FrozenNetwork], runtime: Runtime, kept: Path | None
) -> SetValues:
    """Measure values that a network cannot take as they are; let all read them by one rule."""
    values = measure_set(catalog, runtime, kept=kept)
    for network in networks:
        network.read_by(values.rules)
    for sentence in values_sentences(values):
        runtime.progress.note(sentence)
    return values
