"""Weights from a hub: said before, gone on with after breaks, checked, and read as data alone."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from huggingface_hub import close_session, constants
from typer.testing import CliRunner

from frostline.backbones.load import hub_download
from frostline.backbones.load.dispatch import load_source
from frostline.backbones.load.hub_weights import _licence_of, at_hand
from frostline.backbones.load.zoo import names_here
from frostline.backbones.network import Network
from frostline.cli.main import app
from frostline.core.cancel import Cancelled, CancelToken
from frostline.core.errors import BackboneError
from frostline.core.progress import NullProgress
from tests.backbones.loopback_hub import LoopbackHub, card_of, save_network

CELLS = "hf-hub:somebody/cells"
KNOWN = "test_resnet.r160_in1k"


class Notes(NullProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, fact: object, /) -> None:
        self.said.append(str(fact))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("published") / "cells"
    save_network(home)
    return home


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """A hub with one network under two names, and an empty cache."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(hub_download, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    with LoopbackHub() as served:
        served.add("somebody/cells", folder)
        served.add(f"timm/{KNOWN}", folder)
        use(served.address, monkeypatch)
        close_session()
        yield served
        close_session()


def use(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def is_whole(name: str, folder: Path) -> None:
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).state_dict()
    mine = load_source(name).net.state_dict()
    assert all(torch.equal(mine[k], v) for k, v in theirs.items())


@pytest.mark.parametrize("name", [CELLS, "timm/test_resnet.r160_in1k", KNOWN])
def test_a_name_is_downloaded_once_with_size_and_licence_said_first(
    name: str, hub: LoopbackHub, folder: Path
) -> None:
    notes = Notes()
    with at_hand(name, progress=notes):
        is_whole(name, folder)
    (said,) = notes.said
    size = (folder / "model.safetensors").stat().st_size / 1e6
    assert f"model.safetensors, {size:,.1f} MB; licence of the weights: " in said
    assert f"downloaded from {hub.address.removeprefix('http://')}" in said
    assert ("cc-by-nc-4.0" in said) == (name == CELLS), "timm says the licence of its own"
    assert len(hub.content_asked(".safetensors")) == 1
    # whoever knows the name finds it without the hub
    hub.busy = 10**6
    asked = len(hub.asked)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        is_whole(name, folder)
    assert len(hub.asked) == asked
    assert name in names_here() or KNOWN in names_here()


def test_the_licence_is_that_of_the_card(hub: LoopbackHub) -> None:
    with at_hand(CELLS, progress=Notes()):
        assert load_source(CELLS).licence == "cc-by-nc-4.0"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: 'mit'\n---\n", "mit"),
        (
            "---\r\nlicense: other\r\nlicense_name: dinov3-license\r\n---\r\n",
            "dinov3",
        ),
        ("---\nlicense: [a, b\n---", "unknown"),
        ("# license: mit\n", "unknown"),
        ("---\ntags: x\n---\nlicense: mit\n", "unknown"),
    ],
)
def test_licences_of_odd_cards(card: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(card.encode())
    assert _licence_of(tmp_path / "README.md").startswith(licence.removesuffix(","))


def test_a_line_that_breaks_goes_on_where_it_broke(hub: LoopbackHub, folder: Path) -> None:
    hub.broken = [200_000, 300_000]
    is_whole(KNOWN, folder)
    begun = [int(re.sub(r"\D", "", r) or 0) for r in hub.content_asked("/store/" + _digest(folder))]
    assert begun == [0, 3 * 2**16, 7 * 2**16]


def test_a_process_that_died_goes_on_in_the_next(hub: LoopbackHub, folder: Path) -> None:
    cancel = CancelToken()

    class Impatient(Notes):
        def note(self, fact: object, /) -> None:
            super().note(fact)
            hub.broken = [200_000]

    # somebody presses Ctrl-C after the line broke
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch, pytest.raises(Cancelled):
        patch.setattr("huggingface_hub.file_download.time.sleep", lambda _: cancel.cancel())
        with at_hand(KNOWN, progress=Impatient(), cancel=cancel):
            pass
    notes = Notes()
    hub.asked.clear()
    with at_hand(KNOWN, progress=notes):
        is_whole(KNOWN, folder)
    assert "of which 0.3 MB are here" in notes.said[0]
    assert set(hub.content_asked("/store/" + _digest(folder))) == {f"bytes={4 * 2**16}-"}


def test_servers_that_take_no_ranges_begin_again(hub: LoopbackHub, folder: Path) -> None:
    hub.broken, hub.ranges = [100_000], False
    is_whole(KNOWN, folder)


def test_a_busy_server_is_asked_again(
    hub: LoopbackHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostline.backbones.load.hub._PAUSES", (0.01, 0.01, 0.01))
    hub.busy = 2
    is_whole(KNOWN, folder)


def test_a_hub_that_stays_away_leaves_what_came(hub: LoopbackHub) -> None:
    hub.broken = [131_072, *[0] * 100]
    with pytest.raises(BackboneError, match=r"broke off after 0\.1 MB.*goes on from there"):
        load_source(KNOWN)


def test_content_that_was_changed_on_the_way_is_refused(hub: LoopbackHub, folder: Path) -> None:
    hub.spoilt = True
    with pytest.raises(BackboneError, match=r"is not the file that the hub names.*mirror"):
        load_source(KNOWN)
    assert KNOWN not in names_here()
    # a wrong beginning is found out as well, and nobody needs to remove it
    hub.spoilt = False
    part = next(Path(constants.HF_HUB_CACHE).glob("models--timm--*/blobs")) / (
        _digest(folder) + ".part"
    )
    part.write_bytes(b"x" * 1000)
    is_whole(KNOWN, folder)


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((401, ""), "answered 401: it has no public repository .* HF_TOKEN"),
        ((404, "RepoNotFound"), "answered 404: it has no public repository .* HF_TOKEN"),
        ((403, "GatedRepo"), "only for those who accepted its terms.*Accept them at http"),
        ((404, "RevisionNotFound"), "has no revision 'main'"),
        ((418, ""), "answered 418"),
    ],
)
def test_refusals_say_what_to_do_and_what_is_here(
    refusal: tuple[int, str], said: str, hub: LoopbackHub
) -> None:
    hub.refusals["somebody/cells"] = refusal
    with pytest.raises(BackboneError, match=f"{said}.*On this machine: efficientnet_lite0"):
        load_source(CELLS)


