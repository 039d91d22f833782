"""Decide again from what a cell recorded: the product's own rules, without training anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from benchmarks.decision.cells import BUDGET, FASTAI, REFERENCE, is_head, sureness, unpacked
from frostline.core.actions import Action
from frostline.core.checking import parse_budget
from frostline.core.plan import EvidenceSummary
from frostline.strategy.blending import FEW_IMAGES
from frostline.strategy.candidates.adapters import NAME as ADAPTERS
from frostline.strategy.candidates.proposal import Proposal
from frostline.strategy.cases import prior_case
from frostline.strategy.cost import RACE_SHARE
from frostline.strategy.gates import makes_sense, simplest_of_the_best, why_not_race
from frostline.strategy.growth import (
    FITTED_GROWTH,
    Growth,
    Kind,
    bucket,
    kind_of_action,
    logit,
)
from frostline.strategy.race import LEADERS, Entry, FoldResult, RaceSchedule
from frostline.strategy.replay import replay_race
from frostline.strategy.thresholds import FITTED, Thresholds

BoolArray = npt.NDArray[np.bool_]

_ACTION: TypeAdapter[Action] = TypeAdapter(Action)
#: what no race tries
ONLY_STUDIED = ("train the norm layers", ADAPTERS)


@dataclass(frozen=True)
class Choice:
    """What would be chosen, and the CPU seconds that finding it took.

    ``members`` are the options that are averaged, the leading one first; one for a single option.
    """

    name: str
    race_seconds: float
    raced: bool
    members: tuple[str, ...]


class Recorded:
    """One cell of the study.

    Parameters
    ----------
    data : dict
        The content of its file.
    guesses : Path or None, default=None
        The file beside it with every option's probabilities.
    """

    def __init__(self, data: dict[str, Any], guesses: Path | None = None) -> None:
        self._guesses = guesses
        self.target, self.size, self.seed = data["cell"]
        self.n_test: int = data["n_test"]
        self.n_train: int = data["n_train"]
        self.kind: str = data["kind"]
        self.network: str = data["network"]
        self.summary = EvidenceSummary.model_validate(data["evidence"])
        self._loo = data.get("loo", {})
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
        return REFERENCE in self.options and bool(self._loo) and done and self._may_average

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

    @property
    def all_seconds(self) -> float:
        """CPU seconds of training every candidate once, in full."""
        # adapters were timed later, beside other work
        return sum(float(self.options[n]["cpu"]) for n in self.candidates if n != ADAPTERS)

    def choose(
        self,
        thresholds: Thresholds = FITTED,
        growth: Growth = FITTED_GROWTH,
        *,
        n_leaders: int = LEADERS,
        average: bool = True,
    ) -> Choice:
        """Decide as the product does, from the recorded evidence and races.

        Without ``average`` a single option is chosen on few images, too.
        """
        summary = self.summary
        correct = [unpacked(self._loo[self._probe(h)], self.n_train) for h in self.heads]
        head = self.heads[simplest_of_the_best(correct, np.arange(self.n_train), thresholds)]
        if why_not_race(summary, thresholds):
            return Choice(head, 0.0, raced=False, members=(head,))
        names = [
            n
            for n in self.candidates
            if n not in (*self.heads, *ONLY_STUDIED)
            and makes_sense(summary, self.options[n]["strategy"], n)
        ]
        spent = 0.0

        def runner(entry: Entry, fold: int) -> FoldResult:
            nonlocal spent
            option = self.options[entry.proposal.name]
            race = option["final"][fold - 1] if fold else option["heat"][0]
            spent += float(race["cpu"])
            right = unpacked(race["right"], race["n"])
            return FoldResult(right, sureness(race["sure"]), np.arange(len(right)))

        entries = tuple(self._entry(name) for name in (head, *names))
        work = RaceSchedule(entries, entries, {}, self.n_train, summary.size.per_class)
        settled = replay_race(
            work,
            runner,
            seconds=(1 - RACE_SHARE) * parse_budget(BUDGET),
            thresholds=thresholds,
            growth=growth,
            n_leaders=n_leaders,
        )
        alone = settled.winner.name
        if not average:
            return Choice(alone, spent, raced=True, members=(alone,))
        members = tuple(member.name for member in settled.members)
        return Choice(settled.chosen.name, spent, raced=True, members=members)

    def outcome(self, members: Sequence[str]) -> BoolArray:
        """Which test images an option, or the average of several, gets right."""
        if len(members) == 1 or self._guesses is None:
            return self.right[members[0]]
        with np.load(self._guesses) as stored:
            each = [np.square(stored[name] / 255.0) for name in members]
            return np.asarray(np.mean(each, axis=0).argmax(axis=1) == stored["truth"])

    def may_race(self, thresholds: Thresholds) -> bool:
        """Whether the evidence leaves anything to race for."""
        return not why_not_race(self.summary, thresholds)

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

    def regret(self, *members: str, among: bool = False) -> float:
        """Accuracy that an option (or an average) loses to the best single one in hindsight.

        In points; below zero where an average is better than every single option. With ``among``
        the average is one of those that may be best in hindsight.

        The best is found on one half of the test images and scored on the other, then the halves
        swap: the best of a dozen on one test set is partly luck.
        """
        chosen = self.outcome(members)
        options = [self.right[name] for name in self.candidates]
        if among:
            options.append(chosen)
        halves = np.arange(self.n_test) % 2
        total = 0.0
        for half in (0, 1):
            seen, judged = halves == half, halves != half
            best = options[int(np.argmax([right[seen].mean() for right in options]))]
            total += float(best[judged].mean() - chosen[judged].mean())
        return 50.0 * total

    def accuracy(self, *members: str) -> float:
        """Accuracy on all test images."""
        return float(self.outcome(members).mean())

    def _probe(self, head: str) -> str:
        summary = self.summary
        return {
            "head on the last layer": summary.last_tap,
            "head on the best layer": summary.best_tap,
            "head on all taps": "all",
        }.get(head, "adapted")

    def _entry(self, name: str) -> Entry:
        option = self.options[name]
        action = _ACTION.validate_python(option["action"])
        seconds = float(option["nominal"])
        return Entry(Proposal(name, option["strategy"], action, None, seconds), action, 0.0)

    def growth(self) -> Iterator[tuple[Kind, int, float]]:
        """Kind, size and the way from the heat to the accuracy after full training, in logits."""
        size = bucket(self.summary.size.per_class)
        for name in self.candidates:
            option = self.options[name]
            sure = float(sureness(option["heat"][0]["sure"]).mean())
            kind = kind_of_action(_ACTION.validate_python(option["action"]))
            yield kind, size, logit(self.accuracy(name)) - logit(sure)
