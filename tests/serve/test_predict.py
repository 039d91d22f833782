"""What the endpoints answer, for good images and for bad ones."""

from __future__ import annotations

import copy
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from frostline.core.errors import ImageFault, InputError, UnreadableImageError
from frostline.model.model import Model
from frostline.model.prediction import Prediction
from frostline.serve.app import create_app
from frostline.serve.limits import Limits
from frostline.serve.problem_details import image_problem
from frostline.serve.service import Service
from tests.data.bombs import png_of_zeros

if TYPE_CHECKING:
    from tests.serve.conftest import MakeParts, Serving

pytestmark = pytest.mark.slow


def jpeg_of(image: Path) -> bytes:
    content = io.BytesIO()
    Image.open(image).convert("RGB").resize((300, 300)).save(content, "JPEG")
    return content.getvalue()


def test_one_result_for_every_file_in_order(
    client: TestClient, model: Model, digits: list[Path], parts: MakeParts
) -> None:
    some = digits[::5]
    answer = client.post("/predict", files=parts(*some))
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [r["name"] for r in results] == [p.name for p in some]
    expected = model.predict_proba(some)
    sets = [found.set_95 for found in model.predict_each(some) if isinstance(found, Prediction)]
    assert [tuple(r["set_95"]) for r in results] == sets
    assert {r["abstain"] for r in results} == {None}
    for result, row in zip(results, expected, strict=True):
        assert result["label"] == model.classes[row.argmax()]
        assert result["confidence"] == pytest.approx(row.max(), abs=1e-6)
        assert result["unknown"] is (result["unfamiliarity"] > 1)
        shares = result["probabilities"]
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
        found = np.array([shares[name] for name in model.classes])
        np.testing.assert_allclose(found, row, atol=1e-6)
    assert len({r["label"] for r in results}) == 3


def test_embeddings_are_told_where_asked(
    client: TestClient, model: Model, digits: list[Path], parts: MakeParts
) -> None:
    some = digits[::10]
    plain = client.post("/predict", files=parts(*some)).json()["results"]
    answer = client.post("/predict?embeddings=true", files=parts(*some))
    assert answer.status_code == 200
    results = answer.json()["results"]
    found = np.array([one.pop("embedding") for one in results], dtype=np.float32)
    np.testing.assert_allclose(found, model.transform(some), rtol=1e-5, atol=1e-5)
    assert {one.pop("embedding") for one in plain} == {None}
    assert [one["label"] for one in results] == [one["label"] for one in plain]
    schema = client.get("/openapi.json").json()
    asked = schema["paths"]["/predict"]["post"]["parameters"]
    assert {one["name"] for one in asked} == {"top", "embeddings"}
    refused = client.post("/predict?embeddings=perhaps", files=parts(*some))
    assert refused.status_code == 422


