"""What somebody needs to make the same model again: command, versions, fingerprints."""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from frostline.core.run_record import Provenance
from frostline.core.settings import Settings, setting_names

#: packages whose version may change a number
PACKAGES = (
    "frostline",
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "openvino",
    "scikit-learn",
    "numpy",
    "pillow",
)
#: flags of the command line that are not just the setting's name and value
_FLAGS = {
    ("group_near_duplicates", False): "--no-group-near-duplicates",
    ("train_all", True): "--train-all",
    ("keep_features", True): "--keep-features",
}


def provenance(
    settings: Settings,
    *,
    source: str,
    run: str,
    plan_given: bool,
    on_disk: bool = True,
    fingerprints: Mapping[str, str | None],
) -> Provenance:
    """Return how to make the same model again.

    ``source`` and ``run``: images and run folder, as the user named them. ``plan_given``: whether a
    plan was carried out instead of deciding. ``on_disk``: whether ``source`` is a path; anything
    else only Python can be given. ``fingerprints``: by what they belong to; those that are None are
    left out.
    """
    say = command if on_disk else call
    return Provenance(
        command=say(settings, source=source, run=run, plan_given=plan_given),
        versions=versions(),
        fingerprints={name: value for name, value in fingerprints.items() if value},
    )


def command(settings: Settings, *, source: str, run: str, plan_given: bool) -> str:
    """Return the command line that fits with these settings; those at their default are left out.

    The seed is always named.
    """
    words = ["frostline", "fit", source, "-o", run]
    if plan_given:
        words += ["--plan", f"{run}/plan.json"]
    for name, value in _chosen(settings).items():
        option = f"--{name.replace('_', '-')}"
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        words += [_FLAGS[name, value]] if (name, value) in _FLAGS else [option, text]
    return shlex.join(words)


def call(settings: Settings, *, source: str, run: str, plan_given: bool) -> str:
    """Return the call in Python that does what :func:`command` does, for images in memory."""
    values = {"plan": f"{run}/plan.json"} if plan_given else {}
    given = "".join(f", {k}={v!r}" for k, v in {**values, **_chosen(settings)}.items())
    return f"frostline.fit(source, {run!r}{given})  # source: {source}"


def _chosen(settings: Settings) -> dict[str, Any]:
    """Settings that are not at their default, and the seed; paths as text."""
    default = Settings()
    return {
        name: str(value) if isinstance(value, Path) else value
        for name in setting_names()
        if (value := getattr(settings, name)) != getattr(default, name) or name == "seed"
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "machine": f"{platform.system()} {platform.machine()}"}


def fingerprint_of_images(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a SHA-256 of names, contents and labels, whatever their order.

    Parameters
    ----------
    rows : iterable of (name, digest, label)
    """
    whole = hashlib.sha256()
    for row in sorted(rows):
        for part in row:
            whole.update(f"{len(part.encode())}:{part}".encode())
    return whole.hexdigest()
