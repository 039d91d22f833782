"""Facts that lower rooms tell reach a listener as text."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from PIL import Image

from frostline.core.progress import NullProgress, Task
from frostline.core.runtime import Runtime
from frostline.data.notes import Lookalikes
from frostline.data.sources.open_source import open_source
from frostline.wording.notes import note_sentence
from frostline.wording.progress import WordedProgress


class Listener:
    """Takes text, as listeners of users do."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def task(self, label: str, total: int) -> AbstractContextManager[Task]:
        return NullProgress().task(label, total)

    def note(self, text: str) -> None:
        self.said.append(text)


def test_a_source_tells_facts_and_a_listener_hears_words(tmp_path: Path) -> None:
    for name in ("cat", "Cat ", "dog"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (8, 8), (i, len(name), 0)).save(tmp_path / name / f"{i}.png")
    listener = Listener()
    worded = WordedProgress(listener)
    catalog = open_source(tmp_path, runtime=Runtime(progress=worded))
    (note,) = (note for note in catalog.notes if isinstance(note, Lookalikes))
    assert note_sentence(note) in listener.said
    worded.note("as it is")
    assert listener.said[-1] == "as it is"