def test_repositories_without_weights_or_with_others(hub: LoopbackHub, folder: Path) -> None:
    weights = hub.files.pop(("somebody/cells", "model.safetensors"))
    with pytest.raises(BackboneError, match=r"no file model\.safetensors or pytorch_model\.bin"):
        load_source(CELLS)
    hub.files["somebody/cells", "model.safetensors"] = weights[:-1000]
    with pytest.raises(BackboneError, match="cannot be read as a network of timm"):
        load_source(CELLS)
    hub.files["somebody/others", "model.safetensors"] = weights
    with pytest.raises(BackboneError, match=r"has no config\.json, so it is no network of timm"):
        load_source("hf-hub:somebody/others")


def test_pickles_are_read_as_data_and_programs_refused(
    hub: LoopbackHub, folder: Path, tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    del hub.files["somebody/cells", "model.safetensors"]
    torch.save(
        timm.create_model(f"local-dir:{folder}", pretrained=True).state_dict(), tmp_path / "w"
    )
    hub.files["somebody/cells", "pytorch_model.bin"] = (tmp_path / "w").read_bytes()
    is_whole(CELLS, folder)
    hub.commit = "f" * 40
    hub.files["somebody/cells", "pytorch_model.bin"] = pickle.dumps({"conv1.weight": Evil()})
    with pytest.raises(BackboneError, match="Only tensors are read"):
        load_source(CELLS)
    assert not (tmp_path / "ran").exists()


def test_a_newer_state_of_a_repository_is_fetched(
    hub: LoopbackHub, tmp_path: Path, folder: Path
) -> None:
    is_whole(CELLS, folder)
    newer = tmp_path / "newer"
    shutil.copytree(folder, newer)
    save_network(newer, num_classes=7)
    hub.files.clear()
    hub.commit = "e" * 40
    hub.add("somebody/cells", newer)
    assert load_source(CELLS).net.num_classes == 7


def test_a_proxy_is_used(hub: LoopbackHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use("http://hub.invalid", monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", hub.address)
    close_session()
    is_whole(KNOWN, folder)
    # a proxy is asked for whole addresses
    assert all(path.startswith("http://") for _, path, _ in hub.asked)


def test_a_full_disk_is_known_before(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(BackboneError, match=r"takes 2 MB more, but 0 MB are free.*HF_HUB_CACHE"):
        load_source(KNOWN)


def test_descriptions_of_other_libraries_and_broken_ones(hub: LoopbackHub, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_bytes(hub.files["somebody/cells", "config.json"])
    card_of(config, architecture="nothing_like_it")
    hub.files["somebody/cells", "config.json"] = config.read_bytes()
    with pytest.raises(BackboneError, match="cannot be read as a network of timm"):
        load_source(CELLS)


def test_the_command_line_says_all_of_it(hub: LoopbackHub) -> None:
    done = CliRunner().invoke(app, ["inspect", CELLS], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.stderr
    assert "licence of the weights: cc-by-nc-4.0" in done.stderr
    assert Network.load(CELLS).licence == "cc-by-nc-4.0"


def _digest(folder: Path) -> str:
    import hashlib

    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
