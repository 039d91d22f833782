"""New layers go on maps of either order and on tokens, and are written as ONNX like the rest."""

from __future__ import annotations

import onnxruntime
import pytest
import timm
import torch
from torch import nn

from frostline.backbones.heads.classifiers import build_classifier
from frostline.backbones.heads.new_blocks import MapBlock, TokenBlock
from frostline.backbones.network import Network
from frostline.core.errors import PlanError


class ChannelsLast(nn.Module):
    """A network whose maps have their channels last, as Swin's do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.block1 = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 12), nn.GELU())
        self.block2 = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 16), nn.GELU())
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block2(self.block1(self.stem(x).permute(0, 2, 3, 1)))
        found: torch.Tensor = self.head(x.mean(dim=(1, 2)))
        return found


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    torch.manual_seed(0)
    return {
        "NCHW": Network.load("test_resnet", pretrained=False),
        "NHWC": Network.load(ChannelsLast().eval(), example=torch.zeros(2, 3, 32, 32)),
        "NLC": Network.load(timm.create_model("test_vit", pretrained=False).eval()),
    }


@pytest.mark.parametrize(
    ("layout", "kind"), [("NCHW", MapBlock), ("NHWC", MapBlock), ("NLC", TokenBlock)]
)
def test_every_map_and_tokens_take_new_layers(
    networks: dict[str, Network], layout: str, kind: type[nn.Module]
) -> None:
    network = networks[layout]
    cut = [cut for cut in network.cuts if cut.layout == layout and cut.is_map][-2]
    module = build_classifier(network, keep_to=cut.name, n_outputs=3, new_block=True)
    assert isinstance(module.new, kind)
    size = network.preprocessing.size
    x = torch.randn(2, 3, size, size)
    logits = module.train()(x)
    assert logits.shape == (2, 3)
    torch.autograd.backward(logits.square().sum())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.head.parameters())
    assert all(p.grad is not None for p in module.new.parameters())
    body = module.eval().onnx_body(size, source="images", logits="logits")
    session = onnxruntime.InferenceSession(body.SerializeToString())
    found = session.run(["logits"], {"images": x.numpy()})[0]
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), module(x), atol=1e-4, rtol=1e-4)


def test_channels_last_maps_are_convolved_as_others(networks: dict[str, Network]) -> None:
    torch.manual_seed(1)
    first, last = MapBlock(6, 8, "NCHW").eval(), MapBlock(6, 8, "NHWC").eval()
    last.load_state_dict(first.state_dict())
    x = torch.randn(2, 6, 5, 4)
    with torch.no_grad():
        assert torch.equal(last(x.permute(0, 2, 3, 1)), first(x).permute(0, 2, 3, 1))
        assert torch.equal(last.before_norm(x.permute(0, 2, 3, 1)), first.before_norm(x))


def test_tokens_see_each_other() -> None:
    torch.manual_seed(2)
    block = TokenBlock(6, 130).eval()
    x = torch.randn(1, 7, 6)
    changed = x.clone()
    changed[:, 3] += 1
    with torch.no_grad():
        moved = (block(changed) - block(x)).abs().amax(dim=(0, 2))
    assert block(x).shape == (1, 7, 130)
    assert (moved > 0).all()


def test_a_single_vector_takes_none(networks: dict[str, Network]) -> None:
    network = networks["NLC"]
    vectors = [cut.name for cut in network.cuts if cut.layout == "NC"]
    assert vectors
    with pytest.raises(PlanError, match="one vector passes"):
        build_classifier(network, keep_to=vectors[0], n_outputs=3, new_block=True)
