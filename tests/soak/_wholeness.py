"""After a kill: every file that bears its final name is whole; half-written ones are counted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from frostline.compute.cache.locations import checked
from frostline.compute.cache.store import SHARD_SUFFIX, whole
from tests.soak._runs import digest

_JSON = ("settings.json", "plan.json", "metrics.json", "audit.json", "report.json")


def broken(run: Path, cache: Path, reference: dict[str, str]) -> list[str]:
    """Name the files under final names that are not what a whole run has there."""
    return [*_of_run(run, reference), *_of_checkpoints(run), *_of_cache(cache)]


def half_written(*folders: Path) -> list[Path]:
    """Files that were left under temporary names."""
    return [
        path
        for folder in folders
        for path in folder.rglob(".*")
        if path.is_file() and (path.suffix == ".tmp" or path.name.startswith(".tmp"))
    ]


def _of_run(run: Path, reference: dict[str, str]) -> list[str]:
    found = []
    for name in _JSON:
        path = run / name
        if path.exists() and not _is_json(path.read_text()):
            found.append(name)
    for line in _lines(run / "log.jsonl"):
        if not _is_json(line):
            found.append("log.jsonl")
    page = run / "report.html"
    if page.exists() and not page.read_text().rstrip().endswith("</html>"):
        found.append("report.html")
    # these have the same bytes in every run of the same settings
    for name in ("predictions.csv", "catalog.csv", "model/model.json", *_weights(reference)):
        path = run / name
        if path.exists() and digest(path) != reference[name]:
            found.append(name)
    if (run / "metrics.json").exists():
        found += [f"no {name}" for name in reference if not (run / name).exists()]
    return found


def _weights(reference: dict[str, str]) -> list[str]:
    return [name for name in reference if name.endswith((".safetensors", ".onnx"))]


def _of_checkpoints(run: Path) -> list[str]:
    found = []
    for state in run.glob("checkpoints/**/state.json"):
        for entry in json.loads(state.read_text())["files"].values():
            path = state.parent / entry["name"]
            intact = path.exists() and (
                hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
            )
            if not intact:
                found.append(str(path.relative_to(run)))
    return found


def _of_cache(cache: Path) -> list[str]:
    shards = [path for path in cache.rglob(f"*{SHARD_SUFFIX}") if not whole(path)]
    others = [*cache.glob("engines/*.onnx"), *cache.glob("choices/*.json")]
    damaged = [path for path in others if checked(path.read_bytes()) is None]
    return [str(path.relative_to(cache)) for path in (*shards, *damaged)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
