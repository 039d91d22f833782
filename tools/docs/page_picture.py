"""Photograph the service's page with some images on it.

    python -m tools.docs.page_picture RUN IMAGE [IMAGE ...] --out docs/images

Serves RUN, lets a browser choose the images and ask for the heat map of the first, and writes
page.png (wide) and page-phone.png (375 pixels, dark). Needs Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.serving.service import served
from benchmarks.serving.wire import Place

_SHOTS = (("page.png", 1000, "light"), ("page-phone.png", 375, "dark"))


def main() -> None:
    """Take both pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs/images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(options.run, Path(folder) / "log") as at:
        for name, width, scheme in _SHOTS:
            _shoot(at, options.images, options.out / name, width, scheme)
            print(options.out / name)


def _shoot(at: Place, images: list[Path], out: Path, width: int, scheme: Any) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
        page.set_default_timeout(120_000)
        page.goto(f"http://{at.host}:{at.port}/")
        # the newest card is on top
        for place, image in enumerate(reversed(images), start=1):
            page.set_input_files("#files", image)
            page.locator(".explain:visible").nth(place - 1).wait_for()
        page.locator(".explain").first.click()
        page.locator(".explained").wait_for()
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(300)
        page.screenshot(path=out, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
