"""SIGINT and SIGTERM at random moments: a message, the right exit code, the same result later."""

from __future__ import annotations

import random
import shutil
import signal
import time
from typing import Any

from tests.soak._ground import Ground
from tests.soak._runs import differences, outcome

_EACH = 3
_RECIPES = ("cut", "race", "frozen pass", "head")
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def stop_politely(ground: Ground, found: dict[str, Any], until: float) -> None:
    """Ask runs to end, then let the same command finish."""
    for number, code in _CODES.items():
        count = found.setdefault(
            number.name, {"sent": 0, "ended_so": 0, "finished_first": 0, "wrong": []}
        )
        while count["sent"] < _EACH * len(_RECIPES) and time.monotonic() < until:
            recipe = _RECIPES[count["sent"] % len(_RECIPES)]
            dice = random.Random(f"{number} {count['sent']}")
            place = ground.work / "stopped"
            ground.give_choices(recipe, place / "cache")
            job = ground.job(
                recipe,
                place / "run",
                place / "cache",
                after=dice.uniform(0.0, ground.seconds(recipe)),
                signal=int(number),
            )
            ended = ground.server.one(job)
            count["sent"] += 1
            count["finished_first"] += ended.code == 0
            polite = ended.code == code and "goes on from there" in ended.said
            count["ended_so"] += polite
            # Python itself answers as long as the command has not begun
            early = ended.phase in ("", "starting") and not polite
            count["before_it_began"] = count.get("before_it_began", 0) + (early and ended.code != 0)
            if ended.code != 0 and not early and (not polite or "Traceback" in ended.said):
                count["wrong"].append(
                    {"what": f"code {ended.code}", "phase": ended.phase, "said": ended.said[-600:]}
                )
            if not (place / "run" / "metrics.json").exists():
                ground.server.one(ground.job(recipe, place / "run", place / "cache"))
            for name in differences(outcome(place / "run"), ground.reference(recipe)):
                count["wrong"].append({"what": f"{recipe}: {name} differs", "phase": ended.phase})
            shutil.rmtree(place)
