"""The options that tell how a file names its columns."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workers.cli.terminal.options import pairs
from workers.views.errors import Failure

if TYPE_CHECKING:
    from tasks.orderfile import Naming

Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=HEADER",
        help="Which column of the file is ours, like number=Handset; once for each. No other is taken for it then.",
    ),
]
OtherColumns = Annotated[
    Literal["refuse", "ignore", "metadata"] | None,
    typer.Option("--other-columns", help="Columns that are none of ours: refuse them (the default), or keep as that."),
]
IgnoreOthers = Annotated[
    bool, typer.Option("--ignore-other-columns", help="The same as --other-columns ignore: pass them over.")
]


def naming(
    columns: Sequence[str] | None, others: Literal["refuse", "ignore", "metadata"] | None, *, ignore: bool
) -> Naming:
    """How the file names its columns. Raises Failure."""
    from tasks.orderfile import Naming

    if ignore and others not in (None, "ignore"):
        raise Failure(f"--ignore-other-columns and --other-columns {others} exclude each other: leave one out")
    return Naming(_given(columns), "ignore" if ignore else others or "refuse")


def _given(columns: Sequence[str] | None) -> dict[str, str]:
    """Our columns, by the file's names for them."""
    from tasks.orderfile.columns import folded, is_column, unknown

    given: dict[str, str] = {}
    for own, header in pairs(columns, "--column", "--column number=Phone").items():
        if not is_column(own):
            raise Failure(f"--column {own}: {unknown(own)}")
        if not folded(header) or folded(header) in given:
            raise Failure(
                f"--column {own}: {header!r} is no name, or given twice: name the file's column, one for each"
            )
        given[folded(header)] = own
    return given
