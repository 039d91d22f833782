"""Rooms import only from floors below; heavy imports wait."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import frostline

ROOT = Path(str(frostline.__file__)).parent

FLOORS = {
    **dict.fromkeys(
        (
            *("errors", "settings", "plan", "preprocessing", "reading_rules", "progress", "timing"),
            *("files", "machine", "notebook", "onnx_runtime", "_version"),
        ),
        0,
    ),
    **dict.fromkeys(("images", "backbone", "linear", "evaluation"), 1),
    "features": 2,
    **dict.fromkeys(("evidence", "training", "explain"), 3),
    "strategy": 4,
    **dict.fromkeys(("procedure", "assess"), 5),
    **dict.fromkeys(("artifact", "report"), 6),
    **dict.fromkeys(("publish", "pipeline", "exporting", "tracking"), 7),
    **dict.fromkeys(("cli", "serve", "estimator", "lightning", "nn", "__init__", "__main__"), 8),
}
#: rooms of one floor that may see each other, in this direction only
BESIDE = {
    ("assess", "procedure"),
    ("pipeline", "publish"),
    ("preprocessing", "reading_rules"),
    ("settings", "errors"),
    ("settings", "machine"),
    ("files", "machine"),
    ("plan", "errors"),
    ("plan", "files"),
    ("plan", "notebook"),
    ("files", "errors"),
    ("cli", "serve"),
    ("__main__", "cli"),
}


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("frostline.")}
    return found


def test_every_room_imports_only_from_floors_below() -> None:
    wrong = []
    for file in ROOT.rglob("*.py"):
        room = room_of(file)
        for other in imported_rooms(file) - {room}:
            below = FLOORS[other] < FLOORS[room] or (room, other) in BESIDE
            if not below:
                wrong.append(f"{file.relative_to(ROOT)} imports {other}")
    assert not wrong


def test_help_and_prediction_need_no_pytorch() -> None:
    code = (
        "import sys, frostline.cli.main, frostline.cli.predict, frostline.artifact.model;"
        "import frostline.cli.serve, frostline.cli.export;"
        "print([m for m in ('torch', 'timm', 'sklearn', 'pandas') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_fit_imports_only_what_it_uses() -> None:
    # each of them takes a second on a slow machine
    code = (
        "import sys, frostline.pipeline, frostline.cli.main;"
        "print([m for m in ('scipy.stats', 'sklearn', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
