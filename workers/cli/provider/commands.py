"""`dialstock provider`: list, kinds, check, add, remove, pause, resume, move, leave, conformance."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.terminal.options import By
from workers.cli.terminal.output import Json, emit_json, say, show, show_table
from workers.views.errors import Failure
from workers.views.operator import person

COLUMNS = ("provider", "kind", "account", "limits", "queued", "in flight", "in doubt", "held", "state")

Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="The provider, as providers.toml names it.")]
Aliases = Annotated[list[str] | None, typer.Argument(metavar="[ALIAS]...", help="These only; else all.")]
AliasOrAll = Annotated[
    str | None, typer.Argument(metavar="ALIAS", help="The provider, as providers.toml names it.", show_default=False)
]
Account = Annotated[
    str, typer.Argument(metavar="NAME:ACCOUNT", help="The account: of [providers.NAME], which has an `accounts_file`.")
]
Fields = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FIELD=VALUE]...",
        help="What the account has of its own, like project_id=... and token_file=PATH. Never the secret itself.",
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Every configured provider that is paused.")]
Reason = Annotated[str, typer.Option(help="Why; it is shown and published until the provider goes on.")]
Gone = Annotated[str, typer.Argument(metavar="FROM", help="The alias that they stand under, configured or not.")]
Home = Annotated[str, typer.Argument(metavar="TO", help="The alias that they go on under; it may be the same.")]
OneAccount = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="ACCOUNT",
        help="The account that is meant, as `dialstock doctor` writes it; needed where FROM has purchases of several "
        "that the file does not have, or where it was left.",
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why; it is shown here, and kept nowhere but with --lost-history.")]
LostHistory = Annotated[
    bool,
    typer.Option(
        "--lost-history",
        help="Go on although the database went back in time, and the provider was not audited. What it lost and may "
        "have bought is held, each number. Needs --reason.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add `provider` and its commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="The configured providers: how they stand, pause, go on.",
    )
    group.command("list")(list_providers)
    for command in (kinds, check, add, remove, pause, resume, move, leave, conformance):
        group.command()(command)
    app.add_typer(group, name="provider")


def list_providers(*, json: Json = False) -> None:
    """List the configured providers: account, pace, what is under way, and why one waits, since or until when."""
    from workers.cli.terminal.context import open_desk
    from workers.views.providers.rows import provider_rows, stranded_in_words

    with open_desk() as desk:
        found = provider_rows(desk)
        stranded = stranded_in_words(desk.runtime)
    if json:
        emit_json(found)
        return
    shown = [[*(row[name] for name in COLUMNS[:-1]), row["state"]] for row in found]
    show_table(COLUMNS, shown, numbers=COLUMNS[4:-1])
    for line in stranded:
        say(line, "yellow")


def kinds(
    kind: Annotated[list[str] | None, typer.Argument(metavar="[KIND]...", help="These only; else all.")] = None,
    *,
    json: Json = False,
) -> None:
    """List the kinds of providers that providers.toml can name.

    The fields that [providers.ALIAS] needs and may have beside those of all kinds, the options that a purchase takes
    (`buy --option`, a column `options.NAME` of a file), the most numbers in a call (`policy.max_batch`; one where
    nothing is said), and what can be done: search, give back, tell the balance.
    """
    from tasks.providers.registry import kinds as installed
    from workers.cli.provider.kinds import COLUMNS, in_words, kind_rows
    from workers.cli.terminal.context import known_kind

    found = kind_rows(installed()[known_kind(name)] for name in kind or installed())
    if json:
        emit_json(found)
    else:
        show_table(COLUMNS, map(in_words, found), numbers=("in a call",))


def check(alias: Aliases = None, *, json: Json = False) -> None:
    """Prove connection, credentials, account and path of providers, by calls that cost nothing.

    The status is 1 where anything is not as it must be, or could not be asked. What a provider documents no free
    call for is shown as unknown, and is no failure.
    """
    from workers.cli.provider.check import check_providers, show_checks
    from workers.views.providers.asking import read_providers

    found = check_providers(read_providers(), alias or [])
    if json:
        emit_json([one.document() for one in found])
    else:
        show_checks(found)
    raise typer.Exit(0 if all(one.ok for one in found) else 1)


def add(account: Account, fields: Fields = None, *, json: Json = False) -> None:
    """Add an account to its provider's accounts file: running workers buy at it within 5 s, without a restart.

    Checked before it is written, with all else that the configuration says; the secret has to be there. Of a
    `token_env` that running processes were not started with they know nothing: until they are restarted they keep the
    former file whole. A `token_file` needs no restart. What stands in the file stays, comments too.
    """
    import os

    from workers.cli.provider.accounts import add_account
    from workers.cli.terminal.context import open_desk
    from workers.cli.terminal.options import pairs

    with open_desk(configured=False) as desk:
        path, added = add_account(desk, account, pairs(fields, "FIELD", "token_file=PATH"), os.environ)
    variable = None if added.is_sandbox else added.token_env
    document = {"provider": account, "added": True, "file": str(path), "token_env": variable}
    told = f"{account} is in {path} now."
    if variable:
        told = (
            f"{told} Its token is in the environment variable {variable}, which running processes do not have unless "
            "they were started with it: restart them, for until then they keep the former file whole (a token_file "
            "needs no restart)."
        )
    _tell_written(document, told, json=json)


def remove(account: Account, *, json: Json = False) -> None:
    """Take an account out of its provider's accounts file; what was bought there stays in the table.

    Refused while purchases of it are under way or held.
    """
    from workers.cli.provider.accounts import remove_account
    from workers.cli.terminal.context import open_desk

    with open_desk(configured=False) as desk:
        path = remove_account(desk, account)
    document = {"provider": account, "removed": True, "file": str(path)}
    _tell_written(document, f"{account} is not in {path} any more.", json=json)


def pause(alias: Alias, *, reason: Reason, json: Json = False) -> None:
    """Buy nothing at a provider until it is resumed. Calls under way end; its purchases wait and keep their turn."""
    from workers.cli.terminal.context import open_desk
    from workers.views.providers.rows import pause_by_person

    with open_desk(only=alias) as desk:
        began = pause_by_person(desk.runtime, alias, reason)
    if json:
        emit_json({"provider": alias, "paused": True, "was_paused": not began, "reason": reason.strip()})
        return
    show(f"{alias} is paused." if began else f"{alias} was paused already; now it waits for a person.")
    show(f"Let it go on:  dialstock provider resume {alias}")


def resume(
    alias: AliasOrAll = None,
    *,
    every: Every = False,
    reason: Why = "",
    lost_history: LostHistory = False,
    by: By = None,
    json: Json = False,
) -> None:
    """Let a provider go on: end its pause, whoever paused it, and the cool-down that it asked for by a 429.

    A provider whose purchases the database has lost goes on by `dialstock audit ALIAS --adopt`. Where it has no list,
    see at its dashboard what is ours, and give --lost-history. With --all the status is 1 where one has to stay paused.
    """
    from workers.cli.provider import resume as resuming
    from workers.cli.terminal.context import open_desk

    if (alias is None) is not every:
        raise Failure("name the provider that goes on, or give --all: `dialstock provider list` shows what is paused")
    if lost_history:
        if alias is None:
            raise Failure("--lost-history is said of one provider, after a look at its dashboard: name it")
        _resume_lost(alias, reason, person(by), json=json)
        return
    with open_desk() as desk:
        if alias is None:
            raise typer.Exit(resuming.resume_all(desk, reason, json=json))
        resuming.resume_one(desk, alias, reason, json=json)


def move(source: Gone, target: Home, *, account: OneAccount = None, json: Json = False) -> None:
    """Have the purchases of one alias go on under another, which is the same account: renamed, or written anew.

    What waits is bought there, what is in doubt is looked for there, and what is bought is not bought again. Purchases
    of an account that the file has go to its alias and to no other: where aliases were swapped, move each to the other.
    FROM and TO are one where the file says in another way which account it is. The status is 1 where some had to stay.
    """
    from workers.cli.provider import move as provideraccount
    from workers.cli.terminal.context import open_desk

    with open_desk() as desk:
        done = provideraccount.move(desk, source, target, account)
    if json:
        emit_json(provideraccount.moved_document(source, target, done))
    else:
        provideraccount.tell_moved(source, target, done)
    raise typer.Exit(1 if done.left or done.apart else 0)


def leave(alias: Gone, *, account: OneAccount = None, json: Json = False) -> None:
    """End with the purchases of an alias that is gone, or of the account that it was: that one is not used any more.

    What waits is cancelled, what may have been bought, also by calls that a restored database has lost, is held for a
    person, and what is bought stays as it is. An account that the file has under another alias is used, and not left.
    What was left is not asked for again, unless it comes back by another name. The status is 1 where calls are under
    way yet.
    """
    from workers.cli.provider import move as provideraccount
    from workers.cli.terminal.context import open_desk

    with open_desk() as desk:
        done = provideraccount.leave(desk.runtime, alias, account)
    if json:
        emit_json(provideraccount.left_document(alias, done))
    else:
        provideraccount.tell_left(alias, done)
    raise typer.Exit(1 if done.under_way else 0)


def _tell_written(document: dict[str, object], told: str, *, json: bool) -> None:
    if json:
        emit_json(document)
    else:
        taken = "Those that have it take" if document.get("token_env") else "What runs takes"
        show(f"{told} {taken} the change over within 5 s; `dialstock doctor` tells where not.")


def _resume_lost(alias: str, reason: str, by: str, *, json: bool) -> None:
    from workers.cli.provider.lost_history import go_on_by_word, tell_gone_on
    from workers.cli.terminal.context import open_desk

    with open_desk() as desk:
        aliases, held = go_on_by_word(desk, alias, reason, by)
    if json:
        found = [{"number": row["number"], "purchase_id": row["id"]} for row in held]
        emit_json({"provider": alias, "goes_on": aliases, "held": found, "reason": reason.strip(), "by": by})
    else:
        tell_gone_on(aliases, held)


def conformance(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The kind, as `kind` in providers.toml names it.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- ARG]...", help="For pytest, after --.")] = None,
) -> None:
    """Run what every adapter must do against the sandbox of a kind; for authors of kinds. Needs pytest.

    The status is 0 where all of it is so, else 1.
    """
    from tasks.conformance import NoPytest, run
    from workers.cli.terminal.context import known_kind
    from workers.views.errors import SOME_FAILED

    try:
        status = run(known_kind(kind), arguments or ())
    except NoPytest as exc:
        raise Failure(str(exc)) from exc
    raise typer.Exit(SOME_FAILED if status else 0)
