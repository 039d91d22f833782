"""One cell of the study: a set, a size, a seed; every option trained in full and in the race."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter

from benchmarks.decision import glyph_network
from benchmarks.decision.glyphs import generator
from benchmarks.decision.sets import Places, TargetSet, table_of
from benchmarks.decision.study_sets import EVERY_SET
from frostline.backbones.network import Network
from frostline.compute.frozen import run_frozen
from frostline.core.actions import Action, TapsHead
from frostline.core.files import write_text
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.audit import audit
from frostline.data.duplicates.copies import find_copies
from frostline.data.problem import Problem
from frostline.data.sources.open_source import open_source
from frostline.data.splitting.stratified import stratified_holdout
from frostline.fitting.decide import gather, make_context
from frostline.fitting.inputs import FitInputs
from frostline.fitting.train import judge_by
from frostline.strategy.blending import FEW_IMAGES
from frostline.strategy.candidates.adapters import NAME as ADAPTERS
from frostline.strategy.candidates.finetune_all import GENTLY
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.decide import every_option
from frostline.strategy.race import FOLDS, share_of, shortened
from frostline.training.train import train

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

_ACTION: TypeAdapter[Action] = TypeAdapter(Action)

SIZES = ("5", "20", "all")
#: shows what transfer gave; never in the race
REFERENCE = "train from scratch"
#: on all images only the first seed trains these: they never won
RARE = ("train the norm layers", GENTLY, ADAPTERS)
#: a rival's default, recorded once with its schedule in a loop of ours; never in the race either
FASTAI = "fastai fine_tune"
#: real photographs are seen at this size, as the study would take a week at 224
LITE0_SIZE = 128
#: what every option may plan for, in nominal time
BUDGET = "5m"
#: share of the epochs of a heat, which an earlier rule looked at first
_HEAT = 0.25
#: of small sets this share judges
_MOST_TESTED = 0.6
#: a class drawn by its share has at least so many images
_FEWEST = 3


@dataclass(frozen=True)
class Cell:
    """Names one cell; ``pixels`` is the input size of real photographs."""

    target: str
    size: str
    seed: int
    pixels: int = LITE0_SIZE

    @property
    def key(self) -> str:
        """Name of its file."""
        return f"{self.target}-{self.size}-{self.seed}"


@cache
def network_of(name: str, work: Path, pixels: int = LITE0_SIZE) -> Network:
    """Load a network of the study."""
    if name == "glyphs":
        return glyph_network.load(work / "glyphs.safetensors")
    return Network.load("efficientnet_lite0").at_size(pixels)


def runtime() -> Runtime:
    """How the study computes."""
    return Runtime(threads=torch.get_num_threads(), workers=1)


def seeded(task: FitInputs, seed: int, **settings: Any) -> FitInputs:
    """Return the same task with another seed."""
    changed = replace(task.settings, seed=seed, **settings)
    return replace(task, problem=replace(task.problem, seed=seed), settings=changed)


@lru_cache(maxsize=2)
def prepared(
    target: TargetSet, places: Places, pixels: int = LITE0_SIZE
) -> tuple[FitInputs, IntArray, IntArray]:
    """Return the task of a set, the rows that may teach and those that judge."""
    catalog = open_source(table_of(target, places), group_by=None)
    store = run_frozen(network_of(target.network, places.work, pixels), catalog, runtime())
    real = target.network == "lite0"
    groups = audit(
        store.catalog,
        find_copies(store.catalog.digests, store.features.thumbnails) if real else None,
    ).groups
    labels = store.catalog.labels
    problem = Problem.of(store.catalog, groups=groups)
    task = FitInputs(problem, store, Settings(budget=BUDGET))
    pool, test = stratified_holdout(
        labels,
        groups,
        list(store.catalog.digests),
        fraction=min(target.test / len(labels), _MOST_TESTED),
        seed=0,
    )
    return task, pool, test


def training_rows(task: FitInputs, pool: IntArray, cell: Cell) -> IntArray:
    """Draw the training images of a cell from those that may teach."""
    labels, n_classes = task.problem.labels[pool], task.problem.target.n_outputs
    largest = EVERY_SET[cell.target].largest
    if cell.size == "all" and largest >= len(pool):
        return pool
    rng = generator(cell.target, cell.size, cell.seed)
    order = rng.permutation(len(pool))
    if cell.size == "all":
        return np.sort(pool[order[:largest]])
    counts = np.full(n_classes, int(cell.size))
    if EVERY_SET[cell.target].natural:
        # the test part has the shares that the world has, so what teaches must have them, too
        shares = np.bincount(labels, minlength=n_classes) / len(labels)
        counts = np.maximum(np.round(shares * counts.sum()).astype(int), _FEWEST)
    chosen = [order[labels[order] == c][: counts[c]] for c in range(n_classes)]
    return np.sort(pool[np.concatenate(chosen)])


def _never() -> bool:
    return False


def _every(proposal: Proposal) -> bool:
    del proposal
    return True


@dataclass(frozen=True)
class Recording:
    """What is recorded of a cell.

    ``takes`` says of every option whether it is trained; ``raced`` whether also on folds, as in a
    race. ``stop`` is asked before each of them. With ``everything`` the probabilities of all sizes
    and folds are kept, and the groups of the training images.
    """

    takes: Callable[[Proposal], bool] = _every
    raced: bool = True
    stop: Callable[[], bool] = _never
    everything: bool = False


def run_cell(cell: Cell, places: Places, results: Path, recording: Recording | None = None) -> None:
    """Do what is missing of a cell; write after every option, so nothing is lost."""
    recording = recording or Recording()
    path = results / f"{cell.key}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    base, pool, test = prepared(EVERY_SET[cell.target], places, cell.pixels)
    task = seeded(base, cell.seed)
    rows = training_rows(task, pool, cell)
    evidence = gather(task, rows, runtime())
    context = make_context(task, evidence, runtime(), refits=1.0)
    found.setdefault("cell", [cell.target, cell.size, cell.seed])
    found["n_train"], found["n_test"] = len(rows), len(test)
    found["network"] = EVERY_SET[cell.target].network
    found["kind"] = EVERY_SET[cell.target].kind
    found["evidence"] = json.loads(evidence.summary.model_dump_json())
    found["flip"] = context.flip
    right = {tap: np.asarray(one, dtype=np.bool_) for tap, one in evidence.correct.items()}
    found["loo"] = {tap: _packed(one) for tap, one in right.items()}
    options = found.setdefault("options", {})
    folds = task.problem.folds(rows, FOLDS)
    kept = recording.everything or len(rows) < FEW_IMAGES
    guessed = Guesses(results / f"{cell.key}.npz", task.problem.labels[test], kept=kept)
    if recording.everything:
        found["groups"] = np.unique(task.problem.groups[rows], return_inverse=True)[1].tolist()
        found["folds"] = [judge.tolist() for _, judge in folds]
    proposals = every_option(context)
    # what was proposed on other evidence is no option any more
    for name in set(options) - {p.name for p in proposals} - {FASTAI}:
        del options[name]
    proposals = [one for one in proposals if recording.takes(one)]
    found["wanted"] = [one.name for one in proposals]
    for proposal in proposals:
        if recording.stop():
            return
        if proposal.name in RARE and cell.size == "all" and cell.seed:
            continue
        entry = options.setdefault(proposal.name, {})
        if not _is_same(entry, proposal.action):
            entry.clear()
            entry["action"] = json.loads(proposal.action.model_dump_json())
            entry["strategy"] = proposal.strategy
            entry["nominal"] = round(proposal.seconds, 2)
        if "right" not in entry or guessed.lacks(proposal.name):
            found_now = _scored(task, proposal.action, rows, test, guessed.keep(proposal.name))
            entry.update(right=found_now["right"], cpu=found_now["cpu"], wall=found_now["wall"])
        if recording.raced and proposal.name != REFERENCE and not _is_raced(entry):
            parts = [(rows[learn], rows[judge]) for learn, judge in folds]
            if len(rows) >= FEW_IMAGES:
                parts = parts[:2]
            takes = [
                guessed.keep(f"{proposal.name} | fold {i}") if recording.everything else None
                for i in range(len(parts))
            ]
            heat, final = (
                shortened(proposal.action, share) for share in (_HEAT, share_of(len(rows)))
            )
            entry["heat"] = [_scored(task, heat, *parts[0], takes[0])]
            entry["final"] = [
                _scored(task, final, *part, take)
                for part, take in zip(parts[1:], takes[1:], strict=True)
            ]
        write_text(path, json.dumps(found, indent=1) + "\n")


def _is_same(entry: dict[str, Any], action: Action) -> bool:
    """Whether an option was recorded for this action; fields that came later have defaults."""
    return "action" in entry and _ACTION.validate_python(entry["action"]) == action


def _is_raced(entry: dict[str, Any]) -> bool:
    return "final" in entry and "sure" in entry["heat"][0]


class Guesses:
    """The probabilities that every option gave on the test images of a small cell, in a file.

    Averages of options are judged by them. They are kept as roots, in a byte each.

    Parameters
    ----------
    path : Path
    truth : int array of shape (n,)
        Classes of the test images.
    kept : bool
        Whether this cell keeps any.
    """

    def __init__(self, path: Path, truth: IntArray, *, kept: bool) -> None:
        self._path, self._kept = path, kept
        self._found: dict[str, npt.NDArray[Any]] = {"truth": truth}
        if kept and path.exists():
            with np.load(path) as stored:
                self._found |= {name: stored[name] for name in stored.files}

    def lacks(self, name: str) -> bool:
        """Whether an option's probabilities are asked for, but not there."""
        return self._kept and name != REFERENCE and name not in self._found

    def keep(self, name: str) -> Callable[[FloatArray], None]:
        """Return what takes an option's probabilities (n, C)."""

        def take(probabilities: FloatArray) -> None:
            if self.lacks(name):
                self._found[name] = np.round(255 * np.sqrt(probabilities)).astype(np.uint8)
                # tiles of one byte compress to a few kilobytes an option
                np.savez_compressed(self._path, **self._found)  # type: ignore[arg-type]

        return take


