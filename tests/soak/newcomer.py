"""Walk the newcomer's path: a fresh clone, the README's commands, an image on the page.

    python -m tests.soak.newcomer [--photos FOLDER] [--installed VENV]

Clones this repository into a temporary folder, gives every line of the README's first block of
commands to a shell there, with FOLDER (or some of scikit-learn's digits) as ``photos``, opens the
page that the last one serves in Chromium, drops an image on it and prints the label it shows, with
the seconds of each step. ``--installed`` spares the installation by an environment that has
everything.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[2]
PAGE = "http://127.0.0.1:8000/"
_PATH = re.compile(r"## From a clone to your own image.*?```console\n(.*?)```", re.DOTALL)
_DROP = """([data, name]) => {
  const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
  const items = new DataTransfer();
  items.items.add(new File([bytes], name, {type: 'image/png'}));
  const options = {dataTransfer: items, bubbles: true, cancelable: true};
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(kind, options));
}"""


def main() -> None:
    """Walk it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--installed", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "frostline"
        _run(["git", "clone", "--quiet", str(ROOT), str(clone)], Path(folder))
        if options.photos is None:
            _write_digits(clone / "photos")
        else:
            shutil.copytree(options.photos, clone / "photos")
        _walk(clone, options.installed)


def _walk(clone: Path, installed: Path | None) -> None:
    found = _PATH.search((clone / "README.md").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("The README has no path for newcomers.")
    *steps, last = found.group(1).strip().splitlines()
    environment = os.environ | {"FROSTLINE_CACHE": str(clone / "cache")}
    environment.pop("PYTHONPATH", None)
    # a shell of its own for each line: what one sets for the next is repeated
    before = "source .venv/bin/activate"
    if installed is not None:
        before = f"source {installed.resolve()}/bin/activate && export PYTHONPATH=src"
        steps = [step for step in steps if not step.startswith("make")]
    for step in steps:
        began = time.perf_counter()
        line = step if step.startswith("make") else f"{before} && {step}"
        subprocess.run(["bash", "-ec", line], cwd=clone, env=environment, check=True)
        print(f"{time.perf_counter() - began:6.1f} s  {step}", flush=True)
    began = time.perf_counter()
    served = subprocess.Popen(
        ["bash", "-ec", f"{before} && exec {last}"], cwd=clone, env=environment
    )
    try:
        _wait()
        print(f"{time.perf_counter() - began:6.1f} s  {last}", flush=True)
        began = time.perf_counter()
        label = _drop(sorted((clone / "photos").rglob("*.png"))[0])
        print(f"{time.perf_counter() - began:6.1f} s  an image dropped on the page: {label!r}")
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(timeout=30)


def _drop(image: Path) -> str:
    """Drop an image on the page as a hand would; return the label that appears."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(PAGE)
        data = base64.b64encode(image.read_bytes()).decode()
        page.evaluate(_DROP, [data, image.name])
        # the card says that it is waiting until the answer is there
        page.locator(".explain:visible").first.wait_for()
        label = page.locator(".label").first.inner_text()
        browser.close()
    return label


def _wait() -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{PAGE}health"):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    raise SystemExit("The service did not start.")


def _write_digits(folder: Path) -> None:
    data = load_digits()
    for digit in range(3):
        (folder / f"digit {digit}").mkdir(parents=True)
        for number in np.flatnonzero(data.target == digit)[:12]:
            pixels = (data.images[number] * 15.9).astype(np.uint8)
            picture = Image.fromarray(pixels).resize((64, 64))
            picture.save(folder / f"digit {digit}" / f"{number}.png")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
