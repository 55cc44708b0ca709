"""What `dialstock audit` takes."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from workers.cli.purchase.resolve import bound
from workers.cli.terminal.options import By
from workers.cli.terminal.output import Json
from workers.views.errors import Failure
from workers.views.operator import MAX_NOTE

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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The provider and the options of `audit`."""

    provider: Alias
    report: OnlyReport = False
    adopt: Adopt = False
    mark_released: MarkReleased = False
    all_gone: AllGone = False
    settle: Settle = None
    note: Note = None
    release: Release = None
    yes: Yes = False
    by: By = None
    json: Json = False

    def checked(self) -> Asked:
        """The same with numbers as E.164. Raises Failure for what is none, and for options that do not go together."""
        changes = self.adopt or self.mark_released or self.settle
        _refuse(self.report and (changes or self.release), f"--report only tells: leave it out, or {CHANGES}")
        _refuse(self.all_gone and not self.mark_released, f"{ALL_GONE} goes with --mark-released")
        _refuse(self.release and changes, f"{RELEASE} goes by itself")
        _refuse(self.yes and not self.release, f"--yes goes with {RELEASE}")
        note = self.note and self.note.strip()
        bound(note, "--note", MAX_NOTE)
        together = f"{SETTLE} and --note go together: which number, and how it was settled with the provider"
        _refuse(bool(self.settle) != bool(note), together)
        return replace(self, note=note, settle=_read(SETTLE, self.settle), release=_read(RELEASE, self.release))


def _refuse(wrong: object, message: str) -> None:
    if wrong:
        raise Failure(message)


def _read(option: str, numbers: Sequence[str] | None) -> list[str]:
    from schemas.numbering.numbers import NumberError, read_number

    try:
        return [read_number(one) for one in numbers or ()]
    except NumberError as exc:
        raise Failure(f"{option} {exc}") from exc
