"""Read an upload into memory, piece by piece and within limits; nothing touches the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from frostline.core.errors import did_you_mean
from frostline.serve.limits import Limits
from frostline.serve.memory import Share
from frostline.serve.problem_details import RequestError

#: the field that carries images
FILES = "files"
_FORM = "multipart/form-data"
_MAX_TEXT = 1_000
_MAX_NAME = 200


@dataclass(slots=True)
class Upload:
    """One file as it arrived.

    ``name``: as the client called it, or ``"file 3"`` by its place. ``content``: None when it has
    more than ``max_bytes``: then nothing of it is kept.
    """

    name: str
    content: bytes | None


@dataclass(slots=True)
class Form:
    """What a form holds: files in their order, and texts by field."""

    files: list[Upload] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


async def read_form(
    content_type: str,
    chunks: AsyncIterator[bytes],
    limits: Limits,
    share: Share,
    *,
    texts: Collection[str] = (),
) -> Form:
    """Read a form whose files are in the field ``files``.

    Raises RequestError with status 400 for what is no form, 413 beyond a limit, 415 for another
    content type, 422 for another field or no file, 503 when memory for uploads is used up.

    ``content_type``: header of the request. ``chunks``: its body. ``share``: of the memory for
    uploads; grows with what is kept. ``texts``: names of other fields that may occur, with short
    texts.
    """
    kind, options = parse_options_header(content_type)
    if kind != _FORM.encode():
        raise RequestError(
            415,
            "wrong_content_type",
            name="Content-Type",
            what=f"the content type is {content_type[:80]!r}",
            expected=f"{_FORM} with images in the field {FILES!r}",
        )
    collector = _Collector(limits, share, {FILES, *texts})
    total = 0
    try:
        parser = MultipartParser(options.get(b"boundary", b""), collector.callbacks())
        async for chunk in chunks:
            total += len(chunk)
            if total > limits.max_request_bytes:
                raise too_long(limits, f"more than {limits.max_request_bytes:,} bytes")
            parser.write(chunk)
    except FormParserError as error:
        raise _malformed(str(error)) from None
    if not collector.ended:
        raise _malformed("it ends in the middle")
    return collector.checked()


def too_long(limits: Limits, what: str) -> RequestError:
    """Return the error for a request of too many bytes."""
    return RequestError(
        413,
        "request_too_large",
        name="request",
        what=what,
        expected=f"at most {limits.max_request_bytes:,} bytes in one request",
    )


def _malformed(what: str) -> RequestError:
    return RequestError(
        400, "malformed", name="request", what=f"the form is malformed: {what}", expected=_FORM
    )


class _Collector:
    """Callbacks of the parser: one part after the other, headers before content."""

    def __init__(self, limits: Limits, share: Share, known: set[str]) -> None:
        self._limits, self._share, self._known = limits, share, known
        self._form = Form()
        self._disposition = b""
        self._header, self._value = b"", b""
        self._field, self._name = "", ""
        self._pieces: list[bytes] = []
        self._size = 0
        self.ended = False

    def callbacks(self) -> Any:
        """Return them by the names that the parser gives them."""
        names = (
            *("on_part_begin", "on_part_data", "on_part_end", "on_end"),
            *("on_header_field", "on_header_value", "on_header_end", "on_headers_finished"),
        )
        return {name: getattr(self, name) for name in names}

    def checked(self) -> Form:
        """Return the form, if there is anything in it to work on."""
        files = self._form.files
        if not files:
            raise RequestError(
                422,
                "no_files",
                name=FILES,
                what="the form has no file",
                expected=f"one image or more in the field {FILES!r}",
            )
        if all(file.content is None for file in files):
            raise RequestError(
                413,
                "file_too_large",
                name=files[0].name,
                what=f"more than {self._limits.max_bytes:,} bytes",
                expected=f"files of at most {self._limits.max_bytes:,} bytes",
            )
        return self._form

    def on_part_begin(self) -> None:
        self._disposition, self._header, self._value = b"", b"", b""
        self._pieces, self._size = [], 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _malformed("a part has no name")
        self._field = _text(options[b"name"])
        if self._field not in self._known:
            close = did_you_mean(self._field, self._known)
            raise RequestError(
                422,
                "wrong_field",
                name=self._field,
                what=f"the form has a field {self._field!r}. {close}".strip(),
                expected=f"images in the field {FILES!r}",
            )
        if self._field in self._form.texts:
            raise RequestError(
                422,
                "repeated_field",
                name=self._field,
                what=f"the field {self._field!r} comes twice",
                expected="one text in it",
            )
        n_files = len(self._form.files) + (self._field == FILES)
        if n_files > self._limits.max_files:
            raise RequestError(
                413,
                "too_many_files",
                name=FILES,
                what=f"more than {self._limits.max_files:,} files",
                expected=f"at most {self._limits.max_files:,} files in one request",
            )
        self._name = _text(options.get(b"filename", b"")) or f"file {n_files}"

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._field != FILES:
            if self._size > _MAX_TEXT:
                raise RequestError(
                    413,
                    "text_too_long",
                    name=self._field,
                    what=f"more than {_MAX_TEXT:,} bytes",
                    expected=f"a text of at most {_MAX_TEXT:,} bytes",
                )
            self._pieces.append(data[start:end])
        elif self._size <= self._limits.max_bytes:
            self._share.take(end - start)
            self._pieces.append(data[start:end])
        elif self._pieces:
            self._share.give(sum(map(len, self._pieces)))
            self._pieces = []

    def on_part_end(self) -> None:
        if self._field != FILES:
            self._form.texts[self._field] = _text(b"".join(self._pieces), at_most=_MAX_TEXT)
            return
        fits = self._size <= self._limits.max_bytes
        self._form.files.append(Upload(self._name, b"".join(self._pieces) if fits else None))
        self._pieces = []

    def on_end(self) -> None:
        self.ended = True


def _text(raw: bytes, *, at_most: int = _MAX_NAME) -> str:
    """Decode a name that came from anywhere; what cannot be printed becomes a mark."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:at_most])
