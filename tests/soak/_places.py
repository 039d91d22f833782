"""Names and things in a folder that are no ordinary files: links, loops, pipes, devices."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

#: file names of one picture, as bytes: each is a name that some system has produced
NAMES = (
    *(b"with space.png", b"with\nline.png", "ünïcode é.png".encode(), "🦋🔥.png".encode()),
    *(b"-rf.png", b"--help.png", b"[bold]markup[/].png", b"[/].png", b"\x1b[31mred.png"),
    *(b"tab\t.png", b'quote".png', b"semi;colon,comma.png", b"=1+1.png", b"<img src=x>.png"),
    *(b"\xff\xfe.png", b"latin-\xe9.png", b"$(id).png", b"%s%n.png", b"CON.png", b"a\\b.png"),
    *(b"x" * 251 + b".png", "\u202egnp.gpj".encode() + b".png", b"..png.png", b".hidden.png"),
)


def plant_names(folder: Path, content: bytes) -> int:
    """Write one picture under every name; returns how many the file system took."""
    taken = 0
    for name in NAMES:
        try:
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
            taken += 1
        except OSError:
            continue
    return taken


def plant_things(folder: Path, outside: Path) -> list[str]:
    """Put links, pipes, sockets and devices into ``folder``; returns the names of those made.

    ``outside`` is an image beyond the folder that one of the links leads to.
    """
    makers: dict[str, Callable[[Path], None]] = {
        "broken.png": lambda path: path.symlink_to("nowhere.png"),
        "itself.png": lambda path: path.symlink_to(path.name),
        "to-zero.png": lambda path: path.symlink_to("/dev/zero"),
        "to-memory.png": lambda path: path.symlink_to("/proc/self/mem"),
        "to-all-memory.png": lambda path: path.symlink_to("/proc/kcore"),
        "to-log.png": lambda path: path.symlink_to("/proc/kmsg"),
        "to-passwords.png": lambda path: path.symlink_to("/etc/passwd"),
        "outside.png": lambda path: path.symlink_to(outside),
        "up": lambda path: path.symlink_to("..", target_is_directory=True),
        "root": lambda path: path.symlink_to(path.parent, target_is_directory=True),
        "pipe.png": lambda path: os.mkfifo(path),
        "socket.png": _socket,
        "zero.png": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
        "folder.png": lambda path: path.mkdir(),
        "huge.png": _hollow,
    }
    made = []
    for name, make in makers.items():
        try:
            make(folder / name)
        except OSError:
            continue
        made.append(name)
    return made


def _socket(path: Path) -> None:
    # an address is at most 108 bytes long
    short = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{short}/{path.name}")
    finally:
        os.close(short)


def _hollow(path: Path) -> None:
    """A file of eight terabytes that takes no room."""
    with path.open("wb") as stream:
        stream.truncate(8 * 2**40)
