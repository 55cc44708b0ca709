"""`dialstock sandbox`: all providers on this machine, to try things out on."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.processes.startup_checks import is_loopback
from workers.cli.terminal.output import Json, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sandbox)


def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 takes a free one.")] = 8790,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same faults.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RATE", help="A share of purchases, 0 to 1, that goes wrong so; can be repeated."),
    ] = None,
    latency: Annotated[float, typer.Option(min=0.0, max=3600.0, metavar="SECONDS", help="Before every answer.")] = 0.0,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what was charged here, over restarts.")
    ] = None,
    write_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a providers.toml for it; never over a file.")
    ] = None,
    json: Json = False,
) -> None:
    """Serve sandboxes of all providers until Ctrl-C. They sell nothing, and keep a ledger of what they charged.

    Who buys from them: `dialstock --sandbox COMMAND`, or every command where a providers.toml says so (--write-config).

    The faults: throttle, refuse, account, error_before, error_after, cut_before, cut_after, silence_before,
    silence_after, drip, html, missing_item, wrong_number, slow, late_show. (before, after: the charge.)
    """
    from workers.cli.sandbox.serve import announce, make_server, sandbox_toml, serve, write_new

    faults = fault or []

    def ready(url: str) -> None:
        text = sandbox_toml(url)
        if write_config is not None:
            write_new(write_config, text)
        announce(url, text, faults, write_config, json=json)
        if not is_loopback(host):
            say("Others on the network reach this sandbox: it is meant for this machine alone.", "yellow")

    server = make_server(port, host, seed=seed, faults=faults, latency=latency, ledger=ledger)
    serve(server, f"{host} port {port}", ready)
