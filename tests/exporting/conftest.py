"""A finished run of every kind of action, on a small network and pieces of real photographs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

import frostline
from frostline.backbones.heads.classifier import Classifier, SingleClassifier
from frostline.backbones.heads.classifiers import BlendClassifier, empty_classifier
from frostline.backbones.heads.head_input import WithHeadInput
from frostline.backbones.network import Network
from frostline.core.actions import (
    Action,
    Blend,
    FullTraining,
    Recipe,
    Single,
    SuffixTraining,
    TapsHead,
)
from frostline.core.preprocessing import Preprocessing
from frostline.core.task import Task
from frostline.exporting.save_model import save_model
from frostline.model_format.card import FamiliarImages, ModelCard
from frostline.run.predictions import COLUMNS
from frostline.stats.decision_rule import DecisionRule
from frostline.stats.ood import OODScorer, fit_ood_scorer

CLASSES = ("b | <b>", "Äpfel", "c")
#: kinds of runs that predict something else than one class an image
TASKS: dict[str, Task] = {"labels": "multilabel", "numbers": "regression"}
RECIPE = Recipe(epochs=1, batch_size=2, learning_rate=0.1, head_learning_rate=0.1)
N_IMAGES = 60


@dataclass(frozen=True)
class Run:
    """A finished run beside the module that it was made from."""

    folder: Path
    module: Classifier
    card: ModelCard
    images: tuple[Path, ...]

    def expected(self) -> npt.NDArray[np.float64]:
        """The reference: the native model on the files."""
        return frostline.load(self.folder, threads=1).predict_proba(list(self.images))

    def tensors(self) -> torch.Tensor:
        """The images as a PyTorch user prepares them."""
        preprocessing = self.card.preprocessing
        prepared = [preprocessing.apply(Image.open(p).convert("RGB")) for p in self.images]
        return torch.from_numpy(preprocessing.normalise(np.stack(prepared)))


@pytest.fixture(scope="session")
def photo_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Sixty pieces of two photographs, in many sizes; every third is of another class."""
    folder = tmp_path_factory.mktemp("photos")
    whole = [Image.fromarray(array) for array in load_sample_images().images]
    random = np.random.default_rng(0)
    paths = []
    for i in range(N_IMAGES):
        width, height = (int(side) for side in random.integers(70, 260, 2))
        left, top = int(random.integers(640 - width)), int(random.integers(427 - height))
        path = folder / f"{i:02d}.png"
        piece = whole[i % 3 % 2].crop((left, top, left + width, top + height))
        # the third class has the colours of one of the others turned round
        (ImageOps.invert(piece) if i % 3 == 2 else piece).save(path)
        paths.append(path)
    return tuple(paths)


@pytest.fixture(scope="session")
def make_run(
    tmp_path_factory: pytest.TempPathFactory, photo_files: tuple[Path, ...]
) -> Callable[[str], Run]:
    """Return a function that makes a finished run of a kind, once."""

    @cache
    def make(kind: str) -> Run:
        return _make(kind, tmp_path_factory.mktemp("run"), photo_files)

    return make


