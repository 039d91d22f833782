"""A small labelled set, and random weights in a file as people bring them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.growth.pictures import N_CLASSES, picture

#: of the ten directions of stripes
CLASSES = (0, 3, 6)
IMAGES = 24


def folder_of_pictures(folder: Path) -> Path:
    """Write 24 pictures of stripes in three directions, 8 a class, one folder a class."""
    for number in range(IMAGES):
        direction = CLASSES[number % len(CLASSES)]
        path = folder / f"stripes {direction}" / f"{number}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(direction + N_CLASSES * number).save(path)
    return folder


def random_weights(name: str, file: Path) -> Path:
    """Write a network of timm as it is before it was ever trained, the same every time."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = timm.create_model(name, pretrained=False).state_dict()
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, file)
    return file
