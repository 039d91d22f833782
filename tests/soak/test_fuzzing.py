"""Trust nothing loaded: ever new bytes at every entrance where files of strangers come in.

Anything but one of Frostline's own errors is a finding. Hypothesis makes the smallest input that
leads there; what a dying process choked on lies in the folder of the test.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from frostline.backbones.load.weights_file import read_weights
from frostline.core.actions import Blend, FullTraining, Recipe, SuffixTraining, TapsHead
from frostline.core.errors import FrostlineError
from frostline.core.plan import Plan
from frostline.data.decoding.decode import decode
from frostline.data.sources.tables import list_table
from frostline.model.model import Model
from frostline.model.onnx_file import CARD_KEY
from frostline.model_format.model_folder import parse_card
from frostline.model_format.ood_file import read_ood_scorer
from tests.soak.hostile import every_mode

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore")]
Try = Callable[[Path], object]
_EXAMPLES = int(os.environ.get("SOAK_EXAMPLES", "3000"))
#: seconds after which one input counts as hung
_PATIENCE = 20.0
_RELEASED = sorted((Path(__file__).parents[1] / "model" / "released").glob("format-*"))
_IMAGE = Image.linear_gradient("L").resize((40, 40)).convert("RGB")


def _card(path: Path) -> None:
    card = parse_card(path.read_bytes(), where="model.json", hint="")
    card.preprocessing.apply(_IMAGE)


def _unsealed(folder: Path) -> dict[str, Any]:
    """A card without its checksum, which would end nearly every attack at the door."""
    card: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card.pop("checksum", None)
    return card


def _plans() -> Iterator[bytes]:
    recipe = Recipe(epochs=3, batch_size=8, learning_rate=1e-3, head_learning_rate=1e-2)
    head, suffix = TapsHead(taps=["a", "b"]), SuffixTraining(freeze_to="a", recipe=recipe)
    for action in (head, suffix, FullTraining(recipe=recipe), Blend(members=[head, suffix])):
        plan = {"case": 1, "strategy": "auto", "chosen": "head", "backbone": "x", "cut": None}
        layers = {"removed": [], "frozen": ["a"], "trained": [], "new": ["head"], "seed": 0}
        yield Plan.model_validate({**plan, **layers, "action": action}).to_json().encode()


def _state_dicts() -> Iterator[bytes]:
    state = {"a": torch.zeros(2, 3), "b": {"c": torch.ones(4, dtype=torch.int64)}}
    for modern in (True, False):
        stream = io.BytesIO()
        torch.save(state, stream, _use_new_zipfile_serialization=modern)
        yield stream.getvalue()


def _tables() -> Iterator[bytes]:
    text = 'path,label,split,group\n"t.csv",a,train,1\n'
    yield from (text.encode(kind) for kind in ("utf-8", "utf-8-sig", "utf-16"))
    yield text.replace(",", ";").encode()


def _parquet() -> Iterator[bytes]:
    table = pa.table({"path": ["t.parquet"], "label": ["a"], "group": [1]})
    for compression in ("none", "snappy", "zstd"):
        stream = io.BytesIO()
        pq.write_table(table, stream, compression=compression)
        yield stream.getvalue()


def _exports() -> Iterator[bytes]:
    for folder in _RELEASED:
        model = onnx.load(folder / "model.onnx")
        entry = model.metadata_props.add()
        entry.key, entry.value = CARD_KEY, json.dumps(_unsealed(folder))
        yield model.SerializeToString()


def _predict(path: Path) -> None:
    Model.load(path, threads=1, workers=0).predict_proba(_IMAGE)


def _folder(path: Path) -> None:
    """A model folder whose card vouches for whatever its ONNX file is."""
    card = _unsealed(_RELEASED[-1])
    card["fingerprints"]["onnx"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / "model.json").write_text(json.dumps(card), encoding="utf-8")
    _predict(path.parent)


def _released(name: str) -> Iterator[bytes]:
    yield from (path.read_bytes() for folder in _RELEASED for path in folder.glob(name))


#: by entrance: the name of the file, what reads it, and good files to start from
ENTRANCES: dict[str, tuple[str, Try, Callable[[], Iterator[bytes]]]] = {
    "the bytes of an image": (
        "image.png",
        lambda path: decode(path.read_bytes(), max_pixels=2_000_000),
        lambda: (one.content for one in every_mode()),
    ),
    "model.json": (
        "model.json",
        _card,
        lambda: (json.dumps(_unsealed(folder)).encode() for folder in _RELEASED),
    ),
    "plan.json": ("plan.json", Plan.from_file, _plans),
    "safetensors": (
        "w.safetensors",
        read_weights,
        lambda: iter(
            [
                save({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.int64)}),
                save({"a": np.zeros(0, np.float16)}),
                *_released("weights.safetensors"),
            ]
        ),
    ),
    "a file of torch.save": ("w.pth", read_weights, _state_dicts),
    "a CSV table": ("t.csv", list_table, _tables),
    "a Parquet table": ("t.parquet", list_table, _parquet),
    "an exported ONNX file": ("m.onnx", _predict, _exports),
    "model.onnx of a model folder": ("model.onnx", _folder, lambda: _released("model.onnx")),
    "familiar.safetensors": (
        "familiar.safetensors",
        read_ood_scorer,
        lambda: _released("familiar.safetensors"),
    ),
}
#: what replaces some bytes: numbers that headers hold, anything, or nothing
_NEW = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1"]),
)


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good file with some bytes flipped, cut, repeated, or those of another one between."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        # headers decide most
        at = draw(st.one_of(st.integers(0, 200), st.integers(0, len(content))))
        kind = draw(st.sampled_from(["replace", "insert", "repeat", "delete", "splice", "end"]))
        size = draw(st.integers(1, 64))
        between = content[at : at + size] if kind == "repeat" else b""
        if kind in ("replace", "insert"):
            between = draw(_NEW)
        if kind == "splice":
            other = draw(st.sampled_from(seeds))
            start = draw(st.integers(0, len(other)))
            between = other[start : start + 8 * size]
        gone = {"replace": len(between), "delete": size, "end": len(content)}.get(kind, 0)
        content = content[:at] + between + content[at + gone :]
    return content


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_file_is_read_or_refused(entrance: str, bounded: None, tmp_path: Path) -> None:
    name, attempt, seeds = ENTRANCES[entrance]
    path, good = tmp_path / name, list(seeds())
    counts = {"read": 0, "refused": 0}

    def once(content: bytes) -> None:
        path.write_bytes(content)
        began = time.perf_counter()
        try:
            attempt(path)
            counts["read"] += 1
        except FrostlineError:
            counts["refused"] += 1
        assert time.perf_counter() - began < _PATIENCE

    for content in good:
        once(content)
    given(changed(good))(
        settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(once)
    )()
    assert all(counts.values())
