"""Small plots stand for their numbers, fit into 80 columns, and do without colour and Unicode."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from frostline.cli.advise import advice_parts
from frostline.cli.depth import depth_table, layer_strip, shift_of_taps, span, spark_rows
from frostline.cli.plots import ASCII, BLOCKS, axis, bar, dot, letters, spark
from frostline.cli.show import result_panel
from frostline.core.actions import TapsHead
from frostline.core.plan import Plan
from frostline.evidence.shift import unmeasured
from frostline.fitting.run_result import RunResult
from frostline.wording.decision import with_sentences

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result(fast_run: RunResult) -> RunResult:
    return fast_run


def written(*parts: RenderableType, width: int = 80, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding), width=width, highlight=False)
    for part in parts:
        console.print(part)
    console.file.flush()
    return raw.getvalue().decode(encoding)


def test_bars_and_dots_stand_for_their_numbers() -> None:
    assert bar(0.5, 1.0, 8) == "████"
    assert bar(1.0, 16.0, 2) == "▏"
    assert bar(3.0, 1.0, 4) == "████"
    assert bar(-1.0, 1.0, 4) == bar(1.0, 0.0, 4) == ""
    assert bar(0.5, 1.0, 8, ASCII) == "####"
    assert dot(0.5, 0.2, (0.0, 1.0), 11) == "···━━●━━···"
    assert dot(0.0, 0.0, (0.0, 1.0), 5) == "●····"
    assert dot(2.0, 0.1, (0.0, 1.0), 5) == "····●"
    assert dot(0.5, 0.0, (0.0, 1.0), 5, ASCII) == "..o.."
    assert spark([0, 1, 0.5]) == "▁█▅"
    assert spark([0.3, 0.3]) == "▁▁"
    assert spark([0.18, 0.17, 0.02], lowest=0.0) == "██▂"
    assert axis((0.5, 1.0), 12) == "50%     100%"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    def of(encoding: str) -> Console:
        return Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))

    assert letters(of("utf-8")) is BLOCKS
    assert letters(of("ascii")) is letters(of("latin-1")) is ASCII


@pytest.mark.parametrize("width", [80, 120])
def test_every_face_fits_and_needs_no_colour(result: RunResult, width: int) -> None:
    said = written(*advice_parts(result.plan), result_panel(result), width=width)
    lines = said.splitlines()
    assert max(map(len, lines)) <= width
    assert "\x1b" not in said
    assert "…" not in said
    for words in ("Decision", "Accuracy", "Why", "By depth", "Layers", "blocks.3"):
        assert words in said


def test_every_face_is_ascii_where_it_has_to_be(result: RunResult) -> None:
    plots = [depth_table(result.plan, ASCII), layer_strip(result.plan, ASCII)]
    said = written(*(part for part in plots if part is not None), encoding="ascii")
    assert "#" in said and "o" in said


def test_dots_lie_between_the_ends_of_their_axis(result: RunResult) -> None:
    evidence = result.plan.evidence
    assert evidence is not None
    probes = [*evidence.probes, evidence.all_taps]
    low, high = span(probes)
    assert 0 <= low < min(p.accuracy for p in probes)
    assert max(p.accuracy for p in probes) <= high <= 1
    said = written(depth_table(result.plan) or "")
    assert said.count("●") == len(probes)
    assert f"{evidence.best_tap} *" in said


def test_shift_is_shared_out_over_the_depths(result: RunResult) -> None:
    evidence = result.plan.evidence
    assert evidence is not None
    found = shift_of_taps(evidence)
    assert len(found) == len(evidence.probes)
    layers = {layer.layer: layer.shift for layer in evidence.shift.layers}
    assert found[0] == pytest.approx(layers["bn1"])
    third = [s for name, s in layers.items() if name.startswith("blocks.2.")]
    assert found[3] == pytest.approx(sum(third) / len(third))
    unknown = evidence.model_copy(
        update={"shift": evidence.shift.model_copy(update={"layers": []})}
    )
    assert shift_of_taps(unknown) == [None] * len(evidence.probes)
    assert "shift" not in written(
        depth_table(result.plan.model_copy(update={"evidence": unknown})) or ""
    )


def test_panels_name_no_case_and_no_distance_that_nobody_knows(result: RunResult) -> None:
    evidence = result.plan.evidence
    assert evidence is not None
    changes = {
        "evidence": evidence.model_copy(update={"shift": unmeasured("")}),
        "prior_case": None,
    }
    plan = with_sentences(result.plan.model_copy(update=changes))
    unknown = replace(result, record=result.record.model_copy(update={"plan": plan}))
    for said in (
        written(*advice_parts(plan), width=200),
        written(result_panel(unknown), width=200),
        plan._repr_html_(),
    ):
        assert "not known" in said
        assert not re.search(r"case \d|of 4|0\.00 \[|similar|kind:", said)
    assert "(case 1)" in written(result_panel(result), width=200)


def test_the_strip_shows_every_layer_and_the_line(result: RunResult) -> None:
    plan = result.plan.model_copy(
        update={"frozen": ["a", "b"], "trained": ["c"], "removed": ["d", "e"], "new": ["head"]}
    )
    assert layer_strip(plan).plain == "■■│▲◆  ××"
    frozen = plan.model_copy(update={"trained": [], "removed": []})
    assert layer_strip(frozen).plain == "■■│◆"
    trained = plan.model_copy(update={"frozen": [], "removed": []})
    assert layer_strip(trained).plain == "│▲◆"
    deep = plan.model_copy(update={"frozen": [f"layer.{i}" for i in range(400)]})
    assert len(layer_strip(deep).plain) < 60


def test_the_frost_line_runs_through_the_table(result: RunResult) -> None:
    plan = result.plan.model_copy(
        update={
            "frozen": ["conv_stem", "bn1", "blocks.0", "blocks.1"],
            "trained": [*(f"blocks.{i}" for i in range(2, 7)), "conv_head", "bn2"],
        }
    )
    lines = written(depth_table(plan) or "").splitlines()
    place = next(i for i, line in enumerate(lines) if "frost line" in line)
    assert lines[place - 1].startswith("blocks.1")
    assert lines[place + 1].startswith("blocks.2")


def test_a_plan_without_evidence_shows_what_it_has(result: RunResult) -> None:
    given = Plan.model_validate(
        {**result.plan.model_dump(), "evidence": None, "candidates": [], "explanation": []}
    )
    assert depth_table(given) is None
    assert spark_rows(given) == []
    said = written(
        *advice_parts(given),
        result_panel(replace(result, record=result.record.model_copy(update={"plan": given}))),
    )
    assert "By depth" not in said
    assert isinstance(given.action, TapsHead)


def test_inspect_draws_the_frost_line_and_survives_a_plain_terminal() -> None:
    command = [sys.executable, "-m", "frostline", "inspect", "efficientnet_lite0"]
    done = subprocess.run(
        [*command, "--freeze-to", "blocks.3"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80", "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode("ascii").splitlines()
    assert max(map(len, lines)) <= 80
    place = next(i for i, line in enumerate(lines) if "frost line" in line)
    assert lines[place - 1].startswith("blocks.3")
    assert "####" in done.stdout.decode("ascii")
