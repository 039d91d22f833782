"""Kill runs with SIGKILL at random moments, go on, and compare with a run that nobody disturbed."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

import frostline
from frostline.run.replacement import next_folder, previous_folder
from tests.soak import commands
from tests.soak.commands import Job
from tests.soak.ground import RECIPES, ROUNDS, Ground, broken, content, differences, half_written

pytestmark = pytest.mark.soak
#: what is killed besides fits, made from a finished run
_COMMANDS = {
    "report": ["report"],
    "export to ONNX": ["export", "-o", "model.onnx"],
    "export to 8 bits": ["export", "-o", "small.onnx", "--quantize", "int8"],
    "export to PyTorch": ["export", "-o", "weights", "--to", "torch"],
    "export to a hub folder": ["export", "-o", "folder", "--to", "hub"],
}


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_killed_run_ends_as_if_nobody_had_disturbed_it(
    ground: Ground, recipe: str, number: int, tmp_path: Path
) -> None:
    dice, undisturbed = random.Random(f"{recipe} {number}"), ground.whole(recipe)
    run, cache = tmp_path / "run", tmp_path / "cache"
    if number % 3 == 2:
        # what earlier runs stored is there already
        shutil.copytree(undisturbed.cache, cache)
    else:
        ground.give_choices(recipe, cache)
    for _ in range(dice.randint(2, 8)):
        moment = dice.uniform(0.0, undisturbed.seconds)
        ended = commands.one(ground.job(recipe, run, cache, after=moment))
        assert ended.code == 0 or ended.killed, ended.said
        assert not broken(run, cache, undisturbed.outcome), ended.phase
        if (run / "metrics.json").exists():
            # finished, perhaps killed behind its last step: the same command would say so
            break
    if not (run / "metrics.json").exists():
        ended = commands.one(ground.job(recipe, run, cache))
        assert ended.code == 0, ended.said
    assert not ground.differences(recipe, run)
    assert not half_written(run)


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_killed_command_leaves_the_old_or_the_new_whole(
    ground: Ground, name: str, tmp_path: Path
) -> None:
    place, dice = tmp_path / "place", random.Random(name)
    shutil.copytree(ground.whole("cut").place, place)
    arguments = _COMMANDS[name]

    def job(after: float | None = None) -> Job:
        words = [arguments[0], str(place / "run"), *arguments[1:]]
        if "-o" in words:
            at = words.index("-o") + 1
            words[at] = str(place / words[at])
            words.append("--overwrite")
        return Job(words, place / "cache", tmp_path / "said.txt", after)

    whole = commands.one(job())
    assert whole.code == 0, whole.said
    before = content(place)
    for _ in range(2 * ROUNDS):
        commands.one(job(after=dice.uniform(0, whole.seconds)))
        assert not differences(content(place), before)
    # one that is not killed finds its way, and leaves nothing of the others behind
    last = commands.one(job())
    assert last.code == 0, last.said
    assert not differences(content(place), before)
    assert not half_written(place)


@pytest.mark.parametrize("number", range(10 * ROUNDS))
def test_a_killed_update_leaves_a_whole_run_and_goes_on(
    ground: Ground, number: int, tmp_path: Path
) -> None:
    """With the default five rounds, 50 updates in place are killed."""
    whole, dice = ground.whole("head"), random.Random(f"update {number}")
    place, cache = tmp_path / "run", tmp_path / "cache"
    shutil.copytree(whole.place / "run", place)
    shutil.copytree(whole.cache, cache)
    old = digest(place)

    def job(run: Path, *where: str, after: float | None = None) -> Job:
        words = ["update", str(run), "--remove", "digit 9", *where]
        return Job(words, cache, tmp_path / "said.txt", after)

    undisturbed = commands.one(job(whole.place / "run", "-o", str(tmp_path / "wanted")))
    assert undisturbed.code == 0, undisturbed.said
    new = digest(tmp_path / "wanted")
    assert new != old
    for _ in range(dice.randint(1, 4)):
        moment = dice.uniform(0.0, 1.1 * undisturbed.seconds)
        ended = commands.one(job(place, "--in-place", after=moment))
        assert ended.killed or ended.code in (0, 2), ended.said
        # between two renamings the run lies beside its place
        found = place if place.exists() else next_folder(place)
        assert digest(found) in (old, new)
        if ended.code == 2:
            assert "is no image of the run" in ended.said
    last = commands.one(job(place, "--in-place"))
    assert last.code == 0 or "is no image of the run" in last.said, last.said
    assert digest(place) == new
    assert digest(previous_folder(place)) == old
    assert not half_written(place)


def digest(run: Path) -> str:
    """Stands for the model of a finished run, which can be loaded."""
    assert (run / "metrics.json").exists()
    return frostline.load(run).card.fingerprints.weights or ""


@pytest.mark.parametrize("number", range(ROUNDS))
def test_two_runs_over_one_store_do_not_disturb_each_other(
    ground: Ground, number: int, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first, second = ("cut", "finetune") if number % 2 else ("head", "full")
    moment = random.Random(number).uniform(0.0, 2.0 * ground.whole(first).seconds)
    killed, other = commands.run(
        ground.job(first, tmp_path / "a", cache, after=moment),
        ground.job(second, tmp_path / "b", cache),
    )
    if killed.killed and not (tmp_path / "a" / "metrics.json").exists():
        commands.one(ground.job(first, tmp_path / "a", cache))
    assert other.code == 0, other.said
    for recipe, run in ((first, tmp_path / "a"), (second, tmp_path / "b")):
        assert not ground.differences(recipe, run)
        assert not broken(run, cache, ground.whole(recipe).outcome)


@pytest.mark.parametrize("recipe", ["head", "cut"])
def test_of_two_runs_in_one_folder_one_works_and_the_other_says_so(
    ground: Ground, recipe: str, tmp_path: Path
) -> None:
    words = ground.words(recipe, ground.work / "images", tmp_path / "run")
    jobs = [Job(words, tmp_path / "cache", tmp_path / f"{i}.txt") for i in range(2)]
    ended = commands.run(*jobs)
    assert sorted(one.code for one in ended) == [0, 2], [one.said for one in ended]
    assert all(one.clear for one in ended)
    assert not ground.differences(recipe, tmp_path / "run")


@pytest.mark.parametrize(("kind", "target"), [("hub", "folder"), ("onnx", "model.onnx")])
def test_two_exports_to_one_place_leave_a_whole_one(
    ground: Ground, kind: str, target: str, tmp_path: Path
) -> None:
    dice, run = random.Random(kind), tmp_path / "run"
    shutil.copytree(ground.whole("cut").place / "run", run)
    words = ["export", str(run), "-o", str(tmp_path / target), "--to", kind, "--overwrite"]
    alone = commands.one(Job(words, tmp_path / "cache", tmp_path / "said"))
    expected = _bytes(tmp_path / target)
    for _ in range(ROUNDS):
        moment = dice.uniform(0.0, 2.0 * alone.seconds)
        _, other = commands.run(
            Job(words, tmp_path / "cache", tmp_path / "a", after=moment),
            Job(words, tmp_path / "cache", tmp_path / "b"),
        )
        assert _bytes(tmp_path / target) == expected
        # the one that comes second may find that the other has just been there
        assert other.clear, other.said
    assert commands.one(Job(words, tmp_path / "cache", tmp_path / "said")).code == 0
    assert not half_written(tmp_path)


@pytest.mark.parametrize("recipe", ["cut", "race", "frozen pass", "head"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_answered_with_words_and_its_code(
    ground: Ground, recipe: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    ground.give_choices(recipe, cache)
    moment = random.Random(f"{number} {recipe}").uniform(0.0, ground.whole(recipe).seconds)
    ended = commands.one(ground.job(recipe, run, cache, after=moment, signal=int(number)))
    # Python itself answers as long as the command has not begun
    if ended.code and ended.phase not in ("", "starting"):
        assert ended.code == code
        assert "goes on from there" in ended.said
        assert "Traceback" not in ended.said
    if not (run / "metrics.json").exists():
        commands.one(ground.job(recipe, run, cache))
    assert not ground.differences(recipe, run)


def _bytes(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.name: file.read_bytes() for file in files if file.is_file()}
