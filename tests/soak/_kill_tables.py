"""The page's text about kills, signals and faults, from the figures."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.soak._faults import FAULTS
from tests.soak._sharing import SHARING


def kills_table(found: dict[str, Any]) -> str:
    """Fits and other commands that were killed, and what was lost."""
    fits, commands = found.get("fits", {}), found.get("commands", {})
    kills = sum(count["kills"] for count in (*fits.values(), *commands.values()))
    losses = sum(len(count["losses"]) for count in (*fits.values(), *commands.values()))
    lines = [
        f"{kills} kills (SIGKILL) at random moments, {losses} losses. A run is killed up to eight"
        " times, with an empty store or a filled one; then the same command finishes, and"
        " `plan.json`, `metrics.json`, `audit.json` (without times), `predictions.csv` and every"
        " file of `model/` must have the bytes of a run that nobody disturbed. After every kill"
        " all files under final names must be whole.\n",
        "| command | kills | runs that finished | losses | kills that left a temporary file |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| fit: {name} | {c['kills']} | {c['runs']} | {len(c['losses'])} |"
        f" {c.get('half_written', 0)} |"
        for name, c in fits.items()
    ]
    lines += [
        f"| {name} | {c['kills']} | – | {len(c['losses'])} | {c['half_written']} left for good |"
        for name, c in commands.items()
    ]
    phases: Counter[str] = Counter()
    for count in fits.values():
        phases.update(count["phases"])
    where = ", ".join(f"{name} {n}" for name, n in phases.most_common())
    lines += [
        "",
        f"Kills by phase: {where}.",
        "",
        "From 500 images on, engines are timed once for a store, and another one has other last"
        " digits; so a run with a store of its own is told which engine was the fastest for the"
        " undisturbed run. In the runs named race these options were tried: "
        + (", ".join(found.get("raced", [])) or "not recorded")
        + ".",
        "",
    ]
    apart = [f"- {line}" for line in found.get("not_counted", [])]
    if apart:
        lines += ["Not in the table:", "", *apart, ""]
    return "\n".join(lines)


def sharing_text(found: dict[str, Any]) -> str:
    """Two commands at once."""
    lines = ["| two at once | rounds | kills | wrong |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {f.get('rounds', 0)} | {f.get('kills', 0)} | {len(f.get('wrong', []))} |"
        for name in SHARING
        if (f := found.get(name))
    ]
    return _filled(lines, "Two commands at once")


def signals_text(found: dict[str, Any]) -> str:
    """SIGINT and SIGTERM."""
    lines = [
        "| signal | sent | ended with message and code | had finished | had not begun | wrong |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {c['sent']} | {c['ended_so']} | {c['finished_first']} |"
        f" {c.get('before_it_began', 0)} | {len(c['wrong'])} |"
        for name, c in found.get("signals", {}).items()
    ]
    return _filled(lines, "Signals")


def faults_table(found: dict[str, Any]) -> str:
    """Disks, bytes, clocks and memory."""
    intro = (
        "Each command must end with one message and no traceback, or with the undisturbed result;"
        " once the fault is gone, the same command must reach that result. Where a library in C++"
        " finds no memory it may end the process itself; nothing is lost then either.\n"
    )
    lines = [
        "| fault | tries | right result | clear message | ended in a library | wrong |",
        "|---|---|---|---|---|---|",
    ]
    for group in FAULTS:
        lines += [
            f"| {name} | {c['tries']} | {c['right']} | {c['clear']} | {c['native']} |"
            f" {len(c['wrong'])} |"
            for name, c in found.get(group, {}).items()
            if isinstance(c, dict)
        ]
    return _filled(lines, "Disks, bytes, clocks and memory", intro)


def _filled(lines: list[str], what: str, intro: str = "") -> str:
    """A table with its introduction, or that there are no figures yet."""
    if len(lines) == 2:
        return f"{what}: not measured yet.\n"
    return "\n".join([*([intro] if intro else []), *lines, ""])
