"""Pages of the documentation that hold measured figures between two marks."""

from __future__ import annotations

from pathlib import Path

_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def write_between_marks(page: Path, figures: str) -> None:
    """Replace what stands between the two marks of the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}{figures}{_END}{after}", encoding="utf-8")
