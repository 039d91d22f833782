"""A service names the training images that a picture is most like, also on its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from frostline.run.manifest import read_rows

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.serve.conftest import MakeParts, Starting

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_training_image_is_most_like_itself(
    run: Path,
    digits: list[Path],
    browser: Browser,
    started: Starting,
    client: TestClient,
    parts: MakeParts,
) -> None:
    rows = {row.name: row for row in read_rows(run) or () if row.part == "train"}
    image = next(one for one in digits if f"{one.parent.name}/{one.name}" in rows)
    name = f"{image.parent.name}/{image.name}"
    plain = client.post("/predict", files=parts(image)).json()["results"][0]
    with started(run, "--nearest", "2") as live:
        page = browser.new_page(viewport={"width": 320, "height": 800})
        sent: FilePayload = {
            "name": image.name,
            "mimeType": "image/png",
            "buffer": image.read_bytes(),
        }
        answer = page.request.post(f"{live.url}predict", multipart={"files": sent})
        found = answer.json()["results"][0]
        page.goto(live.url)
        page.set_input_files("#files", image)
        shown = page.locator(".nearest li")
        expect(shown).to_have_count(2, timeout=60_000)
        expect(shown.first).to_contain_text(f"{rows[name].label} {name} (1.00)")
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        page.close()
    nearest = found.pop("nearest")
    assert (nearest[0]["path"], nearest[0]["label"]) == (name, rows[name].label)
    assert nearest[0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert nearest[1]["path"] in rows and nearest[1]["similarity"] <= nearest[0]["similarity"]
    # nobody asked for the vector, and the rest is what any service says
    assert plain.pop("nearest") is None
    assert found == plain
    assert found["embedding"] is None
