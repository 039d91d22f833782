"""The pass over the images beside its limit: decoding alone, and the engine alone."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from frostline.backbones.network import Network
from frostline.compute.engines.base import run_batches
from frostline.compute.engines.choose import open_engine
from frostline.compute.engines.frozen_part import taps_part
from frostline.compute.frozen import run_frozen
from frostline.compute.image_loader import ImageLoader
from frostline.core.machine import available_cores
from frostline.core.runtime import Runtime
from frostline.core.settings import Settings
from frostline.data.sources.open_source import open_source

_ENGINE_IMAGES = 320


def main() -> None:
    """Print processor seconds of both halves for all images, and the wall seconds of the pass."""
    settings = Settings()
    runtime = Runtime.of(settings)
    torch.set_num_threads(runtime.threads)
    network = Network.load("efficientnet_lite0")
    catalog = open_source(Path(sys.argv[1]), group_by=None)
    alone = ImageLoader(catalog, network.preprocessing, max_pixels=settings.max_pixels, workers=0)
    began = time.process_time()
    images = [p.pixels for p in alone.load(catalog.digests) if hasattr(p, "pixels")]
    decoding = time.process_time() - began
    engine, _ = open_engine(
        taps_part(network, network.taps), check=np.stack(images[:8]), threads=runtime.threads
    )
    some = [(None, image) for image in images[:_ENGINE_IMAGES]]
    for _ in run_batches(engine, some[:32]):
        pass
    began, wall = time.process_time(), time.perf_counter()
    for _ in run_batches(engine, some):
        pass
    share = len(images) / len(some)
    computing = (time.process_time() - began) * share
    computing_wall = (time.perf_counter() - wall) * share
    wall = time.perf_counter()
    run_frozen(network, catalog, runtime)
    measured = time.perf_counter() - wall
    limit = (decoding + computing) / available_cores()
    found = {
        "images": len(images),
        "decoding_cpu": decoding,
        "computing_cpu": computing,
        "computing_wall": computing_wall,
        "limit": limit,
        "pass_wall": measured,
        "over_the_limit": measured / limit,
    }
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
