"""A checkout and the Python that runs it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: packages whose versions are written down; what a Python lacks is left out
_PACKAGES = ("torch", "timm", "onnxruntime", "openvino", "scipy", "scikit-learn", "numpy", "pillow")
_ASK = """
import json, importlib.metadata as m, platform, frostline
found = {}
for name in %r:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
found = {"file": frostline.__file__, "python": platform.python_version(), "versions": found}
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Tree:
    """Where a version's files are, and the Python with the packages that it needs."""

    folder: Path
    python: Path

    @property
    def frostline(self) -> list[str]:
        """Words of a command that come before the options."""
        return [str(self.python), "-m", "frostline"]

    def env(self, cache: Path, *first: Path) -> dict[str, str]:
        """What its processes find in the environment; ``first`` come first on the path."""
        path = os.pathsep.join(map(str, (*first, self.folder / "src")))
        return {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "FROSTLINE_CACHE": str(cache),
        }

    def summary(self, cache: Path) -> dict[str, Any]:
        """Commit, Python and packages; RuntimeError if another Frostline than this tree's runs."""
        command = [str(self.python), "-c", _ASK % (_PACKAGES,)]
        told = subprocess.run(
            command,
            env=self.env(cache),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found: dict[str, Any] = json.loads(told)
        if not Path(found.pop("file")).is_relative_to(self.folder / "src"):
            raise RuntimeError(f"{self.python} does not run the Frostline of {self.folder}")
        commit = subprocess.run(
            ["git", "-C", str(self.folder), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
        return {"commit": commit.stdout.strip() or None, **found}
