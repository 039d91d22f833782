"""What was fed to Frostline and what came of it, in words."""

from __future__ import annotations

from typing import Any


def section(found: dict[str, Any]) -> str:
    """Write what was fed and what came of it."""
    text = [
        "Hostile files are made from a fixed seed (`tests/soak/_hostile.py`): every mode"
        " and format that Pillow can write, files cut off, flipped and spliced, bombs, metadata of"
        " megabytes, every orientation. Each is decoded in a process with bounded memory. *Fine*"
        " means decoded to RGB, *refused* that one of Frostline's own errors named a reason.\n"
    ]
    for part in ("images", "tables"):
        if part in found:
            text += _table(found[part])
    if "commands" in found:
        text += _commands_in_words(found["commands"])
    if "beside" in found:
        text += _beside_in_words(found["beside"])
    return "\n".join(text) + "\n"


def _table(part: dict[str, Any]) -> list[str]:
    rows = ["| kind | files | fine | refused | escaped, killed or hung |", "|---|---|---|---|---|"]
    for kind, counts in part["by_kind"].items():
        total = sum(counts.values())
        fine, refused = counts.get("fine", 0), counts.get("refused", 0)
        rows.append(f"| {kind} | {total} | {fine} | {refused} | {total - fine - refused} |")
    slowest = part["slowest"]
    rows.append(
        f"\n{part['files']:,} files; the slowest took {slowest['seconds']:.1f} s"
        f" ({slowest['kind']}); memory peaked at {part['peak_mb']:,.0f} MB of"
        f" {part['limit_mb']:,} allowed.\n"
    )
    return rows


def _commands_in_words(part: dict[str, Any]) -> list[str]:
    codes = ", ".join(f"`{one['command']}` {one['exit']}" for one in part["commands"])
    text = [
        f"Whole commands on a folder of {part['hostile']:,} hostile files, {part['names']} odd"
        f" names and {len(part['things'])} links, pipes, sockets and devices, among good images:"
        f" exit codes {codes}."
    ]
    if "named" in part:
        named = part["named"]
        text.append(
            f"Of {named['refused']:,} refused files `audit.json` names {named['named']:,} with a"
            f" reason. `fit` took at most {part['peak_mb']:,} MB."
        )
    return text


def _beside_in_words(same: dict[str, Any]) -> list[str]:
    if "weights" not in same:
        return [f"The fit beside refused files ended with exit code {same['fit']['exit']}."]
    return [
        f"With {same['beside']:,} refused files beside {same['images']} good ones, the weights are"
        f" {_same(same['weights'])}, the evaluation {_same(same['evaluation'])}, and the"
        f" predictions {_same(same['predictions'])}.\n"
    ]


def _same(yes: bool) -> str:
    return "the same, bit for bit" if yes else "NOT the same"