def _scored(
    task: FitInputs,
    action: Action,
    learn: IntArray,
    judge: IntArray,
    take: Callable[[FloatArray], None] | None = None,
) -> dict[str, Any]:
    """Train on some rows; say which others are right, how sure of the truth, and what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    trained = train(task.problem, task.frozen, action, learn, runtime())
    seconds = (time.process_time() - cpu, time.perf_counter() - wall)
    judged = judge_by(task.problem, task.frozen, trained, judge, learned=learn)
    if take is not None and judged.probabilities is not None:
        take(judged.probabilities)
    return {
        "right": _packed(judged.right),
        "sure": bytes(np.round(judged.p_true * 255).astype(np.uint8)).hex(),
        "n": len(judge),
        "cpu": round(seconds[0], 2),
        "wall": round(seconds[1], 2),
    }


def _packed(right: BoolArray) -> str:
    return bytes(np.packbits(right)).hex()


def unpacked(text: str, n: int) -> BoolArray:
    """Return n booleans from their hexadecimal digits."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8))
    return bits[:n].astype(np.bool_)


def sureness(text: str) -> FloatArray:
    """Return probabilities from their hexadecimal digits."""
    return np.frombuffer(bytes.fromhex(text), dtype=np.uint8) / 255.0


def is_head(action: dict[str, Any]) -> bool:
    """Whether an option trains no layer."""
    return bool(action["kind"] == TapsHead.model_fields["kind"].default)


def single_threaded() -> None:
    """Leave the other cores to the other processes of the study."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
