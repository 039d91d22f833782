"""What the light install can do, and what it says of the rest; tests/soak has the real wheel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from PIL import Image

import frostline
from frostline.fitting.run_result import RunResult
from tests.light import light, link_core, starting

pytestmark = pytest.mark.slow

HEAVY = ("torch", "torchvision", "timm", "sklearn", "pyarrow", "pandas", "openvino", "scipy")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to the packages of the core."""
    return link_core(tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def run(fast_run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the full install."""
    folder = tmp_path_factory.mktemp("light") / "run"
    shutil.copytree(fast_run.folder, folder)
    return folder


@pytest.fixture
def places(run: Path, digit_folder: Path, tmp_path: Path) -> dict[str, str]:
    """What the words of a command stand for."""
    table = tmp_path / "images.parquet"
    table.write_bytes(b"PAR1")
    names = {"RUN": run, "DATA": digit_folder, "TABLE": table, "NEW": tmp_path / "new"}
    return {name: str(path) for name, path in names.items()}


def test_nothing_heavy_can_be_imported(core: Path) -> None:
    code = (
        "import importlib.util\n"
        f"print([name for name in {HEAVY!r} if importlib.util.find_spec(name)])"
    )
    assert light(core, "-c", code).stdout.strip() == "[]"


def test_a_model_works_without_what_made_it(
    core: Path, run: Path, digits_into: Callable[..., None], tmp_path: Path
) -> None:
    """All of it in one process, which would keep whatever one command had imported."""
    others = tmp_path / "others"
    digits_into(others, per_class=4, skip=16)
    one = next(others.rglob("*.png"))
    commands = [
        ["--help"],
        ["predict", str(run), str(one), "--json"],
        ["evaluate", str(run), str(others), "--json"],
        ["export", str(run), "-o", str(tmp_path / "model.onnx")],
        ["report", str(run), "-o", str(tmp_path / "report.html")],
        ["models"],
        ["cache", "show"],
        ["inspect", "efficientnet_lite0", "--all", "--cut", "blocks.5"],
        ["inspect", str(run)],
        ["inspect", "efficientnet_lite0", "--filters", str(tmp_path / "filters.png")],
        ["inspect", "efficientnet_lite0", "--features", str(one), str(tmp_path / "responses.png")],
        ["compare", str(run), str(run), "--on", str(others), "--json"],
    ]
    code = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from frostline.cli.main import app\n"
        f"for words in {commands!r}:\n"
        "    done = CliRunner().invoke(app, words)\n"
        "    print(json.dumps([done.exit_code, done.stdout, done.stderr]))\n"
        "    assert done.exit_code == 0, (words, done.output, done.exception)\n"
    )
    done = light(core, "-c", code)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = [json.loads(line) for line in done.stdout.splitlines()]
    (predicted,) = json.loads(said[1][1])
    assert predicted["path"] == str(one)
    assert json.loads(said[2][1])["accuracy"] > 0.8
    assert json.loads(said[-1][1])["scores"][0]["difference"] == 0.0
    assert (tmp_path / "model.onnx").is_file()
    assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "pip install 'frostline[train]'" in said[5][2]
    assert "4.65 M parameters" in said[7][1]
    for name in ("filters.png", "responses.png"):
        with Image.open(tmp_path / name) as drawn:
            assert drawn.width > 900


def test_a_fit_takes_the_best_head_and_names_what_could_not_run(
    core: Path, digits_into: Callable[..., None], tmp_path: Path
) -> None:
    images, run = tmp_path / "images", tmp_path / "run"
    digits_into(images, per_class=12)
    # wrong labels leave something to gain
    for number, file in enumerate(sorted(images.rglob("*.png"))):
        if number % 3 == 0:
            file.rename(images / f"digit {number % 2}" / f"moved {file.name}")
    done = light(core, "-m", "frostline", "fit", str(images), "-o", str(run))
    assert done.returncode == 0, done.stdout + done.stderr
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    assert plan["action"]["kind"] == "taps_head"
    left = [one["name"] for one in plan["candidates"] if one["fate"] == "not_installed"]
    assert left
    assert plan["reasons"] == [{"kind": "not_installed", "extra": "train", "names": left}]
    assert (run / "model" / "model.onnx").is_file()
    assert (run / "report.html").is_file()
    pictures = json.loads((run / "report.json").read_text(encoding="utf-8"))["gallery"]
    assert pictures["mistakes"] and all(tile["heat"] for tile in pictures["mistakes"])
    assert pictures["filters"]
    assert len(pictures["depths"]) == 4


def test_a_network_that_the_full_install_used_is_used_by_the_light_one(
    core: Path, digit_folder: Path, tiny_network: dict[str, Any], tmp_path: Path
) -> None:
    full, run = tmp_path / "full", tmp_path / "run"
    options = ["--backbone", tiny_network["backbone"], "--weights", tiny_network["weights"]]
    options += ["--input-size", tiny_network["input_size"], "--effort", "fast"]
    words = ["-m", "frostline", "fit", str(digit_folder), "-o", str(run), *options]
    with empty_cache(tmp_path):
        refused = light(core, *words)
        assert "needs the extra 'train'" in refused.stderr
        frostline.fit(digit_folder, full, **tiny_network, effort="fast")
        done = light(core, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("plan.json", "predictions.csv", "model/model.onnx", "model/weights.safetensors"):
        assert (run / name).read_bytes() == (full / name).read_bytes(), name


@contextmanager
def empty_cache(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FROSTLINE_CACHE", str(folder / "cache"))
        yield


def test_the_service_answers(core: Path, run: Path, digit_folder: Path) -> None:
    one = next(digit_folder.rglob("*.png")).read_bytes()
    start = b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    with starting(core, "-m", "frostline", "serve", str(run), "--port", "0") as service:
        assert service.stdout is not None
        address = next(line for line in service.stdout if "http://" in line).split()[-1]
        asked = Request(
            f"{address}predict",
            data=start + one + b"\r\n--xyz--\r\n",
            headers={"Content-Type": "multipart/form-data; boundary=xyz"},
        )
        with urlopen(asked, timeout=60) as answer:
            (found,) = json.load(answer)["results"]
    assert found["label"].startswith("digit ")


@pytest.mark.parametrize(
    ("words", "named", "extra"),
    [
        (["inspect", "resnet18"], "'frostline inspect resnet18'", "train"),
        (["inspect", "efficientnet_lite0", "--check"], "'frostline inspect --check'", "train"),
        (["export", "RUN", "-o", "NEW", "--to", "torch"], "An export to 'torch'", "train"),
        (["export", "RUN", "-o", "NEW", "--to", "hub"], "An export to 'hub'", "train"),
        (["fit", "DATA", "-o", "NEW", "--log-to", "mlflow"], "log_to='mlflow'", "mlflow"),
        (["evaluate", "RUN", "TABLE"], "Parquet", "tables"),
        (["demo", "-o", "NEW"], "The demonstration", "demo"),
    ],
)
def test_what_needs_more_says_so_in_one_line(
    core: Path, places: dict[str, str], words: list[str], named: str, extra: str
) -> None:
    work = Path(places["TABLE"]).parent
    before = sorted(work.rglob("*"))
    done = light(core, "-m", "frostline", *(places.get(word, word) for word in words))
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert named in line
    assert line.endswith(f"pip install 'frostline[{extra}]'")
    assert sorted(work.rglob("*")) == before


def test_names_of_python_say_which_extra_they_need(core: Path) -> None:
    for code, extra in (
        ("import frostline; frostline.TransferClassifier", "sklearn"),
        ("from frostline import Network", "train"),
        ("import frostline.nn", "train"),
        ("import frostline.integrations.lightning", "lightning"),
    ):
        done = light(core, "-c", code)
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("frostline.core.errors.MissingExtraError: ")
        assert last.endswith(f"pip install 'frostline[{extra}]'")
