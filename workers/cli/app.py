"""The Typer app, and the one place in which an exception becomes a message and an exit status."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, NoReturn

import typer
from typer._click.exceptions import BadParameter, ClickException, UsageError
from typer.core import TyperGroup

from workers.cli.asyncapi import register as register_asyncapi
from workers.cli.audit.command import register as register_audit
from workers.cli.demo import register as register_demo
from workers.cli.doctor import register as register_doctor
from workers.cli.events import register as register_events
from workers.cli.migrate import register as register_migrate
from workers.cli.order.commands import register as register_order
from workers.cli.pool.commands import register as register_pool
from workers.cli.processes.up import register as register_up
from workers.cli.processes.worker_beat_flower import register as register_run
from workers.cli.provider.commands import register as register_provider
from workers.cli.provider.search_numbers import register as register_number
from workers.cli.purchase.buy import register as register_buy
from workers.cli.purchase.commands import register as register_purchase
from workers.cli.release.command import register as register_release
from workers.cli.sandbox.commands import register as register_sandbox
from workers.cli.spend import register as register_spend
from workers.cli.terminal.output import say
from workers.views.errors import INTERRUPTED, SOME_FAILED, Failure, failure_of

TRACEBACK = "DIALSTOCK_TRACEBACK"
SANDBOX = "--sandbox"


class Root(TyperGroup):
    """The whole command line: no exception leaves it as a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take --sandbox for the whole command line, wherever it stands. Raises Failure for what is empty."""
        _refuse_empty(args)
        end = args.index("--") if "--" in args else len(args)
        if SANDBOX in args[:end]:
            args = [SANDBOX, *(one for one in args[:end] if one != SANDBOX), *args[end:]]
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a command and exit with its status."""
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
        except ClickException as exc:
            status = _tell_usage(exc)
        except typer.Abort:
            status = INTERRUPTED
        except Exception as exc:  # noqa: BLE001 - the last resort, which tells all that it knows
            status = _tell(exc)
        sys.exit(status if isinstance(status, int) else 0)


def _refuse_empty(args: Sequence[str]) -> None:
    """A variable that is not set would be the folder that we are in, or no condition at all."""
    for before, given in pairwise(("dialstock", *args)):
        name = before if not given else given if re.fullmatch(r"--[a-z-]+=", given) else None
        if name is not None:
            raise Failure(f"what stands after {name} is empty: give it a value, or leave it out where it is not needed")


def _tell_usage(exc: ClickException) -> int:
    if not exc.format_message():
        # the help was shown instead
        return exc.exit_code
    if isinstance(exc, BadParameter) and exc.__cause__ is not None:
        exc.message = _of_value(exc.__cause__) or exc.message
    say(f"dialstock: {exc.format_message()}", "red")
    if isinstance(exc, UsageError) and exc.ctx is not None:
        say(f"{exc.ctx.get_usage().strip()}\nSee {exc.ctx.command_path} --help")
    return exc.exit_code


def _of_value(cause: BaseException) -> str | None:
    """What is wrong with the value of an option, in our words; None where pydantic did not say it."""
    from pydantic import ValidationError  # noqa: PLC0415 - so that --help is quick

    from schemas.wording import plain_words  # noqa: PLC0415

    return plain_words(cause.errors()[0]) if isinstance(cause, ValidationError) else None


def _tell(exc: Exception) -> int:
    if os.environ.get(TRACEBACK):
        raise exc
    failure = failure_of(exc)
    if failure is None:
        from workers.redaction import cleaned_of_settings  # noqa: PLC0415 - so that --help is quick

        say(f"dialstock: a bug: {type(exc).__name__}: {cleaned_of_settings(str(exc))}", "red")
        say(f"Run it again with {TRACEBACK}=1 to see where, and report that.")
        return SOME_FAILED
    say(f"dialstock: {failure}", "red")
    return failure.status


app = typer.Typer(
    cls=Root,
    name="dialstock",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    # The commands of its groups have it from here.
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Buy phone numbers in bulk: never twice, and as fast as each provider allows.",
    epilog="Exit status: 0 done, 1 some failed or held, or a pool or a search has too few, 2 wrong use, 3 database or "
    "Redis away or behind, 130 interrupted. Settings: DATABASE_URL, REDIS_URL, DIALSTOCK_CONFIG, DIALSTOCK_HOME, "
    "DIALSTOCK_SANDBOX.",
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - as Typer calls it
    """Print the version of the installed package, and end."""
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - so that --help is quick

        typer.echo(f"dialstock {version('dialstock')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
    sandbox: Annotated[
        bool,
        typer.Option(
            SANDBOX,
            help="Try things out: buy from `dialstock sandbox`, with a database and a Redis of its own in the folder "
            "*sandbox* of DIALSTOCK_HOME. Nothing real is read or bought, and every command on it needs this option. "
            "DIALSTOCK_SANDBOX is its address, by default http://127.0.0.1:8790.",
        ),
    ] = False,
) -> None:
    """Have the whole process, and what it starts, take the sandbox where that is asked for."""
    if os.environ.get("DIALSTOCK_LOG"):
        from workers.telemetry.logs import dress_command  # noqa: PLC0415 - so that --help is quick

        dress_command()
    if sandbox and ctx.invoked_subcommand not in ("sandbox", "demo"):
        from workers.settings import choose_sandbox  # noqa: PLC0415 - so that --help is quick

        choose_sandbox(os.environ)
        say("This is the sandbox: nothing real is bought, and every command on it needs --sandbox.")


for register in (
    register_demo,
    register_up,
    register_order,
    register_buy,
    register_number,
    register_purchase,
    register_release,
    register_pool,
    register_provider,
    register_audit,
    register_spend,
    register_events,
    register_asyncapi,
    register_doctor,
    register_migrate,
    register_sandbox,
    register_run,
):
    register(app)
