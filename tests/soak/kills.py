"""Kill runs with SIGKILL at random moments, go on, and compare with a run that nobody disturbed."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.soak import record
from tests.soak._client import Ended, Job, Server
from tests.soak._faults import FAULTS
from tests.soak._ground import Ground, prepare
from tests.soak._kill_tables import faults_table, kills_table, sharing_text, signals_text
from tests.soak._runs import RECIPES, differences, outcome
from tests.soak._sharing import SHARING
from tests.soak._signals import stop_politely
from tests.soak._wholeness import broken, half_written

ORDER = 1
TITLE = "Kill it"
#: kills of each recipe, and of each command that writes from a finished run
_KILLS, _KILLS_OF_COMMANDS = 26, 10
#: a story is one run: so many kills at most, then it may finish
_MOST_KILLS = 8
#: shares of the time after which faults, and kills of what is no fit, must end
_FAULTS, _OTHERS = 0.6, 0.7
#: what is killed besides fits, made from a finished run
_COMMANDS = {
    "report": ["report"],
    "export to ONNX": ["export", "-o", "model.onnx"],
    "export to 8 bits": ["export", "-o", "small.onnx", "--quantize", "int8"],
    "export to PyTorch": ["export", "-o", "weights", "--to", "torch"],
    "export to a hub folder": ["export", "-o", "folder", "--to", "hub"],
}


def run(work: Path, until: float) -> None:
    """Attack until everything was done or the time is over; what was done is kept."""
    found = record.read("kills")
    with Server() as server:
        ground = prepare(work, server)
        now = time.monotonic()
        end = now + _FAULTS * (until - now)
        for name, attack in {**FAULTS, **SHARING, "signals": stop_politely}.items():
            attack(ground, found.setdefault(name, {}), end)
            record.write("kills", found)
        found["raced"] = ground.raced()
        _kill_commands(ground, found, now + _OTHERS * (until - now))
        _kill_fits(ground, found, until)


def section(found: dict[str, Any]) -> str:
    """The page's text."""
    return "\n".join(
        [kills_table(found), sharing_text(found), signals_text(found), faults_table(found)]
    )


def _kill_fits(ground: Ground, found: dict[str, Any], end: float) -> None:
    counts = found.setdefault("fits", {})
    stories = found.get("stories", 0)
    while time.monotonic() < end:
        open_ones = [r for r in RECIPES if counts.get(r, {}).get("kills", 0) < _KILLS]
        if not open_ones:
            return
        recipe = open_ones[stories % len(open_ones)]
        count = counts.setdefault(recipe, {"kills": 0, "runs": 0, "losses": [], "phases": {}})
        _tell_story(ground, recipe, count, random.Random(stories))
        stories += 1
        found["stories"] = stories
        record.write("kills", found)


def _tell_story(ground: Ground, recipe: str, count: dict[str, Any], dice: random.Random) -> None:
    """Kill one run a few times, let it finish, and compare."""
    place = ground.work / "story"
    cache = place / "cache"
    if dice.random() < 0.3:
        # what earlier runs stored is there already
        shutil.copytree(ground.whole(recipe).cache, cache)
    else:
        ground.give_choices(recipe, cache)
    reference = ground.reference(recipe)
    phases: Counter[str] = Counter(count["phases"])
    for _ in range(dice.randint(2, _MOST_KILLS)):
        moment = dice.uniform(0.0, ground.seconds(recipe))
        ended = ground.server.one(ground.job(recipe, place / "run", cache, after=moment))
        if not ended.killed:
            _note(count, ended, f"ended with {ended.code} before the kill" if ended.code else "")
            break
        count["kills"] += 1
        phases[ended.phase] += 1
        for name in broken(place / "run", cache, reference):
            _note(count, ended, f"{name} is not whole")
        left = len(half_written(place))
        count["half_written"] = count.get("half_written", 0) + (left > 0)
        if (place / "run" / "metrics.json").exists():
            # killed behind its last step: the run is finished, and the same command would say so
            break
    count["phases"] = dict(phases)
    if not (place / "run" / "metrics.json").exists():
        ended = ground.server.one(ground.job(recipe, place / "run", cache))
        if ended.code:
            _note(count, ended, f"resumed, it ended with {ended.code}")
    count["runs"] += 1
    if (place / "run" / "metrics.json").exists():
        for name in differences(outcome(place / "run"), reference):
            _note(count, ended, f"{name} differs")
    for path in half_written(place / "run"):
        _note(count, ended, f"{path.name} was left for good")
    shutil.rmtree(place)


def _note(count: dict[str, Any], ended: Ended, text: str) -> None:
    """Keep a loss, with what the command said last."""
    if text:
        count["losses"].append({"what": text, "phase": ended.phase, "said": ended.said[-400:]})


def _kill_commands(ground: Ground, found: dict[str, Any], end: float) -> None:
    """Kill commands that write from a finished run; the target is the old or the new one, whole."""
    counts = found.setdefault("commands", {})
    finished = ground.whole("cut").place
    for number, (name, arguments) in enumerate(_COMMANDS.items()):
        count = counts.setdefault(name, {"kills": 0, "losses": [], "half_written": 0})
        if count["kills"] >= _KILLS_OF_COMMANDS:
            continue
        place = ground.work / "written"
        shutil.copytree(finished, place)
        job = _command(ground, place, arguments)
        whole = ground.server.one(job)
        if whole.code:
            _note(count, whole, f"undisturbed, it ended with {whole.code}")
            shutil.rmtree(place)
            continue
        before, dice = _content(place), random.Random(number)
        while count["kills"] < _KILLS_OF_COMMANDS and time.monotonic() < end:
            again = _command(ground, place, arguments, after=dice.uniform(0, whole.seconds))
            ended = ground.server.one(again)
            count["kills"] += ended.killed
            for path in differences(_content(place), before):
                _note(count, ended, f"{path} is neither the old nor the new one")
        # one that is not killed finds its way, and leaves nothing of the others behind
        ended = ground.server.one(job)
        if ended.code or differences(_content(place), before):
            _note(count, ended, f"the last one ended with {ended.code}")
        count["half_written"] += len(half_written(place))
        shutil.rmtree(place)
        record.write("kills", found)


def _command(ground: Ground, place: Path, arguments: list[str], **changes: Any) -> Job:
    words = [arguments[0], str(place / "run"), *arguments[1:]]
    if "-o" in words:
        at = words.index("-o") + 1
        words[at] = str(place / words[at])
        words.append("--overwrite")
    return Job(words, place / "cache", ground.work / "said.txt", **changes)


def _content(place: Path) -> dict[str, str]:
    """Digests of all files under final names."""
    import hashlib

    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:])
    }
