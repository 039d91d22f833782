"""Write the descriptions of the bundled networks, by which they run without PyTorch.

    python -m tools.network_descriptions

Leaves NAME.json (cuts, shapes, layers) and NAME.onnx (the graph without weights) for each bundled
network in ``src/frostline/backbones/descriptions``, and the names of ImageNet's classes. To be run
again when PyTorch's exporter, the cuts or the format of a description changes; a test says so.
"""

from __future__ import annotations

from pathlib import Path

from timm.data import ImageNetInfo

from frostline.backbones import description
from frostline.backbones.describe import describe, graph_of
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.network import Network

FOLDER = Path(description.__file__).parent / "descriptions"
_CLASSES = 1000


def class_names() -> str:
    """Return the short names of ImageNet's classes, one a line."""
    info = ImageNetInfo("imagenet-1k")
    names = (info.index_to_description(i).split(",")[0] for i in range(_CLASSES))
    return "".join(f"{name}\n" for name in names)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "imagenet_1k.txt").write_text(class_names(), encoding="utf-8")
    for name in BUNDLED:
        network = Network.load(name)
        (FOLDER / f"{name}.json").write_text(describe(network).to_json(), encoding="utf-8")
        (FOLDER / f"{name}.onnx").write_bytes(graph_of(network))
        print(f"{name}: written")


if __name__ == "__main__":
    main()
