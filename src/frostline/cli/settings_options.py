"""Options of the command line made from the settings: their names, types, defaults and help."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import typer
from rich.text import Text

from frostline.cli.console import err
from frostline.core import aliases
from frostline.core.settings import About, Settings, setting_names

Command = TypeVar("Command", bound=Callable[..., None])


def takes_settings(*names: str, **defaults: Any) -> Callable[[Command], Command]:
    """Give a command, in place of its ``**settings``, an option for every setting.

    ``*names``: which settings; all where none is named. Then their old names are taken too.
    ``**defaults``: where this command's default is not that of the settings.
    """

    def decorate(command: Command) -> Command:
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        made = [_option(name, defaults) for name in names or setting_names()]
        if not names:
            made += [_old_option(old, new) for old, new in aliases.SETTINGS.items()]
        signature = inspect.Signature([*own, *made])
        vars(command)["__signature__"] = signature
        command.__annotations__ = {n: p.annotation for n, p in signature.parameters.items()}
        return command

    return decorate


def chosen(
    context: typer.Context, values: Mapping[str, Any], config: Path | None = None
) -> dict[str, Any]:
    """Return the settings that were given, under the names of today; the rest have their defaults.

    ``context``: of the command. ``values``: what the command got for its ``**settings``.
    ``config``: a file with settings; what the command line says wins.
    """
    given = {
        name: str(value) if isinstance(value, StrEnum) else value
        for name, value in values.items()
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }
    for old in given.keys() & aliases.SETTINGS.keys():
        new = aliases.SETTINGS[old]
        no = "no-" if given[old] is False else ""
        said = f"{_flag(no + old)} is called {_flag(no + new)} now; the old name goes with release"
        err.print(Text(f"{said} {aliases.GOES_WITH}.", style="yellow"))
    current = aliases.under_current_names(given, quiet=True)
    if config is None:
        return current
    from frostline.cli.config import read_config

    return {**read_config(config), **current}


def _option(name: str, defaults: Mapping[str, Any]) -> inspect.Parameter:
    about = _about(name)
    option = typer.Option(
        *_flags(name, _hints()[name]),
        help=about.help,
        rich_help_panel=about.panel,
        metavar=_metavar(name),
    )
    default = defaults.get(name, getattr(Settings, name))
    # several names are typed as one text
    default = ",".join(default) or None if isinstance(default, tuple) else default
    return _parameter(name, Annotated[_kind(name), option], default)


def _old_option(old: str, new: str) -> inspect.Parameter:
    kind = bool if _hints()[new] is bool else str
    option = typer.Option(*_flags(old, kind), hidden=True)
    return _parameter(old, Annotated[kind | None, option], None)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _flags(name: str, hint: Any) -> tuple[str, ...]:
    """Return what is typed for a setting; a switch can be turned both ways."""
    flag = _flag(name)
    return (f"{flag}/--no-{flag[2:]}",) if hint is bool else (flag,)


@cache
def _hints(*, extras: bool = False) -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=extras)


def _about(name: str) -> About:
    hint = _hints(extras=True)[name]
    return next(one for one in hint.__metadata__ if isinstance(one, About))


@cache
def _kind(name: str) -> Any:
    """Return the type that typer is told: choices as names, a number or "auto" as text."""
    hint = _hints()[name]
    if get_origin(hint) is Literal:
        return StrEnum(name, {value: value for value in get_args(hint)})
    if get_origin(hint) is tuple:
        return str | None
    return hint if _metavar(name) is None else str


def _metavar(name: str) -> str | None:
    """Return what stands for the value in help where the type alone does not say it."""
    hint = _hints()[name]
    if get_origin(hint) not in (Union, types.UnionType):
        return None
    kinds = get_args(hint)
    if not any(get_origin(kind) is Literal for kind in kinds):
        return None
    named = [
        "|".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__ for kind in kinds
    ]
    return "|".join(named)
