"""The newcomer's path: a fresh clone, the README's commands, an image dropped on the page."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import write_digits

pytestmark = [pytest.mark.soak, pytest.mark.browser]
_ROOT = Path(__file__).resolve().parents[2]
_PAGE = "http://127.0.0.1:8000/"
_PATH = re.compile(r"## From a clone to your own image.*?```console\n(.*?)```", re.DOTALL)
_DROP = """([data, name]) => {
  const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
  const items = new DataTransfer();
  items.items.add(new File([bytes], name, {type: 'image/png'}));
  const options = {dataTransfer: items, bubbles: true, cancelable: true};
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(kind, options));
}"""


def test_the_commands_of_the_readme_lead_to_a_label(tmp_path: Path, browser: Browser) -> None:
    clone = tmp_path / "frostline"
    subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(clone)], check=True)
    write_digits(clone / "photos", per_class=12)
    found = _PATH.search((clone / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    *steps, last = found.group(1).strip().splitlines()
    # nothing of what runs the tests: the clone installs what it needs
    environment = os.environ | {"FROSTLINE_CACHE": str(clone / "cache")}
    environment.pop("PYTHONPATH", None)
    subprocess.run(["bash", "-ec", "\n".join(steps)], cwd=clone, env=environment, check=True)
    assert not list(clone.glob(".venv/lib/python*/site-packages/torch"))
    inside = f"{steps[0]} && exec {last}"
    service = subprocess.Popen(["bash", "-ec", inside], cwd=clone, env=environment)
    try:
        _wait()
        image = sorted((clone / "photos").rglob("*.png"))[0]
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(_PAGE)
        page.evaluate(_DROP, [base64.b64encode(image.read_bytes()).decode(), image.name])
        # the card says that it is waiting until the answer is there
        page.locator(".explain:visible").first.wait_for()
        assert page.locator(".label").first.inner_text() == image.parent.name
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(timeout=30)


def _wait() -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{_PAGE}health"):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail("The service did not start.")
