"""The steps of a Dockerfile in a root of their own: no Docker, no base image, no daemon.

The base is what ``python:slim`` has: Python with pip below ``/usr/local``, and the programs and
libraries of the system. They are this machine's, mounted so that nothing can write to them; all
else that a step sees is what the steps before it made.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SYSTEM = ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share")
#: where pip finds packages and trust, as this machine is set up
_SETUP = ("etc/pip.conf", "etc/ssl", "etc/resolv.conf", "etc/hosts", "etc/nsswitch.conf")
_ACCOUNTS = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/login.defs")
_PACKAGES = ("opt/pypi", "opt/pypi-more", "opt/wheels")
_APART = ("unshare", "--mount", "--pid", "--fork")
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/root",
    "PYTHONUNBUFFERED": "1",
    # Python's own library, not one of the same version that the system has
    "LD_LIBRARY_PATH": "/usr/local/lib",
}


@dataclass
class Container:
    """A root, and what the steps of a Dockerfile have set."""

    root: Path
    folder: str = "/"
    user: str = "0"
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def process(self, words: list[str], *, user: str | None = None) -> subprocess.Popen[str]:
        """Start a program in the root, and in process numbers of its own."""
        script = ["set -e", "mount --make-rprivate /"]
        for name in (*_SYSTEM, *_PACKAGES):
            if Path("/", name).exists():
                inside = shlex.quote(str(self.root / name))
                script.append(f"mount --bind /{name} {inside}; mount -o remount,ro,bind {inside}")
        root = shlex.quote(str(self.root))
        script += [f"mount --bind /dev {root}/dev", f"mount -t proc proc {root}/proc"]
        inner = f"cd {shlex.quote(self.folder)} && exec {shlex.join(words)}"
        script.append(
            f"exec chroot --userspec={user or self.user} {root} /bin/sh -c {shlex.quote(inner)}"
        )
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        return subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                "\n".join(script),
            ],
            env={**_ENVIRONMENT, **pip, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, words: list[str], *, user: str | None = None) -> str:
        """Run a program to its end; RuntimeError with what it said if it fails."""
        process = self.process(words, user=user)
        said, _ = process.communicate(timeout=900)
        if process.returncode:
            raise RuntimeError(f"{shlex.join(words)} ended with {process.returncode}:\n{said}")
        return said


def ask_to_end(process: subprocess.Popen[str]) -> None:
    """Send what ``docker stop`` sends to the program in the root, which is number 1 there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    os.kill(int(children), signal.SIGTERM)


def can_build() -> bool:
    """Return whether this machine lets us make a root."""
    words = [*_APART, "mount", "--make-rprivate", "/"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def build(dockerfile: Path, context: Path, root: Path, arguments: Mapping[str, str]) -> Container:
    """Carry out the steps of a Dockerfile; ValueError for one that is not known."""
    _lay_base(root)
    box = Container(root)
    box.run(["python3", "-m", "ensurepip"])
    shutil.copy(root / "usr/local/bin/pip3", root / "usr/local/bin/pip")
    for step in _steps(dockerfile):
        word, _, rest = step.partition(" ")
        match word:
            case "FROM" | "EXPOSE" | "HEALTHCHECK":
                pass
            case "ARG":
                name, _, default = rest.partition("=")
                box.env[name] = arguments.get(name, default.strip('"'))
            case "ENV":
                name, _, value = rest.partition("=")
                box.env[name] = value
            case "WORKDIR":
                box.folder = rest
                (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY":
                *sources, target = rest.split()
                _copy(context, sources, root / box.folder.lstrip("/") / target)
            case "RUN":
                box.run(["/bin/sh", "-c", rest])
            case "USER":
                box.user = rest
            case "ENTRYPOINT":
                box.entrypoint = json.loads(rest)
            case "CMD":
                box.command = json.loads(rest)
            case _:
                raise ValueError(f"{dockerfile.name}: no step {word!r} is known here")
    return box


def _steps(dockerfile: Path) -> list[str]:
    text = dockerfile.read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _copy(context: Path, sources: list[str], target: Path) -> None:
    for name in sources:
        source = context / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def _lay_base(root: Path) -> None:
    """Lay out an empty system, with a Python of its own that has no packages."""
    for name in (*_SYSTEM, *_PACKAGES, "dev", "proc", "tmp", "root", "etc", "run", "usr/local"):
        (root / name).mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in (*_SETUP, *_ACCOUNTS):
        here = Path("/", name)
        if here.is_dir():
            shutil.copytree(here, root / name, symlinks=True)
        elif here.exists():
            shutil.copy(here, root / name)
    own = Path.home() / ".config" / "pip"
    if own.is_dir():
        shutil.copytree(own, root / "root" / ".config" / "pip")
    base = Path(sys.base_prefix)
    library = Path(sysconfig.get_path("stdlib")).relative_to(base)
    ignore = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*")
    shutil.copytree(base / library, root / "usr/local" / library, ignore=ignore, symlinks=True)
    (root / "usr/local" / library / "site-packages").mkdir()
    (root / "usr/local/bin").mkdir()
    program = f"python{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(base / "bin" / program, root / "usr/local/bin")
    for shared in (base / "lib").glob("libpython*"):
        shutil.copy(shared, root / "usr/local/lib", follow_symlinks=False)
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to(program)
