"""One run of `dialstock up`: what it starts, shows, watches and stops."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rich.text import Text

from schemas.config.file import Config
from schemas.config.provider import SANDBOX_URL
from workers.cli.processes import children
from workers.cli.processes.config_changes import follow
from workers.cli.processes.flower_address import HOST, FlowerAddress, address_at
from workers.cli.processes.worker_beat_flower import PASSWORD_VARIABLE
from workers.cli.terminal.context import check_accounts
from workers.cli.terminal.output import emit_json, error_console, say, show, show_fields
from workers.cli.terminal.spending import sellers
from workers.config_file import Source
from workers.fleet import wait_for
from workers.processes.children import Program, Signals, Supervisor, Tell
from workers.redaction import redacted
from workers.settings import Settings
from workers.threads import concurrency_for
from workers.views.words import count

START_TIMEOUT = 60.0
"""Seconds that the workers have until they answer; slower ones are told of, and stay."""

_TICK = 0.1
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")
_SERVER_GOES = 5.0
"""Seconds that the embedded server has to go before we do; with other users it stays."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says. `flower_port` is None for no Flower, `concurrency` for the default."""

    workers: int
    concurrency: int | None
    flower_port: int | None
    show_urls: bool
    log_level: str
    json: bool


def run(settings: Settings, source: Source, options: Options) -> bool:
    """Start everything, and stop it at a signal. True where all ended cleanly. Raises EmbeddedError or Failure."""
    config = source.config
    flower = None if options.flower_port is None else address_at(options.flower_port)
    with ExitStack() as stack, Signals() as signals:
        settings = children.start_servers(settings, os.environ, stack)
        check_accounts(settings, config)
        nodes, programs = _programs(config, options, flower)
        supervisor = Supervisor(programs, _printer(programs), lambda text: say(f"up: {text}", "yellow"))
        follow(settings, source, supervisor, stack)
        facts = describe(settings, config, flower, show_urls=options.show_urls)
        if not options.json:
            _show(facts, config)
        clean = _live(supervisor, signals, settings, nodes, facts, json=options.json)
    if settings.embedded_redis:
        children.wait_until_gone(settings.home, _SERVER_GOES)
    return clean


def describe(settings: Settings, config: Config, flower: FlowerAddress | None, *, show_urls: bool) -> dict[str, Any]:
    """What there is to know about this run. Passwords of servers only where *show_urls*; Flower's new one always."""
    shown = (lambda url: url) if show_urls else redacted
    file = settings.home / "redis" / "url" if settings.embedded_redis else None
    return {
        "flower": flower.facts if flower else None,
        "home": str(settings.home),
        "database": shown(settings.database_url),
        "redis": shown(settings.redis_url),
        "redis_url_file": str(file) if file else None,
        "broker": shown(settings.broker_url),
        "config": None if settings.sandbox_url else str(settings.config_path),
        "sandbox": settings.sandbox_url or None,
        "providers": list(config.providers),
    }


def _programs(config: Config, options: Options, flower: FlowerAddress | None) -> tuple[list[str], list[Program]]:
    """The workers' node names, and everything to run. Only Flower gets to know its password."""
    environ = {name: value for name, value in os.environ.items() if name != PASSWORD_VARIABLE}
    level = options.log_level
    threads = options.concurrency or concurrency_for(config)
    workers = children.worker_programs(config, environ, count=options.workers, concurrency=threads, log_level=level)
    programs = [*workers.values(), children.beat_program(environ, level)]
    if flower is not None:
        programs.append(children.flower_program(HOST, flower.port, flower.environ(os.environ), level))
    return list(workers), programs


def _live(
    supervisor: Supervisor,
    signals: Signals,
    settings: Settings,
    nodes: Sequence[str],
    facts: dict[str, Any],
    *,
    json: bool,
) -> bool:
    """Run until a signal, or until a program is given up. True where all ended cleanly."""
    given_up = None
    try:
        supervisor.start(children.WORKERS)
        given_up = _start(supervisor, signals, settings, nodes)
        if not (given_up or signals.count):
            # Flower asks the workers as it starts, and complains where they do not answer yet.
            supervisor.start(children.OTHERS)
            _tell_ready(supervisor, facts, json=json)
        while not (given_up or signals.count):
            time.sleep(_TICK)
            given_up = supervisor.check()
    finally:
        say("Stopping: the workers finish the calls under way. Ctrl-C once more kills them.")
        before = signals.count
        clean = supervisor.stop(lambda: signals.count > before)
    say("Stopped." if clean else "Stopped. Calls that were cut off are in doubt, and are looked up at the next start.")
    return clean and given_up is None


def _start(supervisor: Supervisor, signals: Signals, settings: Settings, nodes: Sequence[str]) -> str | None:
    """Wait until the workers answer. Returns the program that is given up meanwhile."""
    deadline = time.monotonic() + START_TIMEOUT
    while not signals.count and time.monotonic() < deadline:
        if given_up := supervisor.check():
            return given_up
        if wait_for(settings.broker_url, nodes, 0.5, key_prefix=settings.key_prefix):
            return None
    if not signals.count:
        say(f"The workers do not answer after {START_TIMEOUT:g} s; they may yet.", "yellow")
    return None


def _show(facts: Mapping[str, Any], config: Config) -> None:
    flower = facts["flower"] or {}
    where = f"{facts['redis']}  (the password is in {facts['redis_url_file']})"
    password = f"{flower.get('user')} / {flower.get('password')}" if flower.get("password") else None
    show_fields(
        {
            "Data": facts["home"],
            "Database": facts["database"],
            "Redis": where if ":***@" in facts["redis"] and facts["redis_url_file"] else facts["redis"],
            "Broker": facts["broker"] if facts["broker"] != facts["redis"] else None,
            "Providers": sellers(config),
            "Flower": flower.get("url"),
            "Pages": f"{flower['url']}/dialstock/" if flower.get("url") else None,
            "Log in": password or ("with FLOWER_BASIC_AUTH" if flower else None),
        }
    )
    if facts["sandbox"]:
        show("Nothing real is bought. Where the sandbox does not run yet, start it in another terminal:")
        show(f"    {sandbox_command(facts['sandbox'])}")
    if os.geteuid() == 0:
        say("This runs as root: better as a user of its own.", "yellow")


def sandbox_command(url: str) -> str:
    """What has the sandbox listen on *url*."""
    parts, default = urlsplit(url), urlsplit(SANDBOX_URL)
    host = "" if parts.hostname in (default.hostname, "localhost") else f" --host {parts.hostname}"
    port = parts.port or 80
    return f"dialstock sandbox{host}{'' if port == default.port else f' --port {port}'}"


def _tell_ready(supervisor: Supervisor, facts: Mapping[str, Any], *, json: bool) -> None:
    if json:
        emit_json({"status": "ready", "pids": supervisor.pids, **facts})
    else:
        workers = sum(name.startswith("worker") for name in supervisor.pids)
        show(f"Ready: {count(workers, 'worker')} waiting for purchases. Ctrl-C stops everything.", "green")


def _printer(programs: Sequence[Program]) -> Tell:
    """Takes a program's lines, and prints each with its program's name before it."""
    console = error_console()
    width = max(len(program.name) for program in programs)
    colours = {program.name: _COLOURS[index % len(_COLOURS)] for index, program in enumerate(programs)}

    def print_line(name: str, line: str) -> None:
        if line:
            console.print(Text.assemble((f"{name:<{width}} | ", colours[name]), line), soft_wrap=True)

    return print_line
