"""Serving the sandboxes, and the configuration that makes them a user's providers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.config.provider import SANDBOX_TOKEN, SANDBOX_URL, SANDBOX_VARIABLE
from tasks.providers.configured import sandbox_config
from tasks.sandbox import SandboxServer
from tasks.sandbox.faults import Planner
from workers.cli.terminal.output import emit_json, say, show
from workers.settings import SANDBOX
from workers.views.errors import Failure
from workers.views.whole_file import whole_file

_ANY_HOST = ("0.0.0.0", "::", "")  # noqa: S104 - told apart, not listened on


def make_server(
    port: int, host: str, *, seed: int, faults: Sequence[str], latency: float, ledger: Path | None
) -> SandboxServer:
    """A server with the token of the environment. Raises Failure for a fault or a ledger that cannot be used."""
    rates = read_rates(faults)
    token = os.environ.get(SANDBOX_VARIABLE, "").strip() or SANDBOX_TOKEN
    try:
        return SandboxServer(port, host, seed=seed, rates=rates, latency=latency, ledger_path=ledger, token=token)
    except OSError as exc:
        mend = "name a file that can be written, in a folder that is there"
        raise Failure(f"--ledger: {ledger} cannot be used: {exc.strerror or exc}: {mend}") from exc
    except (ValueError, KeyError) as exc:
        raise Failure(f"--ledger: {ledger} cannot be read as a sandbox's ledger: {exc}: name another file") from exc


def serve(server: SandboxServer, where: str, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; *ready* gets the address for clients. Raises Failure where *where* is taken."""
    try:
        asyncio.run(server.run(lambda: ready(reachable(server.url)), signal.SIGTERM, signal.SIGINT))
    except OSError as exc:
        raise Failure(f"the sandbox cannot listen on {where}: {exc.strerror}: give another --port") from exc


def read_rates(faults: Sequence[str]) -> dict[str, float]:
    """Rates by the fault's name, from NAME=RATE. Raises Failure."""
    rates: dict[str, float] = {}
    for given in faults:
        name, _, rate = given.partition("=")
        try:
            rates[name.strip()] = float(rate)
        except ValueError:
            raise Failure(f"--fault {given!r} is not NAME=RATE: write it like --fault error_after=0.05") from None
    try:
        Planner().roll(0, rates)
    except ValueError as exc:
        raise Failure(f"--fault: {exc}") from exc
    return rates


def reachable(url: str) -> str:
    """*url* for clients on this machine, where the server listens on every address."""
    parts = urlsplit(url)
    return f"http://127.0.0.1:{parts.port}" if parts.hostname in _ANY_HOST else url


def sandbox_toml(base_url: str, policy: Mapping[str, Any] | None = None) -> str:
    """A providers.toml for the sandboxes at *base_url*, every one with *policy* on top of its kind's defaults."""
    # Loopback while the text is made: what the sandbox listens on may be more than a configuration takes.
    tables = []
    for alias, provider in sandbox_config("http://127.0.0.1").providers.items():
        fields = provider.model_dump(exclude={"policy", "base_url"}, exclude_defaults=True, mode="json")
        ordered = {"kind": fields.pop("kind"), "base_url": f"{base_url}/{alias}", **fields}
        tables.append(_table(f"providers.{alias}", ordered))
        if policy:
            tables.append(_table(f"providers.{alias}.policy", policy))
    return "\n".join(tables)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises Failure."""
    if path.exists():
        raise Failure(f"--write-config: {path} is there already and stays as it is: name another file")
    with whole_file(path) as file:
        file.write(text)


def announce(url: str, text: str, faults: Sequence[str], written: Path | None, *, json: bool) -> None:
    """Say where the sandbox is, and how to use it."""
    urls = {alias: f"{url}/{alias}" for alias in sandbox_config().providers}
    if json:
        config = None if written is None else str(written)
        emit_json({"url": url, "providers": urls, "token_env": SANDBOX_VARIABLE, "toml": text, "config": config})
        return
    _tell_use(url, text, faults, written)
    say("Ctrl-C stops it.")


def _tell_use(url: str, text: str, faults: Sequence[str], written: Path | None) -> None:
    show(f"The sandbox listens on {url}", "green")
    show(f"Its token is in {SANDBOX_VARIABLE}, or the word sandbox where that is not set.")
    if faults:
        show(f"Faults: {', '.join(faults)}")
    show(f"What it charged: {url}/_sandbox/ledger")
    address = "" if url == SANDBOX_URL else f"{SANDBOX}={url} "
    show(f"Buy from it, without a providers.toml: {address}dialstock --sandbox up")
    if written is not None:
        show(f"Its configuration is in {written}; use it with DIALSTOCK_CONFIG={written}")
    else:
        show(f"\nFor providers.toml (or have it written: --write-config providers.toml):\n\n{text}")


def _table(name: str, fields: Mapping[str, Any]) -> str:
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in fields.items())
    return f"[{name}]\n{lines}"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)
