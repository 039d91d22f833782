"""The pass over the images beside its limit: decoding alone, and the engine alone.

The engine alone is the best of all engines, batches and lanes that are installed, by trying each;
what the pass takes includes finding its own.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.engines import engines_here, measure, open_ways
from frostline.backbones.described import described
from frostline.compute.engines import openvino_engine
from frostline.compute.engines.frozen_part import taps_part
from frostline.compute.engines.onnx_export import exported
from frostline.compute.frozen import run_frozen
from frostline.compute.image_loader import ImageLoader, LoadedImage, room_for_pixels
from frostline.core.machine import available_cores
from frostline.core.preprocessing import UInt8Array
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.catalog import Catalog
from frostline.data.sources.open_source import open_source

_ENGINE_IMAGES, _ROUNDS, _PASSES = 96, 5, 3


def main() -> None:
    """Print both halves for all images, and the pass, with each set of engines."""
    settings = Settings()
    runtime = Runtime.of(settings)
    network = described("efficientnet_lite0")
    catalog = open_source(Path(sys.argv[1]), group_by=None)
    alone = ImageLoader(catalog, network.preprocessing, max_pixels=settings.max_pixels, workers=0)
    began = time.process_time()
    images = [p.pixels for p in alone.load(catalog.digests) if isinstance(p, LoadedImage)]
    decoding = time.process_time() - began
    model, _ = exported(taps_part(network, network.taps))
    some: Sequence[UInt8Array] = images[:_ENGINE_IMAGES]
    ways = measure(open_ways(model, engines_here()), some, _ROUNDS)
    installs = {"light install": ["onnx"]}
    if "openvino" in engines_here():
        installs["with OpenVINO"] = ["onnx", "openvino"]
    found: dict[str, Any] = {
        "images": len(images),
        "decoding_cpu": round(decoding, 3),
        "installs": {},
    }
    del images
    for install, engines in installs.items():
        best = min((way for way in ways if way.engine in engines), key=lambda way: way.seconds)
        computing = min(best.processor) * found["images"]
        limit = (decoding + computing) / available_cores()
        with mock.patch.object(openvino_engine, "installed", lambda e=engines: "openvino" in e):
            passes = [_cold_pass(catalog, runtime) for _ in range(_PASSES)]
        measured = statistics.median(seconds for seconds, _ in passes)
        found["installs"][install] = {
            "best": best.summary(),
            "computing_cpu": round(computing, 3),
            "limit": round(limit, 3),
            "pass_wall": round(measured, 3),
            "over_the_limit": round(measured / limit, 3),
            "passes": [round(seconds, 3) for seconds, _ in passes],
            "took": passes[0][1],
        }
    print(json.dumps(found))


def _cold_pass(catalog: Catalog, runtime: Runtime) -> tuple[float, str]:
    """Return the wall seconds of a pass with nothing kept, and which engine it took and why."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, FROSTLINE_CACHE=folder),
    ):
        # with networks opened before, as in a fit
        network = described("efficientnet_lite0")
        began = time.perf_counter()
        frozen = run_frozen(
            network, catalog, runtime, preprocessed_bytes=room_for_pixels(trains=False)
        )
        return time.perf_counter() - began, frozen.report.reason


if __name__ == "__main__":
    main()