def test_a_model_without_an_embedding_says_so(
    client: TestClient, digits: list[Path], parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise InputError("m.onnx gives no embedding: it averages several networks.")

    # one that has not opened the session yet
    monkeypatch.setattr("frostline.model.sessions.Sessions.of_this_process", lambda self: none())
    answer = client.post("/predict?embeddings=true", files=parts(digits[0]))
    assert answer.status_code == 422
    assert "averages several networks" in answer.text


def test_top_shortens_the_list(client: TestClient, digits: list[Path], parts: MakeParts) -> None:
    (result,) = client.post("/predict?top=1", files=parts(digits[0])).json()["results"]
    assert list(result["probabilities"]) == [result["label"]]


def test_bad_files_leave_good_ones_alone(
    client: TestClient, digits: list[Path], parts: MakeParts
) -> None:
    whole = jpeg_of(digits[-1])
    bad = {
        "words.jpg": (b"I am no image.", "not_an_image", "text, not an image"),
        "nothing.png": (b"", "empty", "empty file"),
        "half.jpg": (whole[: len(whole) // 2], "truncated", "truncated"),
        "header.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "damaged", "damaged"),
        "page.svg": (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "not_an_image",
            "SVG, which is not read: save it as PNG or JPEG",
        ),
    }
    files = [digits[0], *((name, content) for name, (content, _, _) in bad.items()), digits[-1]]
    answer = client.post("/predict", files=parts(*files))
    assert answer.status_code == 200
    first, *middle, last = answer.json()["results"]
    assert (first["label"], last["label"]) == ("digit 0", "digit 4")
    for result, (name, (_, kind, what)) in zip(middle, bad.items(), strict=True):
        assert set(result) == {"name", "error"}
        assert result["name"] == name
        error = result["error"]
        assert (error["kind"], error["name"]) == (kind, name)
        assert what in error["what"]
        assert error["expected"]
    assert client.post("/predict", files=parts(digits[0])).status_code == 200


@pytest.mark.parametrize("fault", ImageFault)
def test_what_is_wrong_is_told_by_kind_whatever_the_words(fault: ImageFault) -> None:
    error = copy.copy(UnreadableImageError("a.png", "in other words", fault))
    problem = image_problem(error)
    assert (problem.kind, problem.what) == (fault.value, "in other words")
    assert problem.expected


def test_600_megapixels_are_refused_from_the_header(
    client: TestClient, model: Model, parts: MakeParts
) -> None:
    bomb = png_of_zeros(30_000, 20_000)
    assert len(bomb) < 1_000_000
    (result,) = client.post("/predict", files=parts(("bomb.png", bomb))).json()["results"]
    assert result["error"]["kind"] == "too_many_pixels"
    assert "600 megapixels" in result["error"]["what"]


def test_each_client_gets_its_own_answer(
    serving: Serving, model: Model, digits: list[Path], parts: MakeParts
) -> None:
    expected = dict(zip(digits, model.predict_proba(digits), strict=True))
    with serving(wait_ms=20, batch=8) as client:

        def ask(image: Path) -> np.ndarray:
            (result,) = client.post("/predict", files=parts(image)).json()["results"]
            assert result["name"] == image.name
            return np.array([result["probabilities"][name] for name in model.classes])

        with ThreadPoolExecutor(12) as pool:
            for image, row in zip(digits, pool.map(ask, digits), strict=True):
                np.testing.assert_allclose(row, expected[image], atol=1e-5)
        # they really went together: otherwise this test would show nothing
        said = client.get("/metrics").text
    line = next(x for x in said.splitlines() if x.startswith("frostline_batch_images_count"))
    assert float(line.split()[1]) < len(digits)


def test_the_heat_lies_where_the_digit_is(
    client: TestClient, model: Model, digits: list[Path], parts: MakeParts
) -> None:
    answer = client.post("/explain", files=parts(digits[-1]))
    assert answer.status_code == 200
    found = answer.json()
    assert found["label"] == "digit 4"
    assert found["probability"] == pytest.approx(model.predict_proba(digits[-1]).max(), abs=1e-5)
    heat = np.array(found["heat"])
    assert heat.shape == (12, 12)
    assert found["strongest"] >= np.abs(heat).max() - 1e-3
    # a digit fills the middle half from side to side; the outer columns are empty, though what
    # they lack speaks for a class as well, and in a single picture may speak louder
    heats = [
        np.abs(client.post("/explain", files=parts(image)).json()["heat"]) for image in digits[::8]
    ]
    each = [(one[:, 3:9].mean(), one[:, [0, 1, 10, 11]].mean()) for one in heats]
    assert np.mean([middle > outer for middle, outer in each]) > 0.6
    middle, outer = np.mean(each, axis=0)
    assert middle > 1.1 * outer
    other = client.post("/explain", files=parts(digits[-1]), data={"label": "digit 0"}).json()
    assert other["label"] == "digit 0"
    assert other["heat"] != found["heat"]
    for picture, kind in ((found["image"], "jpeg"), (found["overlay"], "png")):
        assert picture.startswith(f"data:image/{kind};base64,")


def test_explaining_refuses_what_it_cannot(
    client: TestClient, digits: list[Path], parts: MakeParts
) -> None:
    bad = client.post("/explain", files=parts(("x.png", b"no")))
    assert (bad.status_code, bad.json()["error"]["kind"]) == (422, "not_an_image")
    two = client.post("/explain", files=parts(*digits[:2]))
    assert (two.status_code, two.json()["error"]["kind"]) == (422, "too_many_files")
    twice = {"label": ["digit 0", "digit 1"]}
    double = client.post("/explain", files=parts(digits[0]), data=twice)
    assert (double.status_code, double.json()["error"]["kind"]) == (422, "repeated_field")
    odd = client.post("/explain", files=parts(digits[0]), data={"label": "digit 3"})
    assert odd.status_code == 422
    assert "Did you mean" in odd.json()["error"]["what"]


def test_the_card_health_and_counters(
    client: TestClient, model: Model, digits: list[Path], parts: MakeParts
) -> None:
    assert client.get("/model").json() == model.card.model_dump(mode="json")
    assert client.get("/health").json()["status"] == "ok"

    def counted(line: str) -> float:
        said = client.get("/metrics").text.splitlines()
        return next((float(x.split()[-1]) for x in said if x.startswith(line)), 0.0)

    names = (
        'frostline_images_total{outcome="classified"}',
        'frostline_images_total{outcome="refused"}',
        'frostline_errors_total{kind="not_an_image"}',
        'frostline_requests_total{path="/predict",status="200"}',
        'frostline_request_seconds_count{path="/predict"}',
    )
    before = [counted(name) for name in names]
    client.post("/predict", files=parts(digits[0], digits[1], ("x.png", b"no")))
    assert [counted(name) for name in names] == [
        before[0] + 2,
        before[1] + 1,
        before[2] + 1,
        before[3] + 1,
        before[4] + 1,
    ]
    assert counted("frostline_queue_images") == 0
    assert counted("frostline_upload_bytes") == 0
    # names of paths that do not exist are not kept: anybody could fill the memory with them
    client.get("/no/such/path")
    assert "/no/such/path" not in client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "kind", "hint"),
    [
        ("/predict?tpo=2", "unknown_parameter", "'top'"),
        ("/predict?top=0", "invalid_parameter", "top"),
        ("/predict?top=many", "invalid_parameter", "top"),
        ("/predikt", "not_found", "'/predict'"),
    ],
)
def test_slips_are_named(
    client: TestClient, digits: list[Path], path: str, kind: str, hint: str, parts: MakeParts
) -> None:
    answer = client.post(path, files=parts(digits[0]))
    assert answer.status_code == (404 if kind == "not_found" else 422)
    error = answer.json()["error"]
    assert error["kind"] == kind
    assert hint in error["what"]


def test_another_method_is_named(client: TestClient) -> None:
    answer = client.get("/predict")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]["kind"] == "wrong_method"


