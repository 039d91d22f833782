"""Serve a fitted model: a page and a few endpoints; PyTorch is not needed."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from frostline.cli.console import TerminalProgress, err, out
from frostline.compute.cache.eviction import parse_size
from frostline.core.errors import FrostlineError, SettingsError
from frostline.core.settings import Settings
from frostline.model.answering import AUTO
from frostline.model.model import Model
from frostline.serve.access_control import Guard
from frostline.serve.app import create_app
from frostline.serve.feedback import Feedback
from frostline.serve.limits import make_limits
from frostline.serve.served_model import FindNearest
from frostline.serve.server import listen, outliving_hangup, run
from frostline.serve.service import Service
from frostline.wording.tasks import TASKS

_KEY = "FROSTLINE_API_KEY"
_LOCAL = ("localhost", "127.0.0.1", "::1")
_SIZES = ("max_bytes", "max_request_bytes", "max_held_bytes", "max_feedback_bytes")


@dataclass(frozen=True, kw_only=True)
class Living:
    """What a service learns and takes on while it runs.

    - ``feedback``: folder in which what people say is kept; None takes none.
    - ``keep_images``: whether the pictures are kept with it.
    - ``watch``: chance of ever raising a false alarm that pictures changed; None watches nothing.
    - ``allow_reload``: whether a request with the key may let it take the folder's new model.
    - ``nearest``: how many training images are named beside every answer; None names none.
    """

    feedback: Path | None = None
    keep_images: bool = False
    allow_reload: bool = False
    watch: float | None = None
    nearest: int | None = None


@outliving_hangup()
def serve_run(
    folder: Path,
    *,
    host: str,
    port: int,
    api_key: str | None,
    cors: list[str],
    allow_host: list[str],
    threads: int | None,
    answers: dict[str, Any],
    limits: dict[str, Any],
    living: Living,
) -> None:
    """Serve until Ctrl-C.

    Raises RunFolderError if there is no model; SettingsError if a limit, the key or a site cannot
    be used; InputError if the port is taken.

    - ``folder``: of a finished run.
    - ``api_key``: None looks into the environment.
    - ``cors`` and ``allow_host``: sites and names besides the service's own.
    - ``threads``: threads that compute.
    - ``answers``: ``at_most_wrong`` and ``shares``, as for :meth:`Model.load`.
    - ``limits``: fields of :class:`~frostline.serve.limits.Limits`, None for defaults; sizes as
      text.
    - ``living``: what the service learns and takes on while it runs.
    """
    sizes = {k: parse_size(v, _option(k)) for k, v in limits.items() if k in _SIZES and v}
    bounds = make_limits(**{**limits, **sizes})
    key = _key(api_key)
    for site in cors:
        _check_site(site)
    _check_living(living, folder)
    if answers.get("shares") == AUTO:
        raise SettingsError(
            "A service sees images one by one, so it cannot estimate the shares of classes.",
            hint="Estimate them with 'frostline predict --shares auto', and give them here.",
        )
    local = _is_local(host)
    guard = Guard(
        api_key=key,
        origins=tuple(cors),
        hosts=tuple(dict.fromkeys((*_LOCAL, host, *allow_host))) if local or allow_host else (),
        allow_reload=living.allow_reload,
    )

    def load() -> Model:
        return Model.load(folder, threads=threads, max_pixels=bounds.max_pixels, **answers)

    model = load()
    taken = listen(host, port)
    feedback = (
        None
        if living.feedback is None
        else Feedback(living.feedback, bounds, keeps_images=living.keep_images)
    )
    service = Service(
        model,
        bounds,
        load=load,
        feedback=feedback,
        watch=living.watch,
        open_nearest=None if living.nearest is None else _opens_nearest(folder, living.nearest),
    )
    service.warm_up()
    app = create_app(service, guard)
    # the server ends on Ctrl-C by itself; this is for one that comes before it has begun
    with contextlib.suppress(KeyboardInterrupt):
        _announce(folder, model, taken)
        if not local and key is None:
            err.print(
                f"Everybody who reaches {host} may use it: set {_KEY} to ask for a key.",
                style="yellow",
            )
        run(
            app,
            taken,
            max_seconds=bounds.max_seconds,
            on_stop=service.drain,
            on_hangup=lambda: _take_new_model(service),
        )
    out.print("Stopped.")


def _opens_nearest(folder: Path, k: int) -> Callable[[Model], FindNearest]:
    """Return what opens the training images of a run for the model that is served from it."""
    from frostline.fitting.pipeline import runtime_of
    from frostline.fitting.training_images import open_training_images

    def open_nearest(model: Model) -> FindNearest:
        known = open_training_images(
            folder, model, runtime_of(Settings(), TerminalProgress(), None)
        )
        known.check(k)
        return lambda embeddings: known.nearest(embeddings, k)

    return open_nearest


async def _take_new_model(service: Service) -> None:
    """Let the service take the model that its folder holds by now, and say what came of it."""
    try:
        found = await service.reload()
    except FrostlineError as error:
        err.print(f"The model is not replaced, and the earlier one serves on: {error}", style="red")
        return
    said = "A new model is served" if found.changed else "The folder holds the model that is served"
    out.print(f"{said}: {found.model[:12]}.")


def _check_living(living: Living, folder: Path) -> None:
    if living.feedback is None:
        if living.keep_images:
            raise SettingsError(
                "--keep-images is about the images of feedback, and none is taken.",
                hint="Add --feedback FOLDER.",
            )
        return
    run_folder, kept = folder.resolve(), living.feedback.resolve()
    if kept == run_folder or run_folder in kept.parents:
        raise SettingsError(
            f"The folder of feedback, {living.feedback}, lies in {folder}, which another run may "
            "replace.",
            hint="Give a folder beside it.",
        )


def _announce(folder: Path, model: Model, taken: socket.socket) -> None:
    host, port = taken.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    out.print(
        Text.assemble(
            f"Serving {folder} ({TASKS[model.card.task].count(len(model.classes))}) on ",
            (f"http://{shown}:{port}/", "bold green"),
        ),
        soft_wrap=True,
    )
    err.print("Ctrl-C stops it.", style="dim")


def _key(given: str | None) -> str | None:
    key = os.environ.get(_KEY) if given is None else given
    if key is None:
        return None
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise SettingsError(
            "The API key must be printable ASCII without spaces around it.",
            hint=f"Set it with {_KEY}, or unset that for none.",
        )
    return key


def _check_site(site: str) -> None:
    scheme, separator, rest = site.partition("://")
    whole = site == "*" or (separator and scheme in ("http", "https") and rest and "/" not in rest)
    if not whole:
        raise SettingsError(
            f"--cors cannot be {site!r}.", hint="Give an origin such as https://example.org, or *."
        )


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
