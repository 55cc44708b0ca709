"""`dialstock doctor`: what is wrong here, and what to do about it."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli.terminal.output import Json, emit_json, show

if TYPE_CHECKING:
    from workers.cli.doctor.findings import Finding

_STYLES = {"ok": None, "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the database and Redis, as health checks need it.")
    ] = False,
    alive: Annotated[
        bool,
        typer.Option(
            "--alive",
            help="Only whether the processes beside this one go on, by their signs in the folder DIALSTOCK_ALIVE: "
            "the probe for one that hangs. It asks no server.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Look at everything that Dialstock needs, start nothing, and tell what is wrong and how to mend it.

    Whether the database and Redis take writes is tried: with a row that is taken back, and a key that goes in a second.
    Each provider is asked, by calls that cost nothing, whether it takes its token; of more than 50 so many, by chance.
    """
    from workers.cli.doctor.findings import exit_status

    findings = []
    for finding in _examine(quick=quick, alive=alive):
        findings.append(finding)
        if not json:
            _show(finding)
    status = exit_status(findings)
    if json:
        emit_json({"status": status, "checks": [finding.as_dict() for finding in findings]})
    raise typer.Exit(status)


def _examine(*, quick: bool, alive: bool) -> Iterator[Finding]:
    """Both where both are asked for."""
    if alive:
        from workers.cli.doctor.alive import alive as examine_signs

        yield from examine_signs(os.environ)
    if quick or not alive:
        from workers.cli.doctor.examine import examine

        yield from examine(quick=quick)


def _show(finding: Finding) -> None:
    show(f"{finding.level:<4}  {finding.name:<13} {finding.message}", _STYLES[finding.level])
    if finding.mend:
        show(f"      {'':<13} {finding.mend}")