def test_noise_is_called_unknown_and_digits_are_not(
    client: TestClient, digits: list[Path], parts: MakeParts
) -> None:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    files = parts(*digits[::4], ("noise.png", content.getvalue()))
    results = client.post("/predict", files=files).json()["results"]
    assert results[-1]["unknown"] is True
    assert results[-1]["unfamiliarity"] > 1
    assert sum(result["unknown"] for result in results[:-1]) <= 1


def test_the_answer_is_the_one_of_the_models_rule() -> None:
    released = Path(__file__).parents[1] / "model" / "released"
    ruled = Model.load(released / "format-5", threads=1)
    images = sorted((released / "images").glob("*.png"))
    with TestClient(create_app(Service(ruled, Limits()))) as client:
        files = [("files", (path.name, path.read_bytes())) for path in images]
        results = client.post("/predict", files=files).json()["results"]
        card = client.get("/model").json()
        explained = client.post("/explain", files=files[:1])
    assert [one["label"] for one in results] == ruled.predict(images)
    for one in results:
        assert one["confidence"] == one["probabilities"][one["label"]]
        assert one["label"] != next(iter(one["probabilities"]))
    assert explained.json()["label"] == results[0]["label"]
    assert card["metric"] == "balanced_accuracy"
    assert card["rule"]["factors"] == [1.0, 0.5, 0.125]
