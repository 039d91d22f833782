"""Where files of strangers enter: for each, how it is opened, and good files to start from."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.soak._hostile import corpus

Try = Callable[[bytes], None]


@dataclass(frozen=True)
class Entrance:
    """One kind of file: what reads it, and files that it reads well."""

    name: str
    what: str
    open: Callable[[Path], Try]
    seeds: Callable[[], Iterator[bytes]]


def _image(_work: Path) -> Try:
    from frostline.data.decoding.decode import decode

    def attempt(content: bytes) -> None:
        decode(content, max_pixels=2_000_000)

    return attempt


def _image_seeds() -> Iterator[bytes]:
    for one in corpus():
        if one.kind.startswith(("mode", "animated", "orientation")):
            yield one.content


def _card(_work: Path) -> Try:
    from frostline.model_format.model_folder import parse_card

    def attempt(content: bytes) -> None:
        card = parse_card(content, where="model.json", hint="")
        card.preprocessing.apply(_small_image())

    return attempt


def _card_seeds() -> Iterator[bytes]:
    for folder in _released():
        yield json.dumps(_unsealed(folder)).encode()


def _unsealed(folder: Path) -> dict[str, Any]:
    """A card without its checksum, which would end nearly every attack at the door."""
    card: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card.pop("checksum", None)
    return card


def _plan(work: Path) -> Try:
    from frostline.core.plan import Plan

    path = work / "plan.json"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        Plan.from_file(path)

    return attempt


def _plan_seeds() -> Iterator[bytes]:
    from frostline.core.actions import Blend, FullTraining, Recipe, SuffixTraining, TapsHead
    from frostline.core.plan import Plan

    recipe = Recipe(epochs=3, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2)
    head = TapsHead(taps=["a", "b"])
    suffix = SuffixTraining(freeze_to="a", recipe=recipe)
    whole = FullTraining(recipe=recipe)
    for action in (head, suffix, whole, Blend(members=[head, suffix])):
        yield (
            Plan(
                case=1,
                prior="head",
                strategy="auto",
                chosen="head",
                backbone="x",
                cut=None,
                removed=[],
                frozen=["a"],
                trained=[],
                new=["head"],
                seed=0,
                action=action,
            )
            .to_json()
            .encode()
        )


def _weights(work: Path) -> Try:
    from frostline.backbones.load.weights_file import read_weights

    return _written(work / "w.safetensors", read_weights)


def _weights_seeds() -> Iterator[bytes]:
    import numpy as np
    from safetensors.numpy import save

    yield save({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.int64)}, {"format": "pt"})
    yield save({"a": np.zeros(0, np.float16)})
    for folder in _released():
        yield (folder / "weights.safetensors").read_bytes()


def _state_dict(work: Path) -> Try:
    from frostline.backbones.load.weights_file import read_weights

    return _written(work / "w.pth", read_weights)


def _state_dict_seeds() -> Iterator[bytes]:
    import torch

    state = {"a": torch.zeros(2, 3), "b": {"c": torch.ones(4, dtype=torch.int64)}}
    for modern in (True, False):
        stream = io.BytesIO()
        torch.save(state, stream, _use_new_zipfile_serialization=modern)
        yield stream.getvalue()


def _table(work: Path) -> Try:
    from frostline.data.sources.tables import list_table

    return _written(work / "t.csv", list_table)


def _table_seeds() -> Iterator[bytes]:
    text = 'path,label,split,group\n"t.csv",a,train,1\n'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        yield text.encode(encoding)
    yield text.replace(",", ";").encode()


def _parquet(work: Path) -> Try:
    from frostline.data.sources.tables import list_table

    return _written(work / "t.parquet", list_table)


def _parquet_seeds() -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for compression in ("none", "snappy", "zstd"):
        stream = io.BytesIO()
        table = pa.table({"path": ["t.parquet"], "label": ["a"], "group": [1]})
        pq.write_table(table, stream, compression=compression)
        yield stream.getvalue()


def _onnx(work: Path) -> Try:
    from frostline.model.model import Model

    def attempt(path: Path) -> None:
        Model.load(path, threads=1, workers=0).predict_proba(_small_image())

    return _written(work / "m.onnx", attempt)


def _onnx_seeds() -> Iterator[bytes]:
    import onnx

    from frostline.model.onnx_file import CARD_KEY

    for folder in _released():
        model = onnx.load(folder / "model.onnx")
        entry = model.metadata_props.add()
        entry.key, entry.value = CARD_KEY, json.dumps(_unsealed(folder))
        yield model.SerializeToString()


def _folder(work: Path) -> Try:
    """A model folder whose card vouches for whatever its ONNX file is."""
    from frostline.model.model import Model

    card = _unsealed(_released()[-1])
    folder = work / "model"
    folder.mkdir()

    def attempt(content: bytes) -> None:
        (folder / "model.onnx").write_bytes(content)
        card["fingerprints"]["onnx"] = hashlib.sha256(content).hexdigest()
        (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
        Model.load(folder, threads=1, workers=0).predict_proba(_small_image())

    return attempt


def _folder_seeds() -> Iterator[bytes]:
    for folder in _released():
        yield (folder / "model.onnx").read_bytes()


def _familiar(work: Path) -> Try:
    from frostline.model_format.ood_file import read_familiarity

    return _written(work / "familiar.safetensors", read_familiarity)


def _familiar_seeds() -> Iterator[bytes]:
    yield (_released()[-1] / "familiar.safetensors").read_bytes()


def _written(path: Path, read: Callable[[Path], object]) -> Try:
    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        read(path)

    return attempt


def _released() -> list[Path]:
    """Model folders of a few kilobytes, from the oldest format to the newest."""
    return sorted((Path(__file__).parents[2] / "tests" / "model" / "released").glob("format-*"))


def _small_image() -> Image.Image:
    return Image.linear_gradient("L").resize((40, 40)).convert("RGB")


ENTRANCES = {
    entrance.name: entrance
    for entrance in (
        Entrance("image", "the bytes of an image", _image, _image_seeds),
        Entrance("card", "`model.json`", _card, _card_seeds),
        Entrance("plan", "`plan.json`", _plan, _plan_seeds),
        Entrance("weights", "safetensors", _weights, _weights_seeds),
        Entrance("state_dict", "a file of `torch.save`", _state_dict, _state_dict_seeds),
        Entrance("table", "a CSV table", _table, _table_seeds),
        Entrance("parquet", "a Parquet table", _parquet, _parquet_seeds),
        Entrance("onnx", "an exported ONNX file", _onnx, _onnx_seeds),
        Entrance("folder", "`model.onnx` of a model folder", _folder, _folder_seeds),
        Entrance("familiar", "`familiar.safetensors`", _familiar, _familiar_seeds),
    )
}
