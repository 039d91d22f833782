"""Plan files that somebody edited, or made up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from frostline.core.actions import Recipe, SuffixTraining
from frostline.core.errors import PlanError
from frostline.core.plan import CandidateResult, Plan
from frostline.core.reasons import (
    AskedFor,
    Averaged,
    ExpectedOfRace,
    Fate,
    FewPerClass,
    FrozenOnly,
    Given,
    LittleToGain,
    NothingToRace,
    NotInstalled,
    NotWorthRacing,
    OnlyOption,
    RaceScore,
    Reason,
    RunnerUp,
    SimplerOneTaken,
    ToBeRaced,
    WonRace,
)
from frostline.wording.reasons import fate_words, reason_sentence
from frostline.wording.why import three_sentences

RECIPE = Recipe(epochs=1, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2)
PLAN = Plan(
    case=1,
    prior="head",
    strategy="auto",
    chosen="suffix",
    backbone="x",
    cut=None,
    removed=[],
    frozen=["a"],
    trained=["b"],
    new=["head"],
    seed=0,
    action=SuffixTraining(freeze_to="a", recipe=RECIPE),
)


def refused(path: Path, content: bytes | str) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PlanError) as caught:
        Plan.from_file(path)
    return str(caught.value)


def test_a_written_plan_comes_back(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(PLAN.to_json())
    assert Plan.from_file(tmp_path / "plan.json") == PLAN


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe{}", b'{"version": 1', b"[" * 100_000, b'{"a":' * 100_000, b"null"]
)
def test_bytes_that_are_no_plan(content: bytes, tmp_path: Path) -> None:
    assert "plan.json" in refused(tmp_path / "plan.json", content)


@pytest.mark.parametrize(
    ("version", "said"), [(0, "older than this.*fresh plan"), (2, "newer.*Update Frostline")]
)
def test_other_versions_are_named(version: int, said: str, tmp_path: Path) -> None:
    text = json.dumps(json.loads(PLAN.to_json()) | {"version": version, "surprise": True})
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match=rf"is of version {version}, {said}"):
        Plan.from_file(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 10**12),
        ("batch_size", 10**9),
        ("learning_rate", float("inf")),
        ("head_learning_rate", 1e300),
        ("weight_decay", float("inf")),
    ],
)
def test_numbers_have_ends(field: str, value: Any, tmp_path: Path) -> None:
    values = json.loads(PLAN.to_json())
    values["action"]["recipe"][field] = value
    assert f"recipe.{field}" in refused(tmp_path / "plan.json", json.dumps(values))


def test_pipes_and_files_without_end_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(PlanError, match="not a regular file"):
        Plan.from_file(tmp_path / "pipe.json")
    with (tmp_path / "hollow.json").open("wb") as stream:
        stream.truncate(8 * 2**40)
    with pytest.raises(PlanError, match="the limit is 32"):
        Plan.from_file(tmp_path / "hollow.json")


#: a plan as version 0.1.0 wrote it: words only
OLD = {
    **json.loads(PLAN.to_json()),
    "prior": "case 1: small and similar: a new head, everything else frozen",
    "explanation": ["You asked for the strategy 'cut'.", "Decision: suffix."],
    "candidates": [
        {
            "name": "suffix",
            "kind": "suffix",
            "score": 0.5,
            "standard_error": 0.1,
            "seconds": 1.0,
            "stopped": "chosen",
        }
    ],
}
for added in ("prior_case", "probe", "reasons", "runner_up"):
    del OLD[added]


def test_a_plan_of_an_earlier_version_is_read_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(OLD))
    read = Plan.from_file(tmp_path / "plan.json")
    assert read.explanation == OLD["explanation"]
    assert read.candidates[0].stopped == "chosen"
    assert (read.reasons, read.prior_case, read.candidates[0].fate) == ([], None, None)
    assert three_sentences(read)[-1] == "Decision: suffix."


def test_reasons_and_fates_of_every_kind_come_back(tmp_path: Path) -> None:
    score = RaceScore(name="a", p_true=1 / 3, accuracy=2 / 3)
    reasons: list[Reason] = [
        AskedFor(strategy="cut"),
        FrozenOnly(),
        FewPerClass(per_class=2.5),
        LittleToGain(accuracy=0.1 + 0.2),
        ToBeRaced(),
        NotWorthRacing(gain=0.001, seconds=60.0),
        NothingToRace(),
        ExpectedOfRace(gain=0.02, seconds=90.0),
        NotInstalled(extra="train", names=["a", "b"]),
        OnlyOption(name="a"),
        WonRace(n_images=9, winner=score, second=score, gain=0.1, error=0.2),
        SimplerOneTaken(n_images=9, taken=score, leading=score, gain=0.1, error=0.2),
        Averaged(few=500, n_members=2, n_images=9, log_loss=0.1, leading="a", log_loss_alone=0.2),
        Given(),
    ]
    assert {reason.kind for reason in reasons} == {
        kind.model_fields["kind"].default for kind in get_args(get_args(Reason)[0])
    }
    ended = [
        CandidateResult(
            name="a", kind="full", score=None, standard_error=None, seconds=0.0,
            stopped=fate_words(fate, 0.1), fate=fate, behind=0.1,
        )
        for fate in Fate
    ]  # fmt: skip
    nearest = RunnerUp(name="a", behind=0.1, gain_per_doubling=0.2, more_per_class=None)
    plan = PLAN.model_copy(
        update={"reasons": reasons, "candidates": ended, "runner_up": nearest, "prior_case": 3}
    )
    (tmp_path / "plan.json").write_text(plan.to_json())
    assert Plan.from_file(tmp_path / "plan.json") == plan
    assert all(reason_sentence(reason) for reason in reasons)
