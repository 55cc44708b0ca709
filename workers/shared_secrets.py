"""Accounts of an accounts file that have one secret: where nothing but it says who an account is, they are one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.config.accounts_file import is_in_file
from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import read_token


def shared_secrets(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each account whose secret is that of another: a number could be bought once for each of them.

    Of the kinds that say who an account is none is told of, nor of the sandbox, nor where a secret is missing.
    """
    first: dict[tuple[str | None, ...], str] = {}
    for alias, one in config.providers.items():
        if not is_in_file(alias) or not one.several_need_id or one.is_sandbox:
            continue
        try:
            token = read_token(one, environ)
        except ConfigError:
            continue
        other = first.setdefault((one.kind, one.base_url, one.within_token, token), alias)
        if config.providers[other].account != one.account:
            problem = f"[providers.{alias}] has the secret of {other!r}, so it is the same account"
            yield f"{problem}: give it its own secret, or take it out"
