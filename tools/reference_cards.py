"""Measure ordinary photos on every bundled network and write the reference cards.

Run::

    python -m tools.reference_cards --photos STAMPS [--clip-art PNG]

STAMPS is the unpacked ``tuxpaint-stamps-default`` (the folder ``stamps``), PNG the unpacked
``openclipart-png`` (the folder ``png``); both are Debian packages. Windows of scikit-learn's two
sample photos are the second ordinary set; solar cells (``elpv-dataset``) and scikit-learn's
digits are foreign ones. Networks whose weights are not installed are skipped and named.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from elpv_dataset.utils import load_dataset
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits, load_sample_images
from torch import nn

import frostline.evidence
from benchmarks.accuracy_and_time import PHOTO_CLASSES
from frostline.backbones.load.bundled import BUNDLED
from frostline.backbones.network import Network
from frostline.compute.moments import BatchNormMoments, LayerMoments
from frostline.core.errors import BackboneError
from frostline.core.plan import ShiftEvidence
from frostline.evidence.cards import CardSet, ReferenceCard
from frostline.evidence.shift import measure_shift

#: multiples of the ordinary distance; see ReferenceCard for where they come from
SIMILAR_BELOW = 1.85
DIFFERENT_FROM = 2.85

ORDINARY = ("photos, cut out on white", "photos, full frame")


def measure_moments(
    network: Network, images: list[Image.Image], batch: int = 16
) -> BatchNormMoments:
    """Run the unfolded network and keep each image's moments at every BatchNorm input."""
    norms: dict[str, nn.BatchNorm2d] = {}
    found: dict[str, list[npt.NDArray[np.float64]]] = {}
    handles = []
    for name, module in network.feature_module.named_modules():
        if isinstance(module, nn.BatchNorm2d):

            def keep(m: nn.Module, inputs: tuple[torch.Tensor, ...], name: str = name) -> None:
                x = inputs[0].double()
                moments = torch.stack([x.mean((2, 3)), x.square().mean((2, 3))])
                found.setdefault(name, []).append(moments.numpy())

            norms[name] = module
            handles.append(module.register_forward_pre_hook(keep))
    with torch.inference_mode():
        for i in range(0, len(images), batch):
            arrays = [network.preprocessing.apply(image) for image in images[i : i + batch]]
            x = torch.from_numpy(network.preprocessing.normalise(np.stack(arrays)))
            network.feature_module(x.contiguous(memory_format=torch.channels_last))
    for handle in handles:
        handle.remove()
    layers = []
    for name, parts in found.items():
        norm, (mean, square) = norms[name], np.concatenate(parts, axis=1)
        if norm.running_mean is None or norm.running_var is None:
            continue
        stored = (norm.running_mean.double().numpy(), norm.running_var.double().numpy())
        layers.append(LayerMoments(name, *stored, norm.eps, mean, square))
    return BatchNormMoments(layers, np.arange(len(images)))


def on_white(image: Image.Image) -> Image.Image:
    """Return the image in RGB, with white where it is transparent."""
    rgba = image.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    ground.alpha_composite(rgba)
    return ground.convert("RGB")


def stamps(folder: Path) -> list[Image.Image]:
    """Photos without cartoons and mirrored copies."""
    found = []
    for part in PHOTO_CLASSES:
        for path in sorted((folder / part).rglob("*")):
            if path.suffix not in (".png", ".jpg") or "cartoon" in path.parts:
                continue
            if not path.stem.endswith(("_mirror", "_flip")):
                found.append(on_white(Image.open(path)))
    return found


def windows(n: int = 48, seed: int = 0) -> list[Image.Image]:
    """Different windows of scikit-learn's two sample photos."""
    rng = np.random.default_rng(seed)
    photos = load_sample_images().images
    found = []
    for i in range(n):
        photo = photos[i % len(photos)]
        height, width = photo.shape[:2]
        side = int(rng.integers(120, height + 1))
        across = min(width, int(side * rng.uniform(1.0, 1.4)))
        y, x = rng.integers(height - side + 1), rng.integers(width - across + 1)
        found.append(Image.fromarray(photo[y : y + side, x : x + across]))
    return found


