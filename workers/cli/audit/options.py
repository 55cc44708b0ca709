"""What `dialstock audit` takes."""

from __future__ import annotations

from typing import Annotated

import typer

ALL_GONE = "--all-gone"
SETTLE = "--settle"
RELEASE = "--release"
CHANGES = f"--adopt, --mark-released, {SETTLE} and {RELEASE}"

Alias = Annotated[str, typer.Argument(metavar="PROVIDER", help="The provider, as providers.toml names it.")]
OnlyReport = Annotated[bool, typer.Option("--report", help="Only tell what was found; that is the default.")]
Adopt = Annotated[
    bool,
    typer.Option("--adopt", help="Have a purchase stand for what is owned and unknown; settle what is ours after all."),
]
MarkReleased = Annotated[
    bool, typer.Option("--mark-released", help="Mark as released what the provider does not show any more.")
]
AllGone = Annotated[
    bool,
    typer.Option(ALL_GONE, help="With --mark-released: even where it shows none of ours. Else that is a wrong token."),
]
Settle = Annotated[
    list[str] | None,
    typer.Option(
        SETTLE,
        metavar="NUMBER",
        help="A number that was charged twice, once you settled that with the provider: it is told of no more, until "
        "it is charged again. Give it for each number; --note says how.",
    ),
]
Release = Annotated[
    list[str] | None,
    typer.Option(
        RELEASE,
        metavar="NUMBER",
        help="A number that is owned and unknown here, to be given back as by `dialstock release`. Give it for each.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help=f"With {RELEASE}: do not ask, for scripts.")]
Note = Annotated[str | None, typer.Option(help=f"With {SETTLE}: how it was settled; it is kept with the purchase.")]
