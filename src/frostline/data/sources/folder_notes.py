"""What was understood of the folders of a source: facts, and the sentences that say them."""

from __future__ import annotations

from dataclasses import dataclass

from frostline.data.naming import counted, some


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


def folder_sentence(note: FolderNote) -> str:
    """Return what a note says, for people."""
    match note:
        case InnerFolder(folder):
            return (
                f"{folder}/ was read in place of the folder around it, which holds no other images."
            )
        case FlatFolder(folder, images):
            return f"{folder}/ has {counted(images, 'image')} and no class folders: not used."
        case OnlyFolders(examples, count):
            return (
                f"No class holds images itself: they lie in {count:,} inner folders "
                f"({some(examples, limit=count if count == len(examples) else 3)}). Each outer "
                "folder was taken for a class. If the inner folders are the classes, move them up "
                "one level, or give a table (path,label)."
            )
        case SameFolders(outer, inner):
            return (
                f"Every class ({some(outer, limit=3)}) holds the same folders "
                f"({some(inner, limit=3)}) and no images itself. Each outer folder was taken for a "
                "class. If the outer folders are parts, name them with --train and --test; if the "
                "inner ones are the classes, give a table (path,label)."
            )
        case PartsInside(examples):
            return (
                f"Parts lie inside the classes ({some(examples, limit=3)}) and are kept as they "
                "are. If they are none, give a table (path,label)."
            )
        case Masks(images, folder):
            return (
                f"{counted(images, 'mask was', 'masks were')} left out (in {folder}/): images of "
                "the same names lie beside them. To learn from them, give a table (path,label)."
            )
        case LikeMasks(images, example):
            return (
                f"{counted(images, 'image is', 'images are')} called like a mask of another, such "
                f"as {example}, and read like any other. What is a mask should be moved out; or "
                "give a table (path,label)."
            )
        case OddEndings(images, kinds, example):
            were = counted(images, "image was", "images were")
            return (
                f"{were} left out for the ending of the name ({', '.join(kinds)}, such as "
                f"{example}). Rename them; in a table (path,label), or named one by one, they are "
                "read as they are."
            )
        case TablesBeside(examples, readable):
            many = len(examples) != 1
            remedy = (
                "give the table in place of the folder (columns path and label)"
                if readable
                else "write them as a table (path,label), and give that"
            )
            return (
                f"{some(examples, limit=3)} {'lie' if many else 'lies'} beside the images and "
                f"{'are' if many else 'is'} not read: labels are the names of the folders. If "
                f"those in {'these files' if many else 'the file'} are meant, {remedy}."
            )
