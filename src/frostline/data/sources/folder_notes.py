"""What was understood of the folders of a source, as facts."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.data.naming import counted


@dataclass(frozen=True, slots=True)
class InnerFolder:
    """The only folder with images, which was stepped into: its folders are the classes."""

    folder: str


@dataclass(frozen=True, slots=True)
class FlatFolder:
    """A folder named like a part that has images and no class folders, so that it is not used."""

    folder: str
    images: int


@dataclass(frozen=True, slots=True)
class OnlyFolders:
    """Classes that hold no image directly, but ``count`` folders, of which some are named."""

    examples: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class SameFolders:
    """Classes (``outer``) that hold no image directly, but all the same folders (``inner``)."""

    outer: tuple[str, ...]
    inner: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartsInside:
    """Parts that lie inside the classes, such as cat/train and cat/test."""

    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Masks:
    """Masks of other images, which were left out: how many, and the folder of the first."""

    images: int
    folder: str


@dataclass(frozen=True, slots=True)
class LikeMasks:
    """Images that are read, but called like masks of others: how many, and the first."""

    images: int
    example: str


@dataclass(frozen=True, slots=True)
class OddEndings:
    """Files that begin like images of some kinds, but are called otherwise, and the first."""

    images: int
    kinds: tuple[str, ...]
    example: str


@dataclass(frozen=True, slots=True)
class TablesBeside:
    """Files beside the class folders that are called like tables of labels, and are not read."""

    examples: tuple[str, ...]
    readable: bool


#: everything that can be said of folders
FolderNote = (
    InnerFolder
    | FlatFolder
    | OnlyFolders
    | SameFolders
    | PartsInside
    | Masks
    | LikeMasks
    | OddEndings
    | TablesBeside
)


def odd_endings_hint(note: OddEndings) -> str:
    """Say what to do about files that are called otherwise than what they hold; errors do too."""
    were = counted(note.images, "image was", "images were")
    return (
        f"{were} left out for the ending of the name ({', '.join(note.kinds)}, such as "
        f"{note.example}). Rename them; in a table (path,label), or named one by one, they are "
        "read as they are."
    )
