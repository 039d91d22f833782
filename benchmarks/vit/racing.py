"""What the race chooses for a task, and what it loses to the best of the options it had."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.vit.tasks import Task
from frostline.core.actions import Action
from frostline.core.arrays import IntArray
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.fitting.decide import decide_plan, gather, make_context
from frostline.fitting.inputs import FitInputs
from frostline.fitting.train import judge_by
from frostline.strategy.candidates.adapters import NAME as ADAPTERS
from frostline.strategy.decide import decide, every_option
from frostline.training.train import train

#: what is trained whatever the race says: the textbook's option, and low rank
RIVALS = ("fine-tune the whole network", ADAPTERS)
BUDGET = "3m"


def raced(task: Task, rows: IntArray, runtime: Runtime) -> dict[str, Any]:
    """Decide on some images; judge the choice and its rivals on the others."""
    # what the results were measured with: the network learned letters, and a card of these says
    # otherwise of some tasks (docs/shift.md)
    settings = Settings(budget=BUDGET, pretrained_on="photos")
    inputs = FitInputs(task.problem, task.frozen, settings)
    others = np.setdiff1d(np.arange(len(task.problem.labels)), rows)
    # copies of what teaches would be no test
    judge = others[~np.isin(task.problem.groups[others], task.problem.groups[rows])]
    plan, _ = decide_plan(inputs, rows, runtime)
    context = make_context(inputs, gather(inputs, rows, runtime), runtime, refits=1.0)
    head = decide(context).head
    options: dict[str, Action] = {head.name: head.action}
    options |= {p.name: p.action for p in every_option(context) if p.name in RIVALS}
    options.setdefault(plan.chosen, plan.action)

    def accuracy(action: Action) -> float:
        trained = train(task.problem, task.frozen, action, rows, runtime)
        found = judge_by(task.problem, task.frozen, trained, judge, learned=rows)
        return float(found.right.mean())

    found = {name: round(accuracy(action), 4) for name, action in options.items()}
    best = max(found, key=lambda name: found[name])
    return {
        "n": len(rows),
        "n_test": len(judge),
        "accuracy": found,
        "head": head.name,
        "chosen": plan.chosen,
        "best": best,
        "regret": round(found[best] - found[plan.chosen], 4),
    }