def clip_art(folder: Path, n: int = 200) -> list[Image.Image]:
    """A random few hundred drawings; bombs and damaged files are passed over."""
    paths = sorted(folder.rglob("*.png"))
    found: list[Image.Image] = []
    for i in np.random.default_rng(0).permutation(len(paths)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = Image.open(paths[i])
            if image.width * image.height <= 4_000_000:
                found.append(on_white(image))
        except (
            OSError,
            ValueError,
            SyntaxError,
            UnidentifiedImageError,
            Image.DecompressionBombWarning,
            Image.DecompressionBombError,
        ):
            continue
        if len(found) == n:
            break
    return found


def solar_cells(n: int = 150) -> list[Image.Image]:
    """Random solar cells under electroluminescence."""
    images = load_dataset()[0]
    rows = np.random.default_rng(0).permutation(len(images))[:n]
    return [Image.fromarray(images[i]).convert("RGB") for i in rows]


def digits(n: int = 120) -> list[Image.Image]:
    """Random handwritten digits, 8 x 8."""
    images = load_digits().images
    rows = np.random.default_rng(0).permutation(len(images))[:n]
    return [Image.fromarray((images[i] * 15.9).astype(np.uint8)).convert("RGB") for i in rows]


def image_sets(photos: Path, clips: Path | None) -> Iterator[tuple[str, list[Image.Image]]]:
    """Yield name and images, ordinary sets first."""
    yield ORDINARY[0], stamps(photos)
    yield ORDINARY[1], windows()
    if clips is not None:
        yield "clip art", clip_art(clips)
    yield "solar cells", solar_cells()
    yield "digits, 8 x 8", digits()


def make_card(network: Network, sets: dict[str, list[Image.Image]]) -> ReferenceCard:
    """Measure every set; the ordinary ones set the distance, all are judged by it."""
    moments = {name: measure_moments(network, images) for name, images in sets.items()}
    bare = {name: measure_shift(m) for name, m in moments.items()}
    card = ReferenceCard(
        network=network.name,
        weights_id=network.weights_id,
        distance=round(float(np.mean([bare[name].distance for name in ORDINARY])), 4),
        similar_below=SIMILAR_BELOW,
        different_from=DIFFERENT_FROM,
    )
    rows = [card_set(name, measure_shift(m, card=card)) for name, m in moments.items()]
    return card.model_copy(update={"sets": rows})


def card_set(name: str, shift: ShiftEvidence) -> CardSet:
    """Round what was measured to four places."""
    return CardSet(
        name=name,
        ordinary=name in ORDINARY,
        n_images=shift.n_images,
        distance=round(shift.distance, 4),
        interval=(round(shift.interval[0], 4), round(shift.interval[1], 4)),
        stem=round(shift.layers[0].shift, 4),
        early=round(shift.early, 4),
        middle=round(shift.middle, 4),
        late=round(shift.late, 4),
        kind=shift.kind,
        label=shift.label,
    )


def main() -> None:
    """Write a card for every network whose weights are installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder 'stamps'")
    parser.add_argument("--clip-art", type=Path, help="folder 'png'")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sets = dict(image_sets(arguments.photos, arguments.clip_art))
    folder = Path(frostline.evidence.__path__[0]) / "cards"
    for name in BUNDLED:
        try:
            network = Network.load(name)
        except BackboneError as error:
            print(f"skipped: {error}")
            continue
        card = make_card(network, sets)
        text = json.dumps(card.model_dump(mode="json"), indent=2) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        for row in card.sets:
            print(
                f"{name:20s} {row.name:26s} n={row.n_images:3d} D={row.distance:.3f} "
                f"[{row.interval[0]:.3f}, {row.interval[1]:.3f}] "
                f"x{row.distance / card.distance:.2f} stem={row.stem:.2f} "
                f"E={row.early:.2f} M={row.middle:.2f} T={row.late:.2f} {row.kind} {row.label}"
            )


if __name__ == "__main__":
    main()
