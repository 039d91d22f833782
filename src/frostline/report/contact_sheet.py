"""The contact sheet: one page on which images are labelled by click or key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from frostline.core.files import write_text
from frostline.core.suggestion_record import Suggestion, Suggestions
from frostline.explain.encoding import jpeg
from frostline.report.write import digest_of_script, environment, own_file

#: longer side of a picture, in pixels, and its bytes, at most
SIDE, _BYTES = 384, 40_000


def picture_of(image: Image.Image) -> bytes:
    """Return an image as the sheet shows it: JPEG in its own shape."""
    shown = image.copy()
    shown.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return jpeg(shown, most=_BYTES)


def write_contact_sheet(
    path: Path,
    found: Suggestions,
    pictures: Mapping[str, bytes],
    *,
    title: str,
    sentences: Sequence[str],
    why: Callable[[Suggestion], str],
    command: str,
) -> None:
    """Write the page; nothing is loaded from elsewhere.

    Raises RunFolderError if the file cannot be written.

    - ``pictures``: JPEG by digest; images without one are left out.
    - ``sentences``: what was found, and what labels are expected to bring.
    - ``why``: says in words why an image was suggested.
    - ``command``: what to do with the answers.
    """
    rows = [
        _row(one, pictures[one.digest], why(one), apart=apart)
        for group, apart in ((found.chosen, False), (found.apart, True))
        for one in group
        if one.digest in pictures
    ]
    stands_for = json.dumps([found.run, [row["digest"] for row in rows]])
    data = {
        "id": hashlib.sha256(stands_for.encode()).hexdigest()[:16],
        "run": found.run,
        "file": "answers.json",
        "classes": list(found.classes),
        "images": rows,
    }
    script = own_file("sheet/sheet.js")
    page = (
        environment()
        .get_template("sheet.html")
        .render(
            title=title,
            sentences=sentences,
            command=command,
            style=Markup(own_file("sheet/sheet.css")),
            script=Markup(script),
            script_digest=digest_of_script(f"\n{script}\n"),
            # names may hold the end of a script
            data=Markup(json.dumps(data).replace("<", "\\u003c")),
        )
    )
    write_text(path, page + "\n")


def _row(one: Suggestion, picture: bytes, why: str, *, apart: bool) -> dict[str, Any]:
    return {
        "path": one.path,
        "name": one.name,
        "digest": one.digest,
        "why": why,
        "predicted": one.predicted,
        "confidence": round(one.confidence, 4),
        "others": [name for name, _ in one.others],
        "copies": len(one.copies),
        "label": one.label,
        "apart": apart,
        "picture": f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}",
    }
