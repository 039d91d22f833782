"""What says that a partition is done, and where its rows lie."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from frostline.compute.cache.array_file import SHARD_SUFFIX, remove
from frostline.core.files import JSON_BYTES, UnfitFileError, read_regular

#: where they lie, beside the shards
RECEIPTS = "receipts"


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What is written last of a partition: rows are found through it, so they are there whole.

    It holds no time and no machine: whoever computes the partition writes the same bytes.

    - ``id``: of the partition.
    - ``rows``: images that the shard holds.
    - ``shard``: name of the file with the rows, the SHA-256 of its content; empty if there are
      none.
    - ``unreadable``: why an image could not be read, by digest.
    - ``engine``: what computed the rows; empty if no engine did.
    - ``versions``: of the libraries that made the rows.
    """

    id: str
    rows: int
    shard: str
    unreadable: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def path(self, folder: Path) -> Path:
        """Return the file in a folder of shards."""
        return folder / RECEIPTS / f"{self.id}.json"

    def to_json(self) -> bytes:
        """Return the content of the file."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Receipt:
        """Read what :meth:`to_json` gave.

        Raises ValueError or TypeError if it is no receipt.
        """
        receipt = cls(**json.loads(content))
        names = isinstance(receipt.shard, str) and isinstance(receipt.id, str)
        if not names or (receipt.shard and not _names_shard(receipt.shard)):
            raise ValueError("names no shard")
        return receipt


class Entry(NamedTuple):
    """The file of a receipt, and the shard that it names."""

    receipt: Path
    shard: Path


def receipts_in(folder: Path) -> set[Path]:
    """Return the files of all receipts in a folder of shards."""
    try:
        return {path for path in (folder / RECEIPTS).iterdir() if path.suffix == ".json"}
    except OSError:
        return set()


def entries(receipts: Iterable[Path]) -> Iterator[Entry]:
    """Read receipts in the order of their names; yield those that name a shard."""
    for path in sorted(receipts):
        try:
            receipt = Receipt.from_json(read_regular(path, at_most=JSON_BYTES))
        except UnfitFileError:
            # another process has just merged it, or it belongs to somebody else
            continue
        except (ValueError, TypeError):
            remove(path)
            continue
        if receipt.shard:
            yield Entry(path, path.parents[1] / receipt.shard)


def remove_orphans(folder: Path) -> None:
    """Remove receipts of shards that are gone, and without any shard those that name none."""
    receipts = receipts_in(folder)
    left = any(folder.glob(f"*{SHARD_SUFFIX}"))
    gone = (entry.receipt for entry in entries(receipts) if not entry.shard.exists())
    for receipt in list(gone) if left else receipts:
        remove(receipt)


def _names_shard(name: str) -> bool:
    path = PurePath(name)
    return path.name == name and path.suffix == SHARD_SUFFIX
