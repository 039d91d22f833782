"""What was understood of the folders of a source, in words."""

from __future__ import annotations

from frostline.data.naming import counted, shorten
from frostline.data.sources.folder_notes import (
    FlatFolder,
    FolderNote,
    InnerFolder,
    LikeMasks,
    Masks,
    OddEndings,
    OnlyFolders,
    PartsInside,
    SameFolders,
    TablesBeside,
    odd_endings_hint,
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
                f"({shorten(examples, limit=count if count == len(examples) else 3)}). Each outer "
                "folder was taken for a class. If the inner folders are the classes, move them up "
                "one level, or give a table (path,label)."
            )
        case SameFolders(outer, inner):
            return (
                f"Every class ({shorten(outer, limit=3)}) holds the same folders "
                f"({shorten(inner, limit=3)}) and no images itself. Each outer folder was taken "
                "for a class. If the outer folders are parts, name them with --train and --test; "
                "if the inner ones are the classes, give a table (path,label)."
            )
        case PartsInside(examples):
            return (
                f"Parts lie inside the classes ({shorten(examples, limit=3)}) and are kept as they "
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
        case OddEndings():
            return odd_endings_hint(note)
        case TablesBeside(examples, readable):
            many = len(examples) != 1
            remedy = (
                "give the table in place of the folder (columns path and label)"
                if readable
                else "write them as a table (path,label), and give that"
            )
            return (
                f"{shorten(examples, limit=3)} {'lie' if many else 'lies'} beside the images and "
                f"{'are' if many else 'is'} not read: labels are the names of the folders. If "
                f"those in {'these files' if many else 'the file'} are meant, {remedy}."
            )
