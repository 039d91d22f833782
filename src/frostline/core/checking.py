"""How values of settings are read and checked; pydantic is imported when there are some."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from frostline.core.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import BaseModel, ValidationError

#: sides of square inputs, in pixels
_SIZES = (32, 1024)

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")
_BUDGET = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h)?\s*$")


class Range:
    """Limits of a number, as pydantic calls them: ge, gt, le, lt."""

    def __init__(self, **limits: float) -> None:
        self._limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return {**handler(source), **self._limits}


class Read:
    """How a value is read before its type is checked; a ValueError says what is wrong."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self._read, handler(source))


def parse_budget(text: str) -> float:
    """Return seconds for ``"90"``, ``"90s"``, ``"5m"`` or ``"1h"``.

    Raises ValueError if the text has another form or is not positive.
    """
    match = _BUDGET.match(text)
    if match is None or float(match.group(1)) <= 0:
        raise ValueError(f"budget must look like '90s', '5m' or '1h', not {text!r}")
    return float(match.group(1)) * {"s": 1.0, "m": 60.0, "h": 3600.0}[match.group(2) or "s"]


def read_budget(value: object) -> object:
    """Check that a text is an amount of work."""
    if isinstance(value, str):
        parse_budget(value)
    return value


def read_folder(value: object) -> object:
    """Check that a text names a folder inside another."""
    if not isinstance(value, str):
        return value
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts:
        raise ValueError("it must name a sub-folder of the source, such as 'data/Training'")
    return str(path)


def _joined(value: object) -> object:
    """Return a list as text with commas between."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def read_backbones(value: object) -> object:
    """Read one name or several: a list, or text with commas between."""
    text = _joined(value)
    if isinstance(text, str) and not all(part.strip() for part in text.split(",")):
        raise ValueError("a name is missing between commas" if text else "a name is missing")
    return text


def read_sizes(value: object) -> str:
    """Read one size in pixels or several: numbers, a list, or text with commas between."""
    text = str(_joined(value))
    if text != "auto" and not all(_is_size(part) for part in text.split(",")):
        low, high = _SIZES
        raise ValueError(
            f"it must be 'auto' or pixels from {low} to {high}, such as '224' or '224,288'"
        )
    return text


def read_device(value: object) -> object:
    """Check that a text names a device as PyTorch does."""
    if isinstance(value, str) and not _DEVICE.fullmatch(value):
        raise ValueError("it must be 'auto', 'cpu', 'cuda', 'cuda:1' or the like, or 'mps'")
    return value


def read_costs(value: object) -> object:
    """Read what mistakes cost: the name of a file, or a table by class, which becomes JSON."""
    if isinstance(value, Mapping):
        try:
            return json.dumps({str(true): dict(row) for true, row in value.items()})
        except (TypeError, ValueError):
            raise ValueError("it must be a file, or {true class: {answer: cost}}") from None
    return str(value) if isinstance(value, PurePath) else value


def read_pretrained_on(value: object) -> object:
    """Read a folder as text; 'auto' and 'photos' stand for themselves."""
    if isinstance(value, PurePath):
        return str(value)
    if value == "":
        raise ValueError("it must be 'auto', 'photos' or a folder")
    return value


def read_columns(value: object) -> object:
    """Read names of columns: a list, or text with commas between."""
    if isinstance(value, str):
        names = tuple(part.strip() for part in value.split(",")) if value else ()
    elif isinstance(value, (list, tuple)):
        names = tuple(value)
    else:
        return value
    if not all(names):
        raise ValueError("a name is missing between commas")
    if len(set(names)) != len(names):
        raise ValueError("a column is named twice")
    return names


def read_separator(value: object) -> object:
    """Check that something stands between labels."""
    if value == "":
        raise ValueError("it must be at least one character, such as ';'")
    return value


def read_none(value: object) -> object:
    """Read None as scikit-learn means it: nothing of that kind."""
    return "none" if value is None else value


def _is_size(text: str) -> bool:
    low, high = _SIZES
    return text.strip().isdigit() and low <= int(text) <= high


def check(declared: type[DataclassInstance], values: dict[str, Any]) -> dict[str, Any]:
    """Return a value of the declared type for every field of a dataclass, in their order.

    Raises SettingsError if a name is unknown, or a value is not what is declared: the first such
    one is told.

    ``declared``: a dataclass whose fields all have defaults. ``values``: by field; those that are
    missing take their default.
    """
    from pydantic import ValidationError

    known = [one.name for one in fields(declared)]
    unknown = [name for name in values if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known) or f"Settings: {', '.join(known)}."
        raise SettingsError(f"There is no setting {unknown[0]!r}.", hint=hint)
    try:
        return dict(_checker(declared).model_validate(values))
    except ValidationError as error:
        hints = get_type_hints(declared, include_extras=True)
        raise _refused(error, hints) from None


@cache
def _checker(declared: type[DataclassInstance]) -> type[BaseModel]:
    from pydantic import create_model

    hints = get_type_hints(declared, include_extras=True)
    known: dict[str, Any] = {one.name: (hints[one.name], one.default) for one in fields(declared)}
    return create_model("Checked", **known)


def _refused(error: ValidationError, hints: dict[str, Any]) -> SettingsError:
    """Name the first wrong setting, what was found and what was expected."""
    first = error.errors()[0]
    name, given = str(first["loc"][0]), first["input"]
    # a union such as int | "auto" reports one error per member; name them all
    same = [e for e in error.errors() if e["loc"][:1] == first["loc"][:1]]
    words = _words(hints.get(name))
    if isinstance(given, str) and all(e["type"] == "literal_error" for e in same):
        said = f"it is one of {', '.join(map(repr, words))}"
        return SettingsError(
            f"Setting {name!r} cannot be {given!r}: {said}.", hint=did_you_mean(given, words)
        )
    details = [str(e["msg"]).removeprefix("Value error, ") for e in same]
    said = "; or ".join(dict.fromkeys(f"{d[0].lower()}{d[1:]}" for d in details))
    return SettingsError(f"Setting {name!r} cannot be {given!r}: {said}.")


def _words(declared: Any) -> list[str]:
    """Return the words that a type allows, in their order."""
    if get_origin(declared) is Literal:
        return [word for word in get_args(declared) if isinstance(word, str)]
    return [word for part in get_args(declared) for word in _words(part)]
