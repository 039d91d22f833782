"""Take the pictures of the docs that show a report, from a run that really happened.

    python -m tools.docs.screenshots RUN OUT

RUN is the folder of a finished run, OUT where the pictures go, such as docs/images. Needs Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from frostline.report import load_record, write_report

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Shot:
    """One picture: the window, or one section where ``section`` names it."""

    name: str
    width: int
    height: int
    theme: str = "light"
    section: str = ""


SHOTS = (
    Shot("report.png", 1280, 820),
    Shot("report-dark.png", 1280, 820, theme="dark"),
    Shot("report-phone.png", 375, 812),
    Shot("report-network.png", 1280, 900, section="network"),
    Shot("report-evidence.png", 1280, 900, section="evidence"),
    Shot("report-errors.png", 1280, 900, section="errors"),
    Shot("report-sees.png", 1280, 900, section="sees"),
    Shot("report-mistakes.png", 1280, 900, section="mistakes"),
)


def take(browser: Browser, report: Path, shot: Shot, target: Path) -> bool:
    """Write one picture; False where the report has no such section."""
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.theme == "dark" else "light",
    )
    page.goto(report.as_uri())
    section = page.locator(f"#{shot.section}") if shot.section else None
    there = section is None or section.count() == 1
    if section is None:
        page.screenshot(path=target)
    elif there:
        section.screenshot(path=target)
    page.close()
    if there:
        # a page has few colours; this makes the file a third as large
        with Image.open(target) as image:
            few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(target, optimize=True)
    return there


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("Usage: python -m tools.docs.screenshots RUN OUT")
    run, out = Path(sys.argv[1]), Path(sys.argv[2])
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        sys.exit("Screenshots need Chromium: apt-get install chromium.")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder) / "report.html"
        write_report(report, data=load_record(run / "report.json"))
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for shot in SHOTS:
            there = take(browser, report, shot, out / shot.name)
            print(f"{out / shot.name}" if there else f"{shot.name}: no such section in this report")
        browser.close()


if __name__ == "__main__":
    main()
