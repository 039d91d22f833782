"""The decision follows the evidence, and says what it does to every layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frostline.backbones.network import Network
from frostline.core.actions import Adapters, FullTraining, SuffixTraining, TapsHead
from frostline.core.errors import PlanError
from frostline.core.plan import EvidenceSummary, Plan, ProbeEvidence, ShiftEvidence, SizeEvidence
from frostline.core.reasons import Fate, NotInstalled, NotWorthRacing, ToBeRaced
from frostline.core.settings import Settings
from frostline.evidence.evidence import Evidence
from frostline.strategy.candidates import adapters
from frostline.strategy.candidates.finetune_all import FIRMLY, GENTLY
from frostline.strategy.cases import CASES, prior_case
from frostline.strategy.context import Context
from frostline.strategy.cost import RACE_SHARE, Span, plan_work
from frostline.strategy.decide import Decision, decide, every_option
from frostline.strategy.expected_gain import expected_gain
from frostline.strategy.gates import makes_sense
from frostline.strategy.outlook import runner_up
from frostline.strategy.race import plan_race, share_of, shortened
from frostline.strategy.thresholds import FITTED
from frostline.training.layers import Layers, redescribe
from frostline.wording.decision import with_sentences
from frostline.wording.reasons import reason_sentence


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.load("resnet18", pretrained=False)


def summary(
    network: Network,
    *,
    n: int = 300,
    per_class: float = 60,
    label: str = "similar",
    kind: str = "none",
    accuracies: dict[str, float] | None = None,
    all_taps: float = 0.8,
    gap: float = 0.15,
) -> EvidenceSummary:
    found = dict.fromkeys(network.taps, 0.7) | (accuracies or {})
    best = max(found, key=lambda name: found[name])
    last = network.taps[-1]
    size: Any = "small" if n < 1000 else "large" if n >= 5000 else "medium"
    shift: dict[str, Any] = {"label": label, "kind": kind}
    return EvidenceSummary(
        size=SizeEvidence(
            n_images=n,
            n_classes=5,
            per_class=per_class,
            smallest_class=10,
            largest_class=99,
            label=size,
        ),
        shift=ShiftEvidence(
            measure="batchnorm",
            n_images=64,
            distance=0.4,
            interval=(0.3, 0.5),
            relative=3.0,
            early=0.4,
            middle=0.4,
            late=0.4,
            layers=[],
            **shift,
        ),
        probes=[probe(name, accuracy) for name, accuracy in found.items()],
        all_taps=probe("all", all_taps),
        best_tap=best,
        last_tap=last,
        cut_gain=found[best] - found[last],
        cut_gain_error=0.01,
        gap=gap,
        slope=0.02,
        headroom=1 - max(*found.values(), all_taps),
        chance=0.2,
    )


def probe(tap: str, accuracy: float) -> ProbeEvidence:
    return ProbeEvidence(
        tap=tap,
        dimensions=10,
        accuracy=accuracy,
        standard_error=0.02,
        balanced_accuracy=accuracy,
        mse=0.1,
        train_accuracy=0.95,
        alpha=1.0,
    )


def decision(network: Network, found: EvidenceSummary, **settings: Any) -> Decision:
    return decide(context_of(network, found, **settings))


def context_of(network: Network, found: EvidenceSummary, **settings: Any) -> Context:
    n = found.size.n_images
    places = np.arange(n)
    scores = {p.tap: p.accuracy for p in (*found.probes, found.all_taps)}
    evidence = Evidence(
        summary=found,
        rows=places,
        groups=places,
        ridge={},
        correct={tap: places < accuracy * n for tap, accuracy in scores.items()},
        compared=places,
    )
    chosen = Settings(**settings)
    inner = [] if chosen.cut is None else [chosen.cut]
    return Context(network.summary(inner=inner), evidence, chosen)


@pytest.mark.parametrize(
    ("n", "label", "case"),
    [
        (300, "similar", 1),
        (9000, "similar", 2),
        (300, "different", 3),
        (9000, "different", 4),
        (300, "moderate", 1),
        (2000, "similar", 1),
        (3000, "different", 4),
    ],
)
def test_size_and_shift_name_the_textbook_case(
    network: Network, n: int, label: str, case: int
) -> None:
    prior = prior_case(summary(network, n=n, label=label))
    assert prior is not None
    assert prior.number == case


def proposed(network: Network, n: int, label: str, **settings: Any) -> dict[str, Any]:
    """Every challenger, and how it trains."""
    found = summary(
        network, n=n, label=label, accuracies={"layer2": 0.75}, per_class=n / 5, all_taps=0.7
    )
    made = decision(network, found, **settings)
    return {entry.name: entry.action for entry in made.challengers}


@pytest.mark.parametrize("n", [300, 3000, 9000])
@pytest.mark.parametrize("gate", ["case", "options", "lower rate", "random head", "anchor", "gain"])
def test_a_shift_that_is_not_known_steers_nothing(network: Network, gate: str, n: int) -> None:
    """Options are those that size and probes alone would leave; nothing is added or kept near."""
    unknown = summary(network, n=n, label="unknown")
    large = n >= 3000
    if gate == "case":
        assert prior_case(unknown) is None
        assert decision(network, unknown).plan.prior_case is None
    elif gate == "options":
        every = [set(proposed(network, n, label)) for label in ("similar", "moderate", "different")]
        assert set.intersection(*every) <= set(proposed(network, n, "unknown")) <= set.union(*every)
    elif gate == "lower rate":
        assert makes_sense(unknown, "finetune", GENTLY) == large
    elif gate == "random head":
        assert makes_sense(unknown, "full") == large
    elif gate == "anchor":
        actions = proposed(network, n, "unknown", budget="10h").values()
        assert all(getattr(getattr(a, "recipe", None), "anchor", 0.0) == 0.0 for a in actions)
    else:
        assert runner_up(unknown, "train everything", 0.01) is None


@pytest.mark.parametrize(
    ("strategy", "case", "kind"),
    [
        ("head", 1, TapsHead),
        ("finetune", 2, FullTraining),
        ("cut", 3, SuffixTraining),
        ("full", 4, FullTraining),
    ],
)
def test_a_strategy_that_was_asked_for_is_carried_out(
    network: Network, strategy: str, case: int, kind: type
) -> None:
    made = decision(network, summary(network), strategy=strategy, effort="fast")
    assert made.plan.case == case
    assert isinstance(made.plan.action, kind)
    assert made.challengers == ()
    assert {c.strategy for c in CASES.values()} >= {strategy}


def test_few_similar_images_get_a_head_and_the_best_one(network: Network) -> None:
    plan = decision(network, summary(network, all_taps=0.8)).plan
    assert plan.action == TapsHead(taps=list(network.taps))
    assert not plan.trained
    # on equal scores the simpler head wins
    plan = decision(network, summary(network, all_taps=0.7)).plan
    assert plan.action == TapsHead(taps=[network.taps[-1]])


def names(made: Decision) -> list[str]:
    return [entrant.name for entrant in made.challengers]


def test_a_better_low_layer_lets_cuts_race(network: Network) -> None:
    lower = {"layer2": 0.9}
    found = summary(
        network, n=2000, label="similar", kind="feature", accuracies=lower, all_taps=0.85
    )
    made = decision(network, found, effort="best")
    cut = next(e for e in made.challengers if e.name == "cut after layer2 and train")
    assert isinstance(cut.action, SuffixTraining)
    assert (cut.action.keep_to, cut.action.freeze_to) == ("layer2", "layer1")
    parts = Layers.of(network, cut.action)
    assert parts.removed == ["layer3", "layer4"]
    assert parts.frozen == ["conv1", "bn1", "act1", "maxpool", "layer1"]
    assert parts.trained == ["layer2"]
    block = next(e for e in made.challengers if e.name == "new layers after layer2")
    assert Layers.of(network, block.action).trained == []
    assert Layers.of(network, block.action).new == ["new", "head"]


def test_without_a_better_low_layer_nothing_is_cut_near_the_source(network: Network) -> None:
    for label in ("moderate", "different"):
        found = summary(network, n=9000, label=label, kind="input", accuracies={"layer3": 0.6})
        found = found.model_copy(update={"best_below": "layer3"})
        made = decision(network, found, effort="best")
        assert bool([e for e in made.challengers if e.strategy == "cut"]) == (label == "different")
        assert {e.strategy for e in made.challengers} >= {"finetune", "full"}
        assert names(made)[0] == "train the top stage"
        assert "train the top half" in names(made)


@pytest.mark.parametrize(
    ("n", "effort", "entrants"),
    [
        (400, "balanced", ["train the whole network", "cut after layer2 and train", FIRMLY]),
        (400, "best", ["train the whole network", "cut after layer2 and train", FIRMLY]),
        (
            2000,
            "balanced",
            [
                "train the whole network",
                "cut after layer2 and train",
                FIRMLY,
                "fine-tune the whole network",
            ],
        ),
    ],
)
def test_the_few_that_are_likely_to_win_race(
    network: Network, n: int, effort: str, entrants: list[str]
) -> None:
    found = summary(network, n=n, label="different", accuracies={"layer2": 0.72})
    made = decision(network, found, effort=effort)
    assert names(made) == entrants


def test_where_time_is_given_every_option_races_on_many_images(network: Network) -> None:
    found = summary(network, n=2000, label="different", accuracies={"layer2": 0.72})
    for settings in ({"effort": "best"}, {"budget": "2h"}):
        every = names(decision(network, found, **settings))
        assert set(names(decision(network, found))) < set(every)
        assert "train the top half" in every


def test_a_race_that_gains_less_than_it_is_worth_is_not_run(network: Network) -> None:
    found = summary(network, n=2000, label="similar", all_taps=0.96, accuracies={"layer2": 0.72})
    made = decision(network, found)
    assert made.challengers
    (reason,) = made.plan.reasons
    assert isinstance(reason, ToBeRaced) and reason.gain is not None and reason.seconds is not None
    assert 0 < reason.gain < found.headroom
    assert "points a minute" in reason_sentence(reason)
    # few images of a class: next to nothing was ever gained
    few = summary(
        network, n=90, per_class=9, label="similar", all_taps=0.9, accuracies={"layer2": 0.92}
    )
    made = decision(network, few)
    assert made.challengers == ()
    (reason,) = made.plan.reasons
    assert isinstance(reason, NotWorthRacing) and reason.seconds > 0
    assert expected_gain(few) == reason.gain < FITTED.least_gain
    assert f"{reason.gain * 100:.1f} points" in reason_sentence(reason)
    # who gives the time gets the race
    assert decision(network, few, effort="best").challengers


@pytest.mark.parametrize(("n", "label", "count"), [(9000, "similar", 3), (9000, "different", 2)])
def test_more_than_one_rate_is_tried_and_low_ones_near_the_source(
    network: Network, n: int, label: str, count: int
) -> None:
    made = decision(network, summary(network, n=n, label=label), effort="best")
    tuned = [e for e in made.challengers if e.name[:4] == "fine"]
    rates = {e.name: e.action.recipe.learning_rate for e in tuned}  # type: ignore[union-attr]
    assert len(set(rates.values())) == len(rates) == count
    assert (GENTLY in rates) == (label == "similar")


def test_high_rates_need_some_images_of_every_class(network: Network) -> None:
    for per_class, tried in ((6, False), (12, True)):
        made = decision(network, summary(network, n=400, label="different", per_class=per_class))
        assert (FIRMLY in names(made)) == tried


def test_the_top_stage_and_half_lie_where_they_say(network: Network) -> None:
    made = decision(network, summary(network, n=2000), effort="best")
    actions = {e.name: e.action for e in made.challengers}
    top, half = actions["train the top stage"], actions["train the top half"]
    assert isinstance(top, SuffixTraining)
    assert isinstance(half, SuffixTraining)
    assert top.freeze_to == "layer3"
    assert half.freeze_to == "layer2"


def test_a_random_head_on_everything_needs_many_images(network: Network) -> None:
    assert "train the whole network" not in names(decision(network, summary(network, n=300)))
    assert "train the whole network" in names(decision(network, summary(network, n=9000)))


@pytest.mark.parametrize("change", [{"per_class": 3}, {"all_taps": 0.99}])
def test_training_is_not_tried_where_it_cannot_pay(
    network: Network, change: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"n": 9000, "label": "different", **change}
    made = decision(network, summary(network, **options))
    assert isinstance(made.plan.action, TapsHead)
    assert made.challengers == ()


def test_fast_never_trains_by_itself(network: Network) -> None:
    found = summary(network, n=9000, label="different")
    assert decision(network, found, effort="fast").challengers == ()
    made = decision(network, found, effort="balanced")
    assert made.challengers
    assert isinstance(made.plan.action, TapsHead), "until the race is run, the head is the plan"
    assert Fate.TO_BE_RACED in {c.fate for c in made.plan.candidates}
    (reason,) = made.plan.reasons
    assert isinstance(reason, ToBeRaced) and reason.averaged_below is None


@pytest.mark.parametrize(("n", "averaged_below"), [(499, 500), (500, None)])
def test_before_a_race_the_plan_says_whether_the_best_will_be_averaged(
    network: Network, n: int, averaged_below: int | None
) -> None:
    made = decision(network, summary(network, n=n, label="different"))
    assert made.challengers
    (reason,) = made.plan.reasons
    assert isinstance(reason, ToBeRaced) and reason.averaged_below == averaged_below
    (said,) = map(reason_sentence, made.plan.reasons)
    assert ("the best of all are averaged" in said) == (averaged_below is not None)


def test_without_pytorch_the_best_head_is_taken_and_the_plan_names_what_could_not_run(
    network: Network,
) -> None:
    context = context_of(network, summary(network, n=9000, label="different"))
    able = decide(context)
    made = decide(replace(context, can_train=False))
    assert made.challengers == ()
    assert made.plan.action == able.plan.action
    left = [c.name for c in made.plan.candidates if c.fate is Fate.NOT_INSTALLED]
    assert left == names(able) != []
    assert made.plan.reasons == [NotInstalled(extra="train", names=left)]
    said = with_sentences(made.plan)
    for word in ("could not run", left[0], left[-1], "pip install 'frostline[train]'"):
        assert word in " ".join(said.explanation)
    assert "frostline[train]" in next(c.stopped for c in said.candidates if c.name == left[0])
    # what is not tried anyway needs no extra
    easy = context_of(network, summary(network, n=9000, all_taps=0.99))
    assert decide(replace(easy, can_train=False)) == decide(easy)


def test_a_budget_buys_epochs_and_never_none(network: Network) -> None:
    def epochs(budget: float) -> int:
        return plan_work(
            network.summary(),
            Span(),
            n_images=1000,
            refits=1,
            budget=budget,
            most_epochs=10,
            device="cpu",
        ).epochs

    assert epochs(1) == 1
    assert epochs(1e9) == 10
    found = [epochs(budget) for budget in (300, 900, 2700)]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_parts_refuse_to_freeze_above_the_cut(network: Network) -> None:
    made = decision(network, summary(network), strategy="cut", cut="layer3")
    action = made.plan.action
    assert isinstance(action, SuffixTraining)
    with pytest.raises(PlanError, match="must lie below"):
        Layers.of(network, action.model_copy(update={"freeze_to": "layer3"}))


def test_adapters_are_studied_not_raced(network: Network) -> None:
    found = summary(network, n=2000, label="different")
    context = context_of(network, found)
    (option,) = [p for p in every_option(context) if p.name == adapters.NAME]
    assert isinstance(option.action, FullTraining)
    assert isinstance(option.action.part, Adapters)
    assert option.action.recipe.norm_mode == "train"
    assert adapters.NAME not in names(decide(context))
    parts = Layers.of(network, option.action)
    assert parts.trained[0] == "conv1"
    assert "layer4.1.conv2" in parts.trained
    assert not any("bn" in layer or "fc" in layer for layer in parts.trained)
    assert parts.frozen == network.layers()
    lower = Layers.of(network, option.action.model_copy(update={"keep_to": "layer2"}))
    assert lower.trained == [n for n in parts.trained if not n.startswith(("layer3", "layer4"))]


def test_a_plan_with_adapters_is_written_and_read_back(network: Network, tmp_path: Path) -> None:
    context = context_of(network, summary(network, n=2000))
    action = next(p.action for p in every_option(context) if p.name == adapters.NAME)
    plan = decide(context).plan.model_copy(update={"action": action})
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    read = Plan.from_file(path)
    assert read == plan
    assert redescribe(read, network).trained == Layers.of(network, action).trained
    assert isinstance(action, FullTraining)
    assert isinstance(action.part, Adapters)
    part = f'"rank": {action.part.rank}'
    assert part in plan.to_json()
    path.write_text(plan.to_json().replace(part, '"rank": 0'))
    with pytest.raises(PlanError, match=r"adapters\.rank: input should be greater than"):
        Plan.from_file(path)


def test_plans_from_before_there_were_adapters_are_read(network: Network, tmp_path: Path) -> None:
    made = decision(network, summary(network, n=2000), strategy="finetune").plan
    path = tmp_path / "plan.json"
    path.write_text(made.to_json())
    assert '"part": "all"' in made.to_json()
    assert Plan.from_file(path) == made
    path.write_text(made.to_json().replace('"part": "all"', '"part": "most"'))
    with pytest.raises(PlanError, match="'all' or 'norms'"):
        Plan.from_file(path)


def test_a_race_is_planned_from_the_budget_and_fits_into_its_share(network: Network) -> None:
    found = summary(network, n=2000, accuracies={"layer2": 0.72})
    heard = {}
    for budget in ("30s", "30m", "40h"):
        context = context_of(network, found, budget=budget)
        made = decide(context)
        work = plan_race(context, [made.head], made.challengers)
        heard[budget] = work
        allowed = RACE_SHARE * context.settings.budget_seconds
        assert work.seconds <= allowed
        assert {e.proposal.name for e in work.entries} | set(work.left_out) == {
            made.head.name,
            *names(made),
        }
        assert set(work.left_out.values()) <= {Fate.TOO_EXPENSIVE}
        again = plan_race(context, [made.head], made.challengers)
        assert again == work
    assert len(heard["30s"].entries) < len(heard["40h"].entries) == len(names(made)) + 1
    for one in heard["40h"].entries:
        assert one.action == shortened(one.proposal.action, share_of(2000))
    by_name = {e.proposal.name: e.action for e in heard["40h"].entries}
    for one in heard["30m"].entries:
        assert one.action.epochs <= by_name[one.proposal.name].epochs
