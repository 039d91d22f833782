"""Pretrain the small vision transformer that tests and benchmarks use.

    python -m tools.pretrain_vit --fonts FONTS [--work WORK] [--steps N] [--write]

FONTS is a folder of unpacked Debian packages: fonts-dejavu-core, -dejavu-extra, -freefont-ttf,
-liberation, -open-sans, -roboto-unhinted, -linuxlibertine, -sil-gentium, -tuffy,
-crosextra-carlito, -croscore, -hack and -firacode. Letters of half of the fonts, in every colour
and on every ground (``benchmarks/vit/pictures.py``), are told apart by the class token, as DeiT
trains (Touvron et al. 2021, "Training data-efficient image transformers"): AdamW, a rate that rises
and falls, smoothed labels. Plain white letters on black come first, all else little by little. A
second head tells the font, so that features keep what a letter looks like, and a third where in its
patch the ink is, which every patch learns from within minutes; both are thrown away afterwards.

It may be stopped at any time and goes on where it stopped, with the same pictures: every step has
random numbers of its own. The state lies in WORK; ``--write`` puts the weights, in half precision,
where the benchmarks look for them. The rate falls in the last quarter of the steps, and until then
N may be changed. An hour and a half on two cores are more than the default needs.

The fonts are free (SIL Open Font License, Apache License, GPL with the font exception, Bitstream
Vera's licence, or public domain); the weights hold no outline of them and come under this project's
licence.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.layers import build_sincos2d_pos_embed
from torch import nn

from benchmarks.decision.glyphs import covering, find_fonts
from benchmarks.vit.network import GLYPHS, PATCH, PREPROCESSING, WEIGHTS, untrained
from benchmarks.vit.pictures import masks, pictures
from frostline.backbones.freeze.param_groups import (
    optimizer_state,
    param_groups,
    restore_optimizer,
)
from frostline.core.files import replacing

STEPS = 2400
BATCH = 32
RATE = 1e-3
_WARMUP, _FALL = 200, 0.25
#: steps until the pictures have all their variety
_EASY = 1500
_STYLE_WEIGHT, _INK_WEIGHT = 0.2, 3.0
_KEEP_EVERY, _JUDGE_EVERY = 50, 200
_TESTS = 1024


class Learner(nn.Module):
    """The network with the heads that are thrown away."""

    def __init__(self, fonts: int) -> None:
        super().__init__()
        self.net = untrained()
        net = self.net
        grid = net.patch_embed.grid_size
        with torch.no_grad():
            # neighbours start alike, which finds shapes sooner than random positions do
            waves = build_sincos2d_pos_embed(list(grid), dim=net.embed_dim)
            net.pos_embed[:, net.num_prefix_tokens :] = 0.5 * waves
        self.style = nn.Linear(net.embed_dim, fonts)
        self.ink = nn.Linear(net.embed_dim, PATCH * PATCH)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of glyphs, of fonts, and of the ink at every pixel of every patch."""
        tokens = self.net.forward_features(x)
        features = self.net.forward_head(tokens, pre_logits=True)
        ink = self.ink(tokens[:, self.net.num_prefix_tokens :])
        return self.net.head(features), self.style(features), ink


class Pretraining:
    """Steps on letters of one half of the fonts, judged on the other half."""

    def __init__(self, fonts: list[Path], work: Path, steps: int) -> None:
        half = len(fonts) // 2
        self.train_masks, self.test_masks = masks(GLYPHS, fonts[:half]), masks(GLYPHS, fonts[half:])
        torch.manual_seed(0)
        self.learner = Learner(half)
        groups = param_groups(self.learner, lr=RATE, weight_decay=0.05)
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self.work, self.steps, self.done = work, steps, 0
        self._state = work / "pretraining.safetensors"

    def run(self) -> None:
        """Do the steps that are left."""
        self._resume()
        began, first = time.perf_counter(), self.done
        while self.done < self.steps:
            loss = self._step(self.done)
            self.done += 1
            if self.done % _KEEP_EVERY == 0 or self.done == self.steps:
                self._keep()
                pace = (time.perf_counter() - began) / (self.done - first)
                right = f", {self.judge():.1%} right" if self.done % _JUDGE_EVERY == 0 else ""
                print(f"step {self.done}: loss {loss:.2f}{right}, {pace:.2f} s a step", flush=True)

    def judge(self) -> float:
        """Return the share of letters in unseen fonts that are named rightly."""
        random = torch.Generator().manual_seed(1)
        x, glyphs, _, _ = _drawn(self.test_masks, _TESTS, random)
        self.learner.eval()
        with torch.inference_mode():
            found = torch.cat([self.learner(part)[0].argmax(1) for part in torch.split(x, BATCH)])
        return float((found == glyphs).float().mean())

    def write(self, path: Path) -> None:
        """Write the network in half precision, with what it was made of."""
        made = {"letters": str(len(GLYPHS)), "fonts": str(len(self.train_masks))}
        about = {**made, "steps": str(self.done), "right on unseen fonts": f"{self.judge():.4f}"}
        halved = {name: t.half().contiguous() for name, t in self.learner.net.state_dict().items()}
        with replacing(path) as temporary:
            save_file(halved, temporary, metadata={"about": json.dumps(about)})

    def _step(self, number: int) -> float:
        random = torch.Generator().manual_seed(1000 + number)
        variety = min(1.0, number / _EASY)
        x, glyphs, styles, ink = _drawn(self.train_masks, BATCH, random, variety)
        factor = min(1.0, (number + 1) / _WARMUP)
        factor *= min(1.0, (self.steps - number) / (_FALL * self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * factor
        self.learner.train()
        logits, style, where = self.learner(x)
        loss = nn.functional.cross_entropy(logits, glyphs, label_smoothing=0.1)
        total = loss + _STYLE_WEIGHT * nn.functional.cross_entropy(style, styles)
        patches = nn.functional.unfold(ink, PATCH, stride=PATCH).transpose(1, 2)
        total = total + _INK_WEIGHT * nn.functional.binary_cross_entropy_with_logits(where, patches)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def _keep(self) -> None:
        tensors = {f"network/{k}": v for k, v in self.learner.state_dict().items()}
        tensors |= {f"optimizer/{k}": v for k, v in optimizer_state(self.optimizer).items()}
        with replacing(self._state) as temporary:
            save_file(tensors, temporary, metadata={"step": str(self.done)})

    def _resume(self) -> None:
        if not self._state.exists():
            return
        with safe_open(self._state, "pt") as kept:
            tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
            self.done = int(kept.metadata()["step"])
        self.learner.load_state_dict(_below("network/", tensors))
        restore_optimizer(self.optimizer, _below("optimizer/", tensors))


def _below(start: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _drawn(
    ink: torch.Tensor, n: int, random: torch.Generator, variety: float = 1.0
) -> tuple[torch.Tensor, ...]:
    """Draw pictures; return pixels as the network takes them, glyphs, fonts and where ink is."""
    fonts = torch.randint(ink.shape[0], (n,), generator=random)
    glyphs = torch.randint(ink.shape[1], (n,), generator=random)
    pixels, shapes = pictures(ink[fonts, glyphs], random, variety)
    mean, std = (torch.tensor(v)[:, None, None] for v in (PREPROCESSING.mean, PREPROCESSING.std))
    return (pixels - mean) / std, glyphs, fonts, shapes


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("pretraining"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    job = Pretraining(covering(find_fonts(options.fonts)), options.work, options.steps)
    job.run()
    if options.write:
        job.write(WEIGHTS)


if __name__ == "__main__":
    main()
