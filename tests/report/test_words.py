"""Numbers and reasons as people read them."""

from __future__ import annotations

from collections.abc import Callable

from frostline.core.actions import Adapters, Blend, FullTraining, Recipe, TapsHead
from frostline.core.reasons import Given
from frostline.report import ReportData
from frostline.wording.numbers import (
    fixed,
    interval,
    listed,
    number,
    percent,
    plural,
    points,
    seconds,
    shortened,
    size,
)
from frostline.wording.why import headline, three_sentences

MakeData = Callable[..., ReportData]


def test_words() -> None:
    assert percent(0.8734) == "87.3%"
    assert percent(None) == percent(float("nan")) == percent(True) == "–"
    assert interval((0.1, 0.25)) == "10.0 to 25.0%"
    assert interval(None) == interval((0.1,)) == "–"
    assert points(0.021) == "+2.1 points"
    assert points(None) == "–"
    assert number(12345) == "12,345"
    assert number(0.5) == "0.5"
    assert number(3.0) == "3"
    assert number(1e-7) == "1e-07"
    assert fixed(0.1, 2) == "0.10"
    assert fixed(None, 2) == "–"
    assert [seconds(s) for s in (1.23, 59.4, 59.9, 3725)] == [
        "1.2 s",
        "59 s",
        "1 min 0 s",
        "1 h 2 min",
    ]
    assert size(18_400_000) == "18 MB"
    assert plural(1, "class", "classes") == "1 class"
    assert plural(1200, "layer") == "1,200 layers"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert shortened("blocks.5.2.bn1", 9) == "bloc….bn1"
    assert shortened("blocks.5", 8) == "blocks.5"


def test_the_headline_says_what_was_done_to_the_network(make_data: MakeData) -> None:
    plan = make_data(("a", "b")).record.plan
    assert headline(plan) == (
        "3 layers removed; 6 layers stay frozen, 2 layers above train for 4 epochs, with new "
        "layers and a new classifier."
    )
    one = plan.model_copy(update={"trained": plan.trained[:1], "frozen": plan.frozen[:1]})
    assert "; 1 layer stays frozen, 1 layer above trains for 4 epochs, with" in headline(one)
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=1e-3, head_learning_rate=1e-3)
    whole = plan.model_copy(update={"removed": [], "action": FullTraining(recipe=recipe)})
    assert headline(whole) == (
        "Every layer trains from its pretrained weights for 1 epoch, with a new classifier."
    )
    norms = whole.model_copy(update={"action": FullTraining(recipe=recipe, part="norms")})
    assert headline(norms) == "Only 2 norm layers train for 1 epoch, with a new classifier."
    part = Adapters(rank=4, alpha=8)
    low = whole.model_copy(update={"action": FullTraining(recipe=recipe, part=part)})
    assert headline(low) == (
        "Low-rank adapters train in 2 layers for 1 epoch, with a new classifier."
    )
    head = TapsHead(taps=["blocks.5"])
    taken = plan.model_copy(update={"action": head, "frozen": plan.frozen[:1], "trained": []})
    assert headline(taken).startswith("The only layer that is kept stays frozen; a new classifier")
    adapted = TapsHead(taps=["blocks.5"], statistics="target")
    said = headline(plan.model_copy(update={"action": adapted, "removed": [], "trained": []}))
    assert said.startswith("All 6 layers stay frozen; a new classifier reads")
    assert said.endswith("measured anew on your images, before that.")
    both = Blend(members=[head, FullTraining(recipe=recipe)])
    assert headline(plan.model_copy(update={"action": both})) == (
        "2 models are averaged; in at least one of them 2 layers train, 6 layers stay frozen in "
        "all."
    )
    heads = plan.model_copy(update={"action": Blend(members=[head, head]), "trained": []})
    assert headline(heads) == (
        "2 models are averaged; all 6 layers stay frozen, new classifiers read them."
    )


def test_three_sentences_say_data_measurement_and_reason(make_data: MakeData) -> None:
    plan = make_data(("a", "b")).record.plan
    data, measured, settled = three_sentences(plan)
    assert data == (
        "2,099 training images in 2 classes are a medium number, and they differ from the "
        "network's pretraining images; the textbook would say: remove the high layers, new "
        "layers on the low ones."
    )
    assert "74.1% of left-out images at the last layer, 75.2% at blocks.5 and 79.0%" in measured
    assert (
        "of 2 options that train layers, 'cut after blocks.5 and train' came furthest" in measured
    )
    assert settled.startswith("On 700 left-out images")
    average = plan.candidates[0].model_copy(
        update={"name": "average of 'a' and 'b'", "kind": "blend", "score": 0.99}
    )
    averaged = plan.model_copy(update={"candidates": [*plan.candidates, average]})
    # it is made of options and none itself
    assert three_sentences(averaged)[1] == measured
    assert settled.endswith("so the decision is: cut after blocks.5 and train.")


def test_a_plan_that_was_given_has_its_own_reasons(make_data: MakeData) -> None:
    given = make_data(("a", "b"), given=True).record.plan
    assert three_sentences(given) == ["This plan was given, so nothing was measured for it."]
    told = given.model_copy(update={"explanation": ["One.", "Two.", "Three.", "Four."]})
    assert three_sentences(told) == ["Two.", "Three.", "Four."]
    edited = make_data(("a", "b")).record.plan
    edited = edited.model_copy(update={"reasons": [*edited.reasons, Given()]})
    assert three_sentences(edited)[-1].startswith("Nothing was decided anew")
