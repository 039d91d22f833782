"""Go on from a finished run: with more images and classes, other labels, without some images."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Unpack

import numpy as np

from frostline.comparing.comparison import Comparison
from frostline.compute.cache.purge import Purged
from frostline.compute.cache.purge import purge as purge_store
from frostline.compute.frozen import Before
from frostline.compute.torch_context import torch_context
from frostline.core.arrays import IntArray
from frostline.core.cancel import CancelToken
from frostline.core.errors import InputError, RunFolderError, SettingsError
from frostline.core.plan import Plan
from frostline.core.progress import Progress
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.core.stopwatch import Stopwatch
from frostline.data.catalog import Catalog
from frostline.data.naming import counted
from frostline.data.sources.open_source import source_identity
from frostline.data.sources.open_union import Changes, ChangesDict, Union, open_union
from frostline.data.sources.target_choice import TargetChoice
from frostline.data.splitting.grown import grown_split
from frostline.data.splitting.split import Split, make_split
from frostline.fitting.earlier_run import EarlierRun, pretrained_network, read_run
from frostline.fitting.pipeline import fit_prepared, identity_of, runtime_of
from frostline.fitting.prepare import prepare_catalog
from frostline.fitting.refit import trained_before
from frostline.fitting.run_result import RunResult
from frostline.run.replacement import check_room, finish_replacement, next_folder
from frostline.run.run_folder import FEATURES, RunFolder
from frostline.updating.ratchet import replace_if_no_worse


@dataclass(frozen=True)
class Updated:
    """A run that went on from another one.

    Attributes
    ----------
    result : RunResult
    added, removed, relabelled, already : int
        Images that came, went and have another label; how many of the added ones the run had.
    new_classes : tuple of str
        Classes, labels or columns that the earlier run did not know.
    before : float or None
        The score that stands for all of the earlier run (``HeldOutScores.headline``).
    comparison : Comparison or None
        Of an update in place: both runs on the images that both judged, on which the choice rests.
    replaced : bool
        Whether the new run took the place of the other one. Where it did not, both are kept.
    purged : Purged or None
        What left the store of features, where removed images were to leave it, too.
    """

    result: RunResult
    added: int
    removed: int
    relabelled: int
    already: int
    new_classes: tuple[str, ...]
    before: float | None
    comparison: Comparison | None = None
    replaced: bool = False
    purged: Purged | None = None


def update(
    run: str | Path,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    no_worse_than: float | None = None,
    purge: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    **changes: Unpack[ChangesDict],
) -> Updated:
    """Go on from a finished run with more images and classes, corrected labels, or fewer images.

    The result equals a fit of all these images, given as a table with the parts that they have
    here: heads on frozen features are solved anew, exactly, from stored features, so no order of
    arrival matters. Images of the run keep their part. New ones take that which their source
    gives; else a new image joins the part of its near-duplicates or group, and new groups are held
    out by the rule of :func:`frostline.fit`. A run that was judged by cross-validation stays so. A
    run that trained layers keeps them, and gets a new head in closed form on its own features.

    Images of the run are read from the store of features, or from the run folder if the run was
    fitted with ``keep_features``, so they may be gone.

    Parameters
    ----------
    run : str or Path
        Folder of a finished run; it stays as it is.
    output : str, Path or None, default=None
        The new run folder. An unfinished update with the same changes is resumed. None puts the new
        run in place of the other one, which is then called ``RUN.previous`` and stays until the
        next time; but only if :func:`frostline.compare` does not find it worse on the images that
        both judged: overall, for a class or label, or for a slice. Otherwise it stays beside the
        run, as ``RUN.update``.
    overwrite : bool, default=False
        Replace an earlier run in ``output``.
    no_worse_than : float or None, default=None
        For an update in place, in points: the new run takes the place only if it is shown, with
        95 % confidence, to be worse by no more than that. None asks for no such proof.
    purge : bool, default=False
        Whatever the store of features holds of removed images goes too, for every network; other
        runs that have these images would compute it again. So do all kept results of whole runs,
        as these do not tell which images they rest on.
    progress, cancel
        As for :func:`frostline.fit`.
    add : path, DataFrame, dataset, (images, labels), dict or None, default=None
        More labelled images, as :func:`frostline.fit` takes them; classes may be new.
    remove : tuple of str, default=()
        Images that go: by the name that ``catalog.csv`` of the run has, a folder of such names, a
        class, or a file (or folder of files) with their content.
    relabel : path, DataFrame or None, default=None
        A table of images of the run with what is true of them.
    resplit : bool, default=False
        Divide all images anew, by the rule of :func:`frostline.fit`.

    Returns
    -------
    Updated

    Raises
    ------
    FrostlineError
        For anything wrong with the run, the changes, or the folder.
    """
    clock = Stopwatch()
    if no_worse_than is not None and output is not None:
        raise SettingsError(
            "no_worse_than says when a new run takes the place of another, but it has its own.",
            hint="Leave the new folder out, or compare both with frostline.compare.",
        )
    asked = Changes(**changes)
    if asked == Changes():
        raise SettingsError(
            "Nothing is to change.", hint="Give images to add, remove or relabel, or resplit."
        )
    if purge and not asked.remove:
        raise SettingsError(
            "Nothing is to be removed, so there is nothing to purge.",
            hint="Name the images that are to go with --remove.",
        )
    place = Path(run)
    if output is None:
        finish_replacement(place)
        check_room(place)
    earlier = read_run(place)
    target = next_folder(place) if output is None else Path(output)
    if target.resolve() == place.resolve():
        raise RunFolderError(f"{output} is the run itself.", hint="Give another folder with -o.")
    settings = _settings(earlier)
    runtime = runtime_of(settings, progress, cancel)
    identity = {
        **identity_of(earlier.images.source, settings, None),
        "update_of": earlier.fingerprint,
        "add": None if asked.add is None else source_identity(asked.add),
        # what is to be forgotten is not kept by name
        "remove": sha256("\n".join(sorted(asked.remove)).encode()).hexdigest(),
        "relabel": None if asked.relabel is None else source_identity(asked.relabel),
        "resplit": asked.resplit,
    }
    with (
        torch_context(runtime),
        RunFolder.open(target, settings=identity, overwrite=overwrite or output is None) as folder,
    ):
        with clock.phase("listing images"):
            union = _union(earlier, asked, settings, runtime)
        folder.called = place if output is None else target
        gone = _gone(union)
        action = earlier.plan.action
        if gone and (not action.closed_form or action.adapts_statistics):
            why = "adapted statistics" if action.closed_form else "trained layers"
            raise InputError(
                f"{counted(gone, 'image')} of the run cannot be read any more, and its {why} have "
                "to see them again.",
                hint="Put them back to their place, or name them to be removed.",
            )
        prepared = prepare_catalog(
            union.catalog,
            settings,
            runtime,
            clock,
            # without its images nothing new can be measured of how far they lie
            plan=_without_evidence(earlier.plan) if gone else None,
            divide=_divide(earlier, union, settings, resplit=asked.resplit),
            before=_before(earlier, union),
        )
        # before anything is finished: the same command goes on with what a killed one left
        purged = purge_store(_removed(earlier, union)) if purge else None
        command = _command(earlier, output, asked, purge=purge)
        prepared = replace(prepared, command=command, trained=trained_before(earlier.record))
        result = fit_prepared(folder, prepared, runtime, clock)
    comparison, replaced = None, False
    if output is None:
        comparison, replaced = replace_if_no_worse(place, no_worse_than, runtime)
        result = replace(result, folder=place if replaced else target)
    before = earlier.images.classes
    return Updated(
        result,
        union.added,
        union.removed,
        union.relabelled,
        union.already,
        tuple(name for name in result.classes if name not in before),
        earlier.record.metrics.test.headline.value,
        comparison,
        replaced,
        purged,
    )


def _settings(earlier: EarlierRun) -> Settings:
    """Return the settings of the run, for a head in closed form and nothing that was settled."""
    own, plan = earlier.settings, earlier.plan
    strategy = own.strategy if own.strategy == "auto" else "head"
    settled = replace(own, strategy=strategy, effort="fast", budget=None, cut=None)
    size = own.input_size if plan.input_size is None else str(plan.input_size)
    resize = plan.resize or own.resize
    if plan.action.closed_form:
        named = pretrained_network(earlier)
        return replace(settled, backbone=named, input_size=size, resize=resize)
    # layers that were trained are a network like any other
    return replace(
        settled,
        backbone=str(earlier.path.resolve()),
        weights=None,
        input_size="auto",
        resize=resize,
    )


def _without_evidence(plan: Plan) -> Plan:
    """Return a plan to carry out; what it rested on is true of the images of then."""
    of_then = {"evidence": None, "answering": None, "runner_up": None}
    lists: dict[str, list[object]] = {
        name: [] for name in ("candidates", "explanation", "networks", "reasons")
    }
    return plan.model_copy(update={**of_then, **lists})


def _union(earlier: EarlierRun, changes: Changes, settings: Settings, runtime: Runtime) -> Union:
    choice = TargetChoice(earlier.images.task, settings.target, settings.label_separator)
    union = open_union(
        earlier.images, changes, group_by=settings.groups, choice=choice, runtime=runtime
    )
    if not (changes.resplit or union.added or union.removed or union.relabelled):
        raise InputError(
            f"Nothing changes: all {counted(union.already, 'image')} are in the run already, under "
            "the same labels."
            if union.already
            else "Nothing changes: every label is as the run has it."
        )
    return union


def _gone(union: Union) -> int:
    """Count the images of the run that are no files any more."""
    known = np.flatnonzero(union.known).tolist()
    return sum(not union.catalog.rows[i].is_there for i in known)


def _before(earlier: EarlierRun, union: Union) -> Before:
    """Return what may not be left out, and where the run kept features of it."""
    digests = union.catalog.digests
    needed = {digest for digest, own in zip(digests, union.known, strict=True) if own}
    kept = earlier.path / FEATURES
    return Before(needed, kept if kept.is_dir() else None)


def _removed(earlier: EarlierRun, union: Union) -> set[str]:
    """Return the digests of images that go, but of none that stays under another name."""
    return set(earlier.images.digests.values()) - set(union.catalog.digests)


def _divide(
    earlier: EarlierRun, union: Union, settings: Settings, *, resplit: bool
) -> Callable[[Catalog, IntArray], Split]:
    """Return what divides the readable images."""
    rows = union.catalog.rows
    names = {row.name for row, own in zip(rows, union.known.tolist(), strict=True) if own}
    parts = {name: part for name, part in earlier.images.parts.items() if name in names}

    def divide(catalog: Catalog, groups: IntArray) -> Split:
        if resplit:
            return make_split(catalog, groups, test_size=settings.test_size, seed=settings.seed)
        return grown_split(
            catalog,
            groups,
            known=parts,
            before=earlier.record.metrics.test.method,
            test_size=settings.test_size,
            seed=settings.seed,
        )

    return divide


def _command(
    earlier: EarlierRun, output: str | Path | None, changes: Changes, *, purge: bool
) -> str:
    """Return the command line that does the same; what is to be forgotten is not named."""
    words = ["frostline", "update", str(earlier.path)]
    for option, given in (("--add", changes.add), ("--relabel", changes.relabel)):
        if given is not None:
            words += [option, str(given) if isinstance(given, str | Path) else "SOURCE"]
    words += ["--remove", "IMAGE"] * len(changes.remove)
    words += ["--purge"] if purge else []
    words += ["--resplit"] if changes.resplit else []
    words += ["--in-place"] if output is None else ["-o", str(output)]
    return shlex.join(words)