def _make(kind: str, folder: Path, images: tuple[Path, ...]) -> Run:
    torch.manual_seed(5)
    network = Network.load("test_resnet", pretrained=False)
    lower = network.taps[-2]
    actions: dict[str, Action] = {
        "head": TapsHead(taps=list(network.taps[-2:])),
        "knowing": TapsHead(taps=list(network.taps[-2:])),
        "last layer": TapsHead(taps=[network.last.name]),
        "finetuned": SuffixTraining(freeze_to=lower, recipe=RECIPE),
        "cut": SuffixTraining(keep_to=lower, freeze_to=lower, new_block=True, recipe=RECIPE),
        "labels": TapsHead(taps=[network.last.name]),
        "numbers": TapsHead(taps=list(network.taps[-2:])),
        "full": FullTraining(recipe=RECIPE),
        "full, one place": FullTraining(recipe=RECIPE),
        "blend": Blend(
            members=[
                FullTraining(keep_to=lower, recipe=RECIPE),
                TapsHead(taps=list(network.taps[-2:])),
            ],
            weights=[0.7, 0.3],
        ),
    }
    action = actions[kind]
    preprocessing = Preprocessing(size=32 if kind == "full, one place" else 64, crop_pct=0.9)
    x = torch.from_numpy(
        preprocessing.normalise(
            np.stack([preprocessing.apply(Image.open(p).convert("RGB")) for p in images])
        )
    )
    if isinstance(action, Blend):
        members = [_classifier(member, network, x) for member in action.members]
        module: Classifier = BlendClassifier(members, [0.7, 1.6], action.weights).eval()
    else:
        module = _classifier(action, network, x)
    card = ModelCard(
        frostline="0.1.0",
        classes=CLASSES,
        preprocessing=preprocessing,
        backbone=network.name,
        weights_licence="Apache-2.0",
        cut=lower if kind == "cut" else None,
        taps=tuple(action.taps) if isinstance(action, TapsHead) else (),
        action=action,
        temperature=1.3,
        n_train=50,
        test={
            "method": "held-out",
            "n": N_IMAGES,
            "accuracy": 0.9,
            "accuracy_interval": [0.8, 0.95],
        },
        source=str(images[0].parent),
    )
    if kind in TASKS:
        card = _of_task(card, TASKS[kind])
    ood_scorer = None
    if kind == "knowing":
        ood_scorer = _familiarity(module, x)
        card = card.model_copy(update={"familiar": FamiliarImages(n_fitted=50, n_threshold=10)})
    save_model(folder / "model", module, card, ood_scorer=ood_scorer)
    (folder / "settings.json").write_text(json.dumps({"source": str(images[0].parent)}))
    run = Run(folder, module, card, images)
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        said = card.target.said(card.decide(run.expected()), CLASSES)
        for path, label in zip(images, said, strict=True):
            writer.writerow([path.name, label, label, "0.9"])
    return run


def _of_task(card: ModelCard, task: Task) -> ModelCard:
    """Return the card of a model with several labels, or numbers."""
    score = {"mean_average_precision": 0.8} if task == "multilabel" else {"r2": 0.6, "mae": 1.5}
    of_labels = {"rule": DecisionRule(thresholds=(0.3, 0.5, 0.7))} if task == "multilabel" else {}
    temperature = 1.3 if task == "multilabel" else 1.0
    told = {"task": task, "test": {"method": "held-out", "n": N_IMAGES, **score}, **of_labels}
    return ModelCard.model_validate({**dict(card), "temperature": temperature, **told})


def _familiarity(module: Classifier, x: torch.Tensor) -> OODScorer:
    """What the images look like to the head; the last ten set the threshold."""
    with torch.inference_mode():
        seen = WithHeadInput(module, module.frozen_leader.head)(x)[1].numpy()
    found = fit_ood_scorer(seen[:50])
    found = found.normalised_by(found.distances(seen[50:]))
    return found.with_threshold(float(found.score_of(found.distances(seen[50:])).max()))


def _classifier(action: Single, network: Network, x: torch.Tensor) -> SingleClassifier:
    """A classifier whose statistics are those of the images, and whose head tells them apart."""
    own = network.copy()
    module = empty_classifier(action, lambda: own, n_outputs=len(CLASSES)).leader
    module.train()
    with torch.no_grad():
        for _ in range(20):
            module(x)
    module.eval()
    head = module.head
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        module(x)
        hook.remove()
        features = seen[0]
        spread = features.std(dim=0).clamp(min=1e-3)
        z = (features - features.mean(dim=0)) / spread
        targets = 6 * torch.eye(len(CLASSES))[torch.arange(len(x)) % len(CLASSES)]
        # ridge regression: a head whose answers stand on many features, as a fitted one
        duals = torch.linalg.solve(z @ z.T + 100 * torch.eye(len(z)), targets - targets.mean(dim=0))
        head.weight.copy_((z.T @ duals).T / spread)
        head.bias.copy_(-(features.mean(dim=0) @ head.weight.T))
    return module
