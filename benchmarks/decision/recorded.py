"""What a cell recorded, and what any choice from it comes to; decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from benchmarks.decision.cells import FASTAI, REFERENCE, is_head, sureness, unpacked
from benchmarks.decision.study_sets import EVERY_SET
from frostline.core.actions import Action
from frostline.core.plan import EvidenceSummary
from frostline.strategy.blending import FEW_IMAGES
from frostline.strategy.candidates.adapters import NAME as ADAPTERS
from frostline.strategy.cases import prior_case

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ACTION: TypeAdapter[Action] = TypeAdapter(Action)
#: what no race tries
ONLY_STUDIED = ("train the norm layers", ADAPTERS)


@dataclass(frozen=True)
class Choice:
    """What would be chosen, and the CPU seconds that finding it took.

    ``members`` are the options that are averaged, the leading one first, with ``weights`` that add
    up to 1 (none: equal ones); one for a single option. ``entrants`` raced.
    """

    name: str
    race_seconds: float
    raced: bool
    members: tuple[str, ...]
    weights: tuple[float, ...] = ()
    entrants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What an option showed on one fold: who was right, how sure of the truth, in CPU seconds."""

    right: BoolArray
    sure: FloatArray
    cpu: float


class Recorded:
    """One cell of the study.

    Parameters
    ----------
    data : dict
        The content of its file.
    guesses : Path or None, default=None
        The file beside it with every option's probabilities.
    """

    #: one head of all depths, in cells recorded since there is one
    STACKED = "stacked head"

    def __init__(self, data: dict[str, Any], guesses: Path | None = None) -> None:
        self._guesses = guesses
        self.target, self.size, self.seed = data["cell"]
        self.n_test: int = data["n_test"]
        self.n_train: int = data["n_train"]
        self.kind: str = data["kind"]
        self.network: str = data["network"]
        self.summary = EvidenceSummary.model_validate(data["evidence"])
        self._loo = data.get("loo", {})
        #: options that were to be recorded; cells of before recorded all, and the reference
        self._wanted: set[str] = set(data.get("wanted", (REFERENCE,)))
        self.family: str = EVERY_SET[self.target].family
        #: rows of one group succeed and fail together; cells of before had none
        self.groups: IntArray = np.array(data.get("groups") or range(self.n_train))
        self._folds = data.get("folds", [])
        self.options: dict[str, dict[str, Any]] = {
            name: option for name, option in data["options"].items() if "right" in option
        }

    @classmethod
    def read(cls, folder: Path) -> list[Recorded]:
        """Read every whole cell in a folder."""
        paths = sorted(folder.glob("*.json"))
        found = [cls(json.loads(p.read_text()), p.with_suffix(".npz")) for p in paths]
        return [cell for cell in found if cell.whole]

    @property
    def whole(self) -> bool:
        """Whether every option has been trained."""
        heats = [self.options[name].get("heat", [{}])[0] for name in self.candidates]
        done = all("sure" in heat for heat in heats)
        return self._wanted <= set(self.options) and bool(self._loo) and done and self._may_average

    @property
    def _may_average(self) -> bool:
        """Whether there are probabilities of every option that may be part of an average."""
        if self.n_train >= FEW_IMAGES:
            return True
        if self._guesses is None or not self._guesses.exists():
            return False
        with np.load(self._guesses) as stored:
            return set(self.candidates) - set(ONLY_STUDIED) <= set(stored.files)

    @cached_property
    def right(self) -> dict[str, BoolArray]:
        """Which test images every fully trained option gets right, the reference included."""
        return {n: unpacked(o["right"], self.n_test) for n, o in self.options.items()}

    @cached_property
    def candidates(self) -> list[str]:
        """What may be chosen: everything but rivals and references."""
        return [n for n in self.options if n not in (REFERENCE, FASTAI)]

    @cached_property
    def heads(self) -> list[str]:
        """Options that train no layer, the simplest first."""
        simple = ["head on the last layer", "head on all taps", "head on the best layer"]
        found = [n for n in self.candidates if is_head(self.options[n]["action"])]
        return sorted(found, key=lambda n: simple.index(n) if n in simple else len(simple))

    @cached_property
    def trained(self) -> list[str]:
        """Options that train layers and may race."""
        return [n for n in self.candidates if n not in (*self.heads, *ONLY_STUDIED)]

    def heat(self, name: str) -> Judged:
        """What a quarter of the epochs on the first fold came to."""
        if name == self.STACKED and self.has_stand_in:
            return self.heat(self.heads[0])
        return _judged(self.options[name]["heat"][0])

    def finals(self, name: str) -> list[Judged]:
        """What all epochs (from 500 images on half of them) came to on the other folds."""
        if name == self.STACKED and self.has_stand_in:
            return [self._mean_of_heads(fold) for fold in range(len(self.finals(self.heads[0])))]
        return [_judged(fold) for fold in self.options[name]["final"]]

    def _mean_of_heads(self, fold: int) -> Judged:
        """What stands for the stacked head on a fold: who was right is not known of an average."""
        shares = self._shares_of_heads
        each = [self.finals(head)[fold] for head in shares]
        sure = np.average([one.sure for one in each], axis=0, weights=list(shares.values()))
        best = each[int(np.argmax(list(shares.values())))]
        return Judged(best.right, sure, sum(one.cpu for one in each))

    def judged_groups(self, fold: int) -> IntArray:
        """Groups of the images that judge on a fold."""
        if not self._folds:
            entry = next(iter(self.options.values()))
            return np.arange(entry["final"][fold - 1]["n"] if fold else entry["heat"][0]["n"])
        return np.asarray(self.groups[np.array(self._folds[fold])], dtype=np.int64)

    def is_adapted(self, head: str) -> bool:
        """Whether norm statistics are re-estimated for a head."""
        return self._probe(head) == "adapted"

    def left_out(self, head: str) -> BoolArray:
        """Which training images a head gets right when they are left out."""
        if head == self.STACKED and self.has_stand_in:
            head = max(self._shares_of_heads, key=lambda h: self._shares_of_heads[h])
        return unpacked(self._loo[self._probe(head)], self.n_train)

    @property
    def all_seconds(self) -> float:
        """CPU seconds of training every candidate once, in full."""
        # adapters were timed later, beside other work
        return sum(float(self.options[n]["cpu"]) for n in self.candidates if n != ADAPTERS)

    @cached_property
    def _shares_of_heads(self) -> dict[str, float]:
        """Weights of the heads in what stands for the stacked one: those of single depths, too."""
        chance = self.summary.chance
        found = {
            head: max(float(self.left_out(head).mean()) - chance, 1e-3) ** 4
            for head in self.heads
            if not self.is_adapted(head)
        }
        total = sum(found.values())
        return {head: weight / total for head, weight in found.items()}

    @property
    def has_stand_in(self) -> bool:
        """Whether the average of the heads stands for a stacked one that was not recorded."""
        return self.STACKED not in self.options and self.n_train < FEW_IMAGES

    def outcome(self, members: Sequence[str], weights: Sequence[float] = ()) -> BoolArray:
        """Which test images an option, or the average of several, gets right."""
        if self._guesses is None or (len(members) == 1 and members[0] in self.right):
            return self.right[members[0]]
        with np.load(self._guesses) as stored:
            each = [self._probabilities(stored, name) for name in members]
            mean = np.average(each, axis=0, weights=weights or None)
            return np.asarray(mean.argmax(axis=1) == stored["truth"])

    def _probabilities(self, stored: Mapping[str, FloatArray], name: str) -> FloatArray:
        if name == self.STACKED and self.has_stand_in:
            shares = self._shares_of_heads
            each = [self._probabilities(stored, head) for head in shares]
            return np.asarray(np.average(each, axis=0, weights=list(shares.values())))
        return np.square(stored[name] / 255.0)

    def rule(self) -> str:
        """What the textbook's table says, without looking at anything but size and shift."""
        case = prior_case(self.summary)
        strategy = "head" if case is None else case.strategy
        if strategy == "head":
            return self.heads[0]
        named = {
            "finetune": "fine-tune the whole network",
            "full": "train the whole network",
            "cut": next((n for n in self.candidates if n.startswith("cut after")), self.heads[0]),
        }
        return named[strategy]

    def single_probe(self) -> str:
        """The single layer that a linear probe likes best."""
        best = next((n for n in self.heads if n == "head on the best layer"), None)
        return best or self.heads[0]

    def called(self, family: str) -> str:
        """The option of a family such as "cut after"; the plainest head where there is none."""
        return next((n for n in self.candidates if n.startswith(family)), self.heads[0])

    def regret(self, chosen: Choice, among: Sequence[Choice] = ()) -> float:
        """Accuracy that a choice loses to the best single option in hindsight.

        In points; below zero where an average is better than every single option. The choices in
        ``among``, averages as they may be, may be the best in hindsight, too.

        The best is found on one half of the test images and scored on the other, then the halves
        swap: the best of a dozen on one test set is partly luck.
        """
        taken = self.outcome(chosen.members, chosen.weights)
        options = [self.right[name] for name in self.candidates]
        options += [self.outcome(one.members, one.weights) for one in among]
        halves = np.arange(self.n_test) % 2
        total = 0.0
        for half in (0, 1):
            seen, judged = halves == half, halves != half
            best = options[int(np.argmax([right[seen].mean() for right in options]))]
            total += float(best[judged].mean() - taken[judged].mean())
        return 50.0 * total

    def regret_of(self, name: str) -> float:
        """Regret of a single option."""
        return self.regret(Choice(name, 0.0, raced=False, members=(name,)))

    def accuracy(self, name: str) -> float:
        """Accuracy of a single option on all test images."""
        return float(self.outcome([name]).mean())

    def accuracy_of(self, chosen: Choice) -> float:
        """Accuracy of a choice on all test images."""
        return float(self.outcome(chosen.members, chosen.weights).mean())

    def _probe(self, head: str) -> str:
        summary = self.summary
        return {
            "head on the last layer": summary.last_tap,
            "head on the best layer": summary.best_tap,
            "head on all taps": "all",
            self.STACKED: "stacked",
        }.get(head, "adapted")


def _judged(entry: dict[str, Any]) -> Judged:
    right = unpacked(entry["right"], entry["n"])
    return Judged(right, sureness(entry["sure"]), float(entry["cpu"]))
