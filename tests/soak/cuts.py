"""Cut, freeze and train the smallest member of every architecture family, and check everything.

    python -m tests.soak.cuts                 # all families of timm and torchvision, about 40 min
    python -m tests.soak.cuts --only resnet vit   # only families named so; the others are kept

Every network gets random weights (constant ones moved off their start, dropout and stochastic
depth switched on where the network offers them) and runs in a process of its own. The results go
to ``benchmarks/results/cuts.json`` and, as a table, to ``docs/cuts.md``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import re
import resource
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.models._registry import _model_to_module

from frostline.backbones.conformance import PROMISES, check, shake
from frostline.backbones.graph.tracer import FORWARD_ERRORS
from frostline.backbones.load import torchvision_names, torchvision_source, zoo

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "cuts.json"
TABLE = ROOT / "docs" / "cuts.md"

MAX_BYTES = 2 * 1024**3
USUAL_SIZE = 224
TIMEOUT = 1500
SEED = 0


def timm_families() -> dict[str, str]:
    """Name of the smallest member of every module of timm, by module."""
    smallest: dict[str, tuple[tuple[bool, int], str]] = {}
    for name in timm.list_models():
        family = _model_to_module[name]
        entry = zoo.measured(name)
        # members for large images only come last: the family should run at 224 pixels
        rank = (entry.size > 256, entry.parameters)
        if family not in smallest or rank < smallest[family][0]:
            smallest[family] = (rank, name)
    return {family: name for family, (_, name) in sorted(smallest.items())}


def torchvision_families() -> dict[str, str]:
    """Name of the smallest classification network of every family of torchvision, by family."""
    smallest: dict[str, tuple[int, str]] = {}
    for name in torchvision_names.names():
        size = int(torchvision_names.weights_entry(name).meta["num_params"])
        family = re.match(r"[a-z]+(?:_v2|_v3|_x|_y)?|", name)[0]  # type: ignore[index]
        if family not in smallest or size < smallest[family][0]:
            smallest[family] = (size, name)
    return {f"torchvision {f}": f"torchvision:{n}" for f, (_, n) in sorted(smallest.items())}


def build(name: str) -> torch.nn.Module:
    """Make a network with random, not degenerate weights and with dropout."""
    torch.manual_seed(SEED)
    if name.startswith("torchvision:"):
        module = torchvision_source.from_torchvision(name, weights=None, pretrained=False).net
    else:
        for extra in ({"drop_rate": 0.2, "drop_path_rate": 0.2}, {"drop_rate": 0.2}, {}):
            try:
                module = timm.create_model(name, pretrained=False, **extra)
                break
            except TypeError:
                continue
    shake(module, SEED)
    return module.eval()


def example_for(module: torch.nn.Module, own: int) -> torch.Tensor | None:
    """Two images of 224 pixels, or of the network's own size if it wants that."""
    generator = torch.Generator().manual_seed(SEED)
    for size in dict.fromkeys((USUAL_SIZE, own)):
        images = torch.randn(2, 3, size, size, generator=generator)
        try:
            with torch.no_grad():
                module(images.clone())
        except FORWARD_ERRORS:
            continue
        return images
    return None


def study(name: str, own: int) -> dict[str, Any]:
    """Check one network; runs in its own process."""
    started = time.perf_counter()
    module = build(name)
    images = example_for(module, own)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found: dict[str, Any] = {"network": name}
    if images is None:
        return found | {"skipped": "runs neither at 224 px nor at its own size"}
    if peak > MAX_BYTES:
        return found | {"skipped": f"needs {peak / 1024**3:.1f} GB to run"}
    result = check(module, images)
    return found | {
        "pixels": images.shape[-1],
        "parameters": sum(p.numel() for p in module.parameters()),
        "cuts": result.cuts,
        "passed": result.passed,
        "failures": result.failures,
        "error": result.error,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _child(name: str, own: int, pipe: Any) -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    pipe.send(study(name, own))


def in_own_process(name: str, own: int) -> dict[str, Any]:
    """Run :func:`study` where a crash or too much memory cannot hurt the others."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(name, own, send))
    process.start()
    send.close()
    try:
        found: dict[str, Any] = (
            receive.recv() if receive.poll(TIMEOUT) else {"network": name, "error": "timed out"}
        )
    except EOFError:
        found = {"network": name, "error": "the process died"}
    process.kill()
    process.join()
    return {"passed": False} | found if "skipped" not in found else found


def write_table(results: dict[str, dict[str, Any]], machine: dict[str, str]) -> None:
    """Write the results as a page of the documentation."""
    tried = {f: r for f, r in results.items() if "skipped" not in r}
    passed = [f for f, r in tried.items() if r["passed"]]
    lines = [
        "# Which networks can be cut",
        "",
        "This page is written by `python -m tests.soak.cuts`; do not edit it.",
        "",
        f"**{len(passed)} of {len(tried)} architecture families keep every promise "
        f"({len(passed) / len(tried):.1%}).** From each family of timm {machine['timm']} and "
        f"torchvision {machine['torchvision']} the smallest member ran, with random weights "
        "that hide nothing, at 224 pixels or its own size. The promises, each compared with the "
        "uncut network:",
        "",
        *(f"- {promise}" for promise in PROMISES),
        "",
        "| family | network | pixels | cuts | keeps every promise |",
        "|---|---|---|---|---|",
    ]
    for family, r in tried.items():
        word = (
            "yes"
            if r["passed"]
            else f"**no**: {r['error'] or '; '.join(map(': '.join, r['failures'].items()))}"
        )
        said = f"`{r['network']}` | {r.get('pixels', '')} | {r.get('cuts', '')} | {word}"
        lines.append(f"| {family} | {said} |")
    left = {f: r for f, r in results.items() if "skipped" in r}
    if left:
        lines += ["", "Not tried, because the smallest member is too large:", ""]
        lines += [f"- {f} (`{r['network']}`): {r['skipped']}" for f, r in left.items()]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="*", default=[], help="families whose name contains one of these"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    families = timm_families() | torchvision_families()
    if chosen.only:
        families = {f: n for f, n in families.items() if any(word in f for word in chosen.only)}
    work = {f: zoo.measured(n) for f, n in families.items()}
    results: dict[str, dict[str, Any]] = {}
    if chosen.only and RESULT.is_file():
        results = json.loads(RESULT.read_text(encoding="utf-8"))["families"]
    machine = {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
        "seed": str(SEED),
    }
    with ThreadPoolExecutor(chosen.jobs) as pool:
        running = {
            pool.submit(in_own_process, families[f], work[f].size): f
            for f in sorted(families, key=lambda f: work[f].macs)
        }
        for future in as_completed(running):
            family = running[future]
            results[family] = r = future.result()
            word = r.get("skipped") or ("ok" if r["passed"] else r["error"] or r["failures"])
            print(f"{family:32} {r['network']:36} {r.get('cuts', ''):>4} {word}", flush=True)
            ordered = dict(sorted(results.items()))
            text = json.dumps({"machine": machine, "families": ordered}, indent=1)
            RESULT.write_text(text + "\n", encoding="utf-8")
            write_table(ordered, machine)
    tried = [r for r in results.values() if "skipped" not in r]
    print(f"{sum(r['passed'] for r in tried)} of {len(tried)} families keep every promise")


if __name__ == "__main__":
    main()
