"""Options that several commands have, and how their values are read."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar, get_type_hints

import typer

from schemas.status import Status
from workers.views.errors import Failure

By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who says so; else your login name.")]
Country = Annotated[
    str | None,
    typer.Option(metavar="CC", help="The country (like US) of numbers without a plus; those of others are refused."),
]
OrderId = Annotated[
    str,
    typer.Argument(metavar="ID", help="The order: its id, at least the first or last 8 characters of it, or 'last'."),
]
InStatus = Annotated[Status | None, typer.Option("--status", help="Only those in this status.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="How many are shown, newest first.")]

T = TypeVar("T")


def takes(options: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Have a command of many options take them as one value: a dataclass whose fields are the options."""

    def wrap(command: Callable[[T], None]) -> Callable[..., None]:
        def run(**given: object) -> None:
            command(options(**given))

        hints = get_type_hints(options, include_extras=True)
        fields = inspect.signature(options).parameters.values()
        run.__signature__ = inspect.Signature([one.replace(annotation=hints[one.name]) for one in fields])  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return wrap


def pairs(given: Iterable[str] | None, option: str, like: str) -> dict[str, str]:
    """KEY=VALUE options as a mapping; *like* is one that may be given. Raises Failure."""
    found: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise Failure(f"{option} {text!r} is not KEY=VALUE: write it like {like}")
        if key.strip() in found:
            raise Failure(f"{option} {key.strip()!r} is given twice: remove one")
        found[key.strip()] = value
    return found


def country_code(given: str | None) -> str | None:
    """An ISO 3166-1 alpha-2 code in capitals. Raises Failure for one that libphonenumber does not know."""
    if given is None:
        return None
    from schemas.numbering.regions import known_country

    code = given.strip().upper()
    if not known_country(code):
        raise Failure(f"--country {given!r} is no country: use two letters of ISO 3166-1, like US or GB")
    return code
