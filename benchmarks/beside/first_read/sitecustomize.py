"""Say when the first image is opened: imported by Python itself, at the start of any version.

``BESIDE_IMAGES`` names folders, ``BESIDE_FIRST_READ`` the file that gets the time of the clock
that all processes share.
"""

# importing pathlib here would count as start
# ruff: noqa: PTH100, PTH105, PTH123

from __future__ import annotations

import os
import sys
import time
from typing import Any

_FOLDERS = tuple(os.environ["BESIDE_IMAGES"].split(os.pathsep))
_KINDS = (".jpg", ".jpeg", ".png")
_told = False


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    global _told
    if event != "open" or _told or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.path.abspath(os.fsdecode(arguments[0]))
    if path.startswith(_FOLDERS) and path.endswith(_KINDS):
        # set first: opening the file below comes here again
        _told = True
        now = time.monotonic()
        target = os.environ["BESIDE_FIRST_READ"]
        with open(f"{target}.{os.getpid()}", "w", encoding="utf-8") as file:
            file.write(repr(now))
        os.replace(file.name, target)


sys.addaudithook(_tell)
