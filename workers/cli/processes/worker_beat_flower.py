"""`dialstock worker`, `beat` and `flower`: Celery's commands with the options that Dialstock needs."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Sequence
from typing import Annotated, Literal, NoReturn

import typer

from workers.cli.processes.startup_checks import checked, is_loopback
from workers.cli.terminal.output import say
from workers.threads import concurrency_for
from workers.views.errors import Failure

log = logging.getLogger(__name__)

PASSWORD_VARIABLE = "FLOWER_BASIC_AUTH"  # noqa: S105 - its name

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    typer.Option(envvar="LOG_LEVEL", case_sensitive=False, help="INFO shows every task, WARNING what is odd."),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        envvar="WORKER_CONCURRENCY",
        metavar="N",
        help="Calls at once in one process; by default so many that no slow provider takes the threads of another.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(worker)
    app.command()(beat)
    app.command()(flower)


def worker(
    ctx: typer.Context,
    *,
    concurrency: Concurrency = None,
    log_level: LogLevel = "INFO",
    no_events: Annotated[bool, typer.Option("--no-events", help="No task events for Flower: faster.")] = False,
) -> None:
    """Run one worker process; on SIGTERM it lets calls under way finish, and ends.

    Further arguments go to Celery's worker: -Q purchases.NAME does that provider's work only.
    """
    from workers.cli.terminal.spending import sellers
    from workers.telemetry.logs import wants_json

    _, config = checked()
    buying = f"Buying from {sellers(config)}"
    log.info(buying) if wants_json() else say(buying)
    name = f"worker-{secrets.token_hex(3)}@%h"
    count = concurrency or concurrency_for(config)
    _become(worker_arguments(name, count, log_level, events=not no_events) + ctx.args)


def beat(log_level: LogLevel = "INFO") -> None:
    """Run the scheduler. It keeps nothing on disk, and a second one does no harm: the tables know what is due."""
    checked(buys=False)
    _become(beat_arguments(log_level))


def flower(
    address: Annotated[str, typer.Option(help="Where to listen; beyond loopback only with a password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT")] = 5555,
    log_level: LogLevel = "INFO",
) -> None:
    """Run Flower with our pages: orders, what is held, purchases, pools, providers; and workers and tasks.

    DIALSTOCK_OPERATORS=ann,bob names who may change something on our pages; by default all whom Flower lets in. Its
    password comes from the environment, FLOWER_BASIC_AUTH=user:password, and so does every other setting of
    Flower's, as FLOWER_NAME.
    """
    check_password(address)
    checked(buys=False)
    _become(flower_arguments(address, port, log_level))


def worker_arguments(name: str, concurrency: int, log_level: str, *, events: bool = True) -> list[str]:
    """Celery's arguments for one worker process. *name* is its node name, which no other process may have."""
    return [
        *("worker", "--pool=threads", f"--concurrency={concurrency}", "-n", name, f"--loglevel={log_level}"),
        *("--without-mingle", "--without-gossip"),
        *(("--events",) if events else ()),
    ]


def beat_arguments(log_level: str) -> list[str]:
    """Celery's arguments for beat, which has its schedule in memory."""
    return ["beat", "--scheduler=workers.periodic.scheduler:FileScheduler", "--pidfile=", f"--loglevel={log_level}"]


def flower_arguments(address: str, port: int, log_level: str) -> list[str]:
    """Celery's arguments for Flower. Its password is none of them: arguments show in the list of processes."""
    return ["flower", f"--address={address}", f"--port={port}", f"--logging={log_level.lower()}"]


def check_password(address: str) -> None:
    """Raise Failure where Flower would be open to other machines, or its password is none.

    A line's end that stands behind the password, as in a secret that was made from a file, is no part of it: Flower,
    which reads the variable itself, is given it without.
    """
    value = _password()
    if value and not all(all(one.partition(":")[::2]) for one in value.split(",")):
        raise Failure(f"{PASSWORD_VARIABLE} is not user:password: both are needed")
    if not value.isprintable():
        raise Failure(f"{PASSWORD_VARIABLE} holds a line's end or the like, which nobody can type as a password")
    if not value and not is_loopback(address):
        raise Failure(
            f"Flower does not listen on {address or 'every address'} without a password: "
            f"set {PASSWORD_VARIABLE}=user:password in the environment, or leave --address out"
        )


def _password() -> str:
    """What Flower is given; empty without one."""
    value = os.environ.get(PASSWORD_VARIABLE, "").strip("\r\n")
    if value.strip():
        os.environ[PASSWORD_VARIABLE] = value
        return value
    # Set and empty is no password for us, and would be an empty one for Flower.
    os.environ.pop(PASSWORD_VARIABLE, None)
    return ""


def _become(arguments: Sequence[str]) -> NoReturn:
    from workers.launch import celery_command

    command = celery_command(arguments)
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - no shell is meant
