"""Plans that train a network for one epoch, by each kind of training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from frostline.core.actions import Action, Adapters, FullTraining, Recipe, SuffixTraining
from frostline.core.plan import Plan

_RANK = 8


def plans(run: Path, middle: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Write a plan for each kind; give its name and file.

    ``run``: a finished run, whose plan is varied. ``middle``: the cut above which new layers sit.
    """
    plan = Plan.model_validate(json.loads((run / "plan.json").read_text(encoding="utf-8")))
    for name, action in _actions(middle).items():
        file = folder / f"{name}.json"
        changed = plan.model_copy(update={"action": action, "chosen": name})
        file.write_text(changed.model_dump_json(), encoding="utf-8")
        yield name, file


def _actions(middle: str) -> dict[str, Action]:
    recipe = Recipe(
        epochs=1,
        batch_size=8,
        learning_rate=1e-4,
        head_learning_rate=1e-3,
        layer_decay=0.75,
        augment="light",
        drop_path=0.1,
    )
    return {
        "fine-tuning": FullTraining(recipe=recipe),
        "LoRA": FullTraining(part=Adapters(rank=_RANK, alpha=2.0 * _RANK), recipe=recipe),
        "new layers": SuffixTraining(
            keep_to=middle, freeze_to=middle, new_block=True, head_init="random", recipe=recipe
        ),
    }
