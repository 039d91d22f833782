"""The pages for people: each one file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from importlib import resources

import jinja2
from markupsafe import Markup


@dataclass(frozen=True)
class PageSource:
    """What a page is made of: a template and the scripts that run on it, in their order."""

    template: str
    scripts: tuple[str, ...]


#: where images are asked about, and where the state is told
ASKING = PageSource(
    "page.html", ("service.js", "words.js", "cards.js", "corrections.js", "sources.js", "key.js")
)
STATE = PageSource("state.html", ("service.js", "words.js", "state.js", "key.js"))


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """What the pages know of the service.

    - ``asks_for_key``: whether they have a place for its key.
    - ``takes_feedback``, ``keeps_images``: whether people may say what is right, and whether the
      picture is kept then.
    - ``max_bytes``, ``max_files``: what they refuse before they send anything.
    """

    asks_for_key: bool
    takes_feedback: bool
    keeps_images: bool
    max_bytes: int
    max_files: int


@dataclass(frozen=True)
class Page:
    """The page and what a browser may do on it.

    ``policy``: for the header ``Content-Security-Policy``: nothing but the page's own script,
    style, pictures and endpoints.
    """

    html: str
    policy: str


def render(source: PageSource, settings: PageSettings) -> Page:
    """Return a page; it is the same for everybody and learns of the model from the endpoints."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frostline.serve"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = _source("page.css")
    # in one function, so that nothing of it is within reach of anything else
    script = '"use strict";\n(() => {\n' + "\n".join(map(_source, source.scripts)) + "})();"
    html = environment.get_template(source.template).render(
        style=Markup(style), script=Markup(script), settings=asdict(settings)
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
