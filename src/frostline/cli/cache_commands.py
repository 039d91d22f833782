"""The commands about what is kept between runs. Heavy imports wait until one is used."""

from __future__ import annotations

from typing import Annotated

import typer

from frostline.cli.console import cli_error_handler

cache = typer.Typer(help="Show, verify and prune what is kept between runs.", no_args_is_help=True)


@cache.command("show")
def cache_show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how much is kept, of what, and when it was last used."""
    with cli_error_handler():
        from frostline.cli.cache import show

        show(as_json=as_json)


@cache.command("verify")
def cache_verify() -> None:
    """Read everything that is kept; remove what is damaged."""
    with cli_error_handler():
        from frostline.cli.cache import verify

        verify()


@cache.command("prune")
def cache_prune(
    to: Annotated[str | None, typer.Option(help="Size that may stay, such as 5GB.")] = None,
    older: Annotated[
        str | None, typer.Option(help="Remove what was not used for so long, such as 30d.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove everything.")] = False,
) -> None:
    """Remove what was not used for longest; it is computed again when it is needed."""
    with cli_error_handler():
        from frostline.cli.cache import make_room

        make_room(to=to, older=older, everything=everything)
