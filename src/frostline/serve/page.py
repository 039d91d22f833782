"""The page for people: one file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources

import jinja2
from markupsafe import Markup

from frostline.serve.limits import Limits

_SCRIPTS = ("service.js", "cards.js", "sources.js")


@dataclass(frozen=True)
class Page:
    """The page and what a browser may do on it.

    ``policy``: for the header ``Content-Security-Policy``: nothing but the page's own script,
    style, pictures and endpoints.
    """

    html: str
    policy: str


def render(limits: Limits, *, asks_for_key: bool) -> Page:
    """Return the page; it is the same for everybody and learns of the model from ``/model``.

    ``limits``: what the page itself refuses before it sends anything. ``asks_for_key``: whether the
    page has a place for the service's key.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frostline.serve"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = _source("page.css")
    # in one function, so that nothing of it is within reach of anything else
    script = '"use strict";\n(() => {\n' + "\n".join(map(_source, _SCRIPTS)) + "})();"
    settings = {
        "asks_for_key": asks_for_key,
        "max_bytes": limits.max_bytes,
        "max_files": limits.max_files,
    }
    html = environment.get_template("page.html").render(
        style=Markup(style), script=Markup(script), settings=settings
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_fingerprint(script)}",
            f"style-src {_fingerprint(style)}",
            "img-src 'self' data: blob:",
            "media-src blob:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Page(html + "\n", policy)


def _source(name: str) -> str:
    """Return a file of ours as it is; it goes into the page unescaped."""
    folder = resources.files("frostline.serve") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _fingerprint(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
