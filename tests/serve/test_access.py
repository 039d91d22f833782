"""Who may ask, and what browsers are told."""

from __future__ import annotations

import hmac
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from frostline.core.errors import SettingsError
from frostline.serve.access_control import Guard
from frostline.serve.limits import make_limits

if TYPE_CHECKING:
    from tests.serve.conftest import MakeParts, Serving

pytestmark = pytest.mark.slow

KEY = "a-key-that-nobody-knows"


def test_without_the_key_nothing_of_the_model_is_told(
    serving: Serving, digits: list[Path], parts: MakeParts
) -> None:
    with serving(Guard(api_key=KEY)) as client:
        for method, path in (
            ("GET", "/model"),
            ("GET", "/metrics"),
            ("GET", "/state.json"),
            ("POST", "/feedback"),
            ("POST", "/reload"),
            ("POST", "/predict"),
            ("POST", "/explain"),
            ("GET", "/elsewhere"),
        ):
            for headers in ({}, {"X-API-Key": KEY[:-1]}, {"Authorization": f"Basic {KEY}"}):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.json()["error"]["kind"] in ("no_key", "wrong_key")
                assert answer.headers["www-authenticate"] == "Bearer"
        files = parts(digits[0])
        for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
            assert client.post("/predict", files=files, headers=headers).status_code == 200
        assert client.get("/health").status_code == 200
        page = client.get("/")
        assert page.status_code == 200
        assert "digit" not in page.text and 'id="key"' in page.text
        assert "X-API-Key" in client.get("/openapi.json").text


def test_keys_are_compared_in_constant_time(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    real = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with serving(Guard(api_key=KEY)) as client:
        client.get("/model", headers={"X-API-Key": "guess"})
    assert compared == [(b"guess", KEY.encode())]


def test_other_sites_are_kept_out_unless_named(
    serving: Serving, digits: list[Path], parts: MakeParts
) -> None:
    files, foreign = parts(digits[0]), {"Origin": "https://example.org"}
    with serving() as client:
        refused = client.post("/predict", files=files, headers=foreign)
        assert (refused.status_code, refused.json()["error"]["kind"]) == (403, "foreign_page")
        assert "access-control-allow-origin" not in refused.headers
        own = {"Origin": "http://testserver"}
        assert client.post("/predict", files=files, headers=own).status_code == 200
    with serving(Guard(origins=("https://example.org",), api_key=KEY)) as client:
        ask = {**foreign, "Access-Control-Request-Method": "POST"}
        wish = {**ask, "Access-Control-Request-Headers": "x-api-key"}
        preflight = client.options("/predict", headers=wish)
        assert preflight.status_code == 200
        answer = client.post("/predict", files=files, headers={**foreign, "X-API-Key": KEY})
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        # a page has to be able to read why it was refused
        lost = client.post("/predict", files=files, headers=foreign)
        assert lost.status_code == 401
        assert lost.headers["access-control-allow-origin"] == "https://example.org"
        other = {"Origin": "https://example.com", "X-API-Key": KEY}
        assert client.post("/predict", files=files, headers=other).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil", ""])
def test_foreign_names_are_refused(serving: Serving, host: str) -> None:
    with serving(Guard(hosts=("localhost", "127.0.0.1", "::1"))) as client:
        refused = client.get("/model", headers={"Host": host})
        assert (refused.status_code, refused.json()["error"]["kind"]) == (400, "wrong_host")
        for own in ("localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
            assert client.get("/model", headers={"Host": own}).status_code == 200


def test_browsers_are_told_to_be_careful(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/", "/model", "/no"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "content-security-policy" in headers


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    # a link is followed, not loaded
    page = re.sub(r"<a [^>]*>", "", client.get("/").text + client.get("/state").text)
    loaded = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    assert all(target.startswith("data:") for target in loaded)
    found = re.findall(r"https?://[^\s'\"]+", page)
    assert all("www.w3.org/2000/svg" in url for url in found)


def test_faults_do_not_tell_secrets(
    serving: Serving, digits: list[Path], parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("/home/someone/secret")

    monkeypatch.setattr("frostline.serve.service.Service.classify", fail)
    with serving() as client:
        # as a server does: the error goes to the log and not to the client
        lenient = TestClient(client.app, raise_server_exceptions=False)
        answer = lenient.post("/predict", files=parts(digits[0]))
    assert answer.status_code == 500
    assert answer.json()["error"]["kind"] == "fault"
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_files": 0}, "max_files cannot be 0"),
        ({"max_seconds": -1}, "max_seconds cannot be -1"),
        ({"max_files": 10, "max_queue": 5}, "max_queue=5 must be at least max_files=10"),
        ({"max_bytes": 5_000_000, "max_request_bytes": 4_000_000}, "max_request_bytes=4000000"),
    ],
)
def test_limits_that_make_no_sense_are_named(values: dict[str, int], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        make_limits(**values)


def test_defaults_make_room_for_what_was_chosen() -> None:
    limits = make_limits(max_bytes=200_000_000, max_files=1_000, max_pixels=None)
    assert limits.max_request_bytes == 200_000_000
    assert limits.max_queue == 1_000
    assert limits.max_pixels == 64_000_000
