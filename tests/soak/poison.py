"""Feed it poison: hostile images, names, folders and tables; nothing may crash, hang or spread."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from frostline.data.decoding.decode import EXTENSIONS
from frostline.data.naming import printable
from tests.soak import record
from tests.soak._contained import COMMAND_BYTES, DECODER_BYTES, Outcome, contained, tried
from tests.soak._hostile import corpus, picture
from tests.soak._places import plant_names, plant_things
from tests.soak._poison_page import section
from tests.soak._tables import plant_good, tables

__all__ = ["ORDER", "TITLE", "run", "section"]

ORDER = 2
TITLE = "Feed it poison"

_DIGITS = (0, 1, 4)
_PER_CLASS = 24
#: rows of the long tables
_ROWS = 1_000_000
#: seconds that a whole command may take
_PATIENCE = 600.0
#: refused files beside good ones: from 500 files on the fastest engine is looked for, and engines
#: agree in the first five digits only
_BESIDE = 400
#: of the reasons, so many are listed
_REASONS = 25


def run(work: Path, until: float) -> None:
    """Attack the decoder, the tables and the commands; what is done already is not repeated."""
    found = record.read("poison")
    attacks = {"images": _images, "tables": _tables, "commands": _commands, "beside": _beside}
    for name, attack in attacks.items():
        if name in found or time.monotonic() > until:
            continue
        folder = work / name
        folder.mkdir()
        result = attack(folder, until)
        if result is not None:
            found[name] = result
            record.write("poison", found)


# ---------------------------------------------------------------- files, one at a time


def _images(work: Path, until: float) -> dict[str, Any] | None:
    kinds = {}
    for number, one in enumerate(corpus()):
        path = work / f"{number}.{one.ending}"
        path.write_bytes(one.content)
        kinds[path] = one.kind
    outcomes = list(tried("decode", kinds, until=until))
    return None if len(outcomes) < len(kinds) else _counted(outcomes, kinds, DECODER_BYTES)


def _tables(work: Path, until: float) -> dict[str, Any] | None:
    plant_good(work, _good_images(4))
    kinds = {}
    for kind, name, content in tables(_ROWS):
        (work / name).write_bytes(content)
        kinds[work / name] = f"table: {kind}"
    outcomes = list(tried("open", kinds, until=until))
    return None if len(outcomes) < len(kinds) else _counted(outcomes, kinds, DECODER_BYTES)


def _counted(outcomes: list[Outcome], kinds: dict[Path, str], limit: int) -> dict[str, Any]:
    by_kind: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        by_kind.setdefault(kinds[outcome.path], Counter())[outcome.how] += 1
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    reasons = Counter(
        outcome.what.replace(f"{outcome.path.parent}/", "")
        for outcome in outcomes
        if outcome.how == "refused"
    )
    bad = [o for o in outcomes if o.how not in ("fine", "refused")]
    return {
        "files": len(outcomes),
        "by_kind": {kind: dict(counts) for kind, counts in by_kind.items()},
        "reasons": dict(reasons.most_common(_REASONS)),
        "bad": [{"kind": kinds[o.path], "how": o.how, "what": o.what} for o in bad],
        "slowest": {"kind": kinds[slowest.path], "seconds": slowest.seconds},
        "peak_mb": max(outcome.peak_mb for outcome in outcomes),
        "limit_mb": limit // 2**20,
    }


# ---------------------------------------------------------------- whole commands


def _commands(work: Path, until: float) -> dict[str, Any] | None:
    """Fit, advise, predict and evaluate with everything in one folder, among good images."""
    everything, run = work / "everything", work / "all"
    _write_good(everything)
    outside = work / "outside.png"
    outside.write_bytes(_good_images(1)[0])
    classes = sorted(everything.iterdir())
    planted = plant_names(classes[0], outside.read_bytes())
    things = plant_things(classes[1], outside)
    refused = _refused_among(_plant_hostile(classes), until)
    if refused is None:
        return None
    commands = {
        "fit": ["fit", str(everything), "-o", str(run), "--effort", "fast"],
        "advise": ["advise", str(everything)],
        "predict": ["predict", str(run), str(everything)],
        "predict --csv": ["predict", str(run), str(everything), "--csv"],
        "evaluate": ["evaluate", str(run), str(everything)],
    }
    said = [
        _said(name, contained(command, seconds=_PATIENCE, cache=work / "cache"))
        for name, command in commands.items()
    ]
    result: dict[str, Any] = {
        "hostile": sum(1 for path in everything.rglob("h*") if path.is_file()),
        "refused": len(refused),
        "names": planted,
        "things": things,
        "limit_mb": COMMAND_BYTES // 2**20,
        "commands": said,
    }
    audit = run / "audit.json"
    if audit.exists():
        result["named"] = _named(json.loads(audit.read_text()), refused, everything, things)
        metrics = json.loads((run / "metrics.json").read_text())
        result["peak_mb"] = round(metrics["peak_memory_bytes"] / 2**20)
    return result


def _plant_hostile(classes: list[Path]) -> list[Path]:
    """Write the corpus into the folders of classes, in turn."""
    written = []
    for number, one in enumerate(corpus()):
        if f".{one.ending}" in EXTENSIONS:
            path = classes[number % len(classes)] / f"h{number}.{one.ending}"
            path.write_bytes(one.content)
            written.append(path)
    return written


def _refused_among(paths: list[Path], until: float) -> list[Path] | None:
    outcomes = list(tried("decode", paths, until=until))
    if len(outcomes) < len(paths):
        return None
    return sorted(outcome.path for outcome in outcomes if outcome.how == "refused")


def _said(name: str, done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    errors = done.stderr.decode(errors="replace")
    traceback = errors[errors.find("Traceback") :][-400:] if "Traceback" in errors else ""
    return {"command": name, "exit": done.returncode, "traceback": traceback}


def _named(
    audit: dict[str, Any], refused: Iterable[Path], folder: Path, things: list[str]
) -> dict[str, int]:
    """Count what was refused, and what of it the audit names with a reason."""
    said = {entry["path"] for entry in audit["unreadable"] if entry["reason"]}
    names = {printable(str(path.relative_to(folder))) for path in refused}
    missing = {name for name in things if name.endswith(".png")} - {
        Path(name).name for name in said
    }
    # one leads to an image, and one is a folder: neither is refused
    return {
        "refused": len(names),
        "named": len(names & said),
        "things_unnamed": len(missing - {"outside.png", "folder.png"}),
    }


def _beside(work: Path, until: float) -> dict[str, Any] | None:
    """Compare fits and predictions of good images, without and with refused files beside them."""
    clean, beside = work / "clean", work / "beside"
    for folder in (clean, beside):
        _write_good(folder)
    classes = sorted(beside.iterdir())
    written = _plant_hostile(classes)
    refused = _refused_among(written, until)
    if refused is None:
        return None
    kept = set(refused[:_BESIDE])
    for path in written:
        if path not in kept:
            path.unlink()
    runs = {}
    for name, folder in (("clean", clean), ("beside", beside)):
        run = work / f"run-{name}"
        command = ["fit", str(folder), "-o", str(run), "--effort", "fast"]
        done = contained(command, seconds=_PATIENCE, cache=work / f"cache-{name}")
        if done.returncode:
            return {"fit": _said(name, done)}
        runs[name] = run
    weights = [(runs[name] / "model" / "weights.safetensors").read_bytes() for name in runs]
    tables = [_rows(runs[name] / "predictions.csv") for name in runs]
    answers = []
    for folder in (clean, beside):
        done = contained(
            ["predict", str(runs["clean"]), str(folder), "--json"],
            seconds=_PATIENCE,
            cache=work / "cache",
        )
        said = json.loads(done.stdout)
        answers.append(
            {
                str(Path(one["path"]).relative_to(folder)): one["probabilities"]
                for one in said
                if "probabilities" in one
            }
        )
    return {
        "weights": weights[0] == weights[1],
        "evaluation": tables[0] == tables[1],
        "predictions": answers[0] == answers[1],
        "images": len(answers[0]),
        "beside": len(kept),
    }


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def _write_good(folder: Path) -> None:
    data = load_digits()
    for digit in _DIGITS:
        target = folder / f"digit {digit}"
        target.mkdir(parents=True)
        for number in np.flatnonzero(data.target == digit)[:_PER_CLASS]:
            grey = Image.fromarray((data.images[number] * 15.9).astype(np.uint8))
            grey.resize((64, 64)).save(target / f"{number}.png")


def _good_images(count: int) -> list[bytes]:
    images = []
    for number in range(count):
        stream = io.BytesIO()
        picture(number=number).save(stream, "PNG")
        images.append(stream.getvalue())
    return images
