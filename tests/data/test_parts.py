"""Names of parts: one reading for folders, cells of tables and keys of dicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frostline.core.errors import InputError
from frostline.data.sources.open_source import open_source
from frostline.data.sources.part_folders import is_unlabelled, part_of, spelled_among

Tree = Callable[[dict[str, int]], Path]

TRAIN = [
    *("train", "Training", "TRAIN-DATA", "training_set", "trainset", "TrainImages", "TRN"),
    *("train_images", "train1", "train2017", "01_train", "trainval", "train_val"),
]
VAL = [
    *("val", "valid", "Validation", "VALID_SET", "validation-images", "dev", "DevSet"),
    *("development", "val2017"),
]
TEST = [
    *("test", "Testing", "TEST_SET", "testset", "test1", "testImages", "tst", "eval"),
    *("Evaluation", "holdout", "hold-out", "Held_Out", "ｔｅｓｔ"),
]
OTHER = [
    *("trains", "training-shoe", "tested", "tube_test", "invalid", "validity", "devices"),
    *("contest", "test_train", "evaluate_me", "images", "2024", "holding_out_hands"),
]


@pytest.mark.parametrize(
    ("names", "part"), [(TRAIN, "train"), (VAL, "val"), (TEST, "test"), (OTHER, None)]
)
def test_names_of_parts(names: list[str], part: str | None) -> None:
    assert {name: part_of(name) for name in names} == dict.fromkeys(names, part)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "test"}),
        (["dogs-train", "dogs-val"], {"dogs-train": "train", "dogs-val": "val"}),
        (["ILSVRC2012_img_train", "ILSVRC2012_img_val"], {"ILSVRC2012_img_train": "train",
         "ILSVRC2012_img_val": "val"}),
        # nothing to train on, or other things beside the word
        (["positive_test", "negative_test"], {}),
        (["tube_test", "tube_dev"], {}),
        (["dog_train", "cat_test"], {}),
    ],
)  # fmt: skip
def test_names_that_differ_in_the_part_alone(names: list[str], parts: dict[str, str]) -> None:
    assert {name: found.part for name, found in spelled_among(names).items()} == parts


def test_names_of_what_has_no_labels() -> None:
    assert all(map(is_unlabelled, ("seg_pred", "unlabeled", "Predictions", "submission")))
    assert not any(map(is_unlabelled, ("predator", "train", "labeled")))


def table(root: Path, cells: list[str]) -> Path:
    rows = [f"{i}.png,{'ab'[i % 2]},{cell}" for i, cell in enumerate(cells)]
    (root / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    return root / "t.csv"


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Training", "Validation", "Testing"),
        ("training_set", "dev", "holdout"),
        ("TRAIN", "dev_set", "eval"),
    ],
)
def test_every_source_understands_the_same_names(
    train: str, val: str, test: str, tree: Tree
) -> None:
    names = [name for name in (train, val, test) for _ in range(4)]
    root = tree({f"{i}.png": i for i in range(12)})
    parts = ("train",) * 4 + ("val",) * 4 + ("test",) * 4
    assert open_source(table(root, names)).parts == parts
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    given = {name: (images[i * 4 : i * 4 + 4], list("abab")) for i, name in enumerate(
        (train, val, test))}  # fmt: skip
    assert open_source(given).parts == parts


def test_words_that_may_mean_one_part_or_two_are_refused(tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    for words in (["train", "eval", "test"], ["train", "dev", "val"], ["train", "test", "test2"]):
        cells = [word for word in words for _ in range(2)]
        with pytest.raises(InputError, match=rf"{words[1]}.* and .*{words[2]}.* one part or two"):
            open_source(table(root, cells))
    images = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    images[1] = 9
    pair = (images, ["a", "b"])
    with pytest.raises(InputError, match="'eval' and 'test' may be one part or two"):
        open_source({"train": pair, "eval": pair, "test": pair})


def test_one_word_in_several_forms_is_one_part(tree: Tree) -> None:
    root = tree({f"{i}.png": i for i in range(6)})
    cells = ["train", "Train", "training", "TRAINING", "val", "Valid"]
    assert open_source(table(root, cells)).parts == ("train",) * 4 + ("val",) * 2
