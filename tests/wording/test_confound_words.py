"""Confounds in words: one sentence for a reader, and none where there is nothing."""

from __future__ import annotations

from typing import Any

from frostline.core.confound_record import Confound, ConfoundAudit, GivenAway, HonestScore
from frostline.wording.confounds import confound_warnings, honest_sentence


def honest(**changes: Any) -> HonestScore:
    values: dict[str, Any] = {
        "fact": "camera",
        "images": 100,
        "judged": 100,
        "broken": 0.5,
        "broken_interval": (0.4, 0.6),
        "fall": 0.4,
        "fall_interval": (0.3, 0.5),
    }
    return HonestScore(**{**values, **changes})


def found(verdict: Any, own: HonestScore | None, group: Any = "camera") -> Confound:
    return Confound(
        group=group,
        facts=("camera",),
        score=0.9,
        chance=0.5,
        p_value=0.005,
        p_adjusted=0.01,
        verdict=verdict,
        honest=own,
    )


def audit(*groups: Confound, **changes: Any) -> ConfoundAudit:
    return ConfoundAudit(images=100, usual=0.9, groups=groups, **changes)


def test_the_worst_is_said_and_others_are_named() -> None:
    second = found("warning", honest(fact="border colour", fall=0.1, broken=0.8), "border")
    said = confound_warnings(audit(second, found("warning", honest())))
    assert said == [
        "The camera tells the label, and the model leans on it: balanced accuracy 90% on the "
        "images as they are, 50% (95 %: 40% to 60%) where every class has each camera equally "
        "often. Collect images of every class with every camera. So it is with border colour."
    ]


def test_classes_with_a_value_of_their_own_are_named_with_it() -> None:
    own = honest(judged=0, given_away=(GivenAway(label="cat", value="Alpha", others=0.0),))
    said = confound_warnings(audit(found("inseparable", own)))
    assert said == [
        "Nearly all images of 'cat' have a camera (Alpha) that most others have not, so no "
        "score can tell whether the model learned the class or that. Collect images of 'cat' with "
        "another camera, or of others with this one."
    ]


def test_a_colour_may_be_the_thing_itself() -> None:
    own = honest(
        fact="border colour", judged=0, given_away=(GivenAway(label="sea", value="#03c", others=0),)
    )
    (said,) = confound_warnings(audit(found("inseparable", own, "border")))
    assert said.endswith("If that colour belongs to what is shown, nothing is wrong.")


def test_numbers_have_ranges_and_no_classes() -> None:
    own = honest(judged=0, given_away=(GivenAway(label="", value="Alpha", others=0.1),))
    (said,) = confound_warnings(audit(found("inseparable", own), score="r2"))
    assert "most images cannot be judged" in said
    (bare,) = confound_warnings(audit(found("inseparable", honest(judged=0)), score="r2"))
    assert "camera" in bare


def test_notes_warn_of_nothing() -> None:
    note = found("note", honest(fall=0.01, broken=0.89))
    assert confound_warnings(audit(note, found("nothing", None))) == []
    assert confound_warnings(None) == []
    assert "about as well" in honest_sentence(note, audit(note))
    falls = found("note", honest(drop=0.0))
    assert "never saw" in honest_sentence(falls, audit(falls))
