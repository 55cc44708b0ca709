"""Thousands of accounts in one file: a start takes them, and what is astray is found among them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.tables.purchases import PROVIDER
from tasks.accounts import identity
from tasks.accounts.identity import AccountChanged
from tasks.runtime import Runtime
from tests.tasks.accounts.test_identity import OTHER, as_account
from tests.tasks.support import ACCOUNT, World

MANY = 2_500


def among_many(world: World, account: str) -> Runtime:
    """A file in which acme is *account*, beside thousands."""
    acme = as_account(world, account)
    others = {
        alias: replace(acme.providers["acme"], alias=alias, account=f"vogent|{alias}")
        for alias in (f"account{index}" for index in range(MANY))
    }
    return replace(acme, providers={**acme.providers, **others})


def test_a_start_takes_thousands_of_accounts_and_finds_what_is_astray_among_them(world: World) -> None:
    world.queued()
    file = among_many(world, ACCOUNT)
    identity.settle(file)
    known = {row["provider"]: row["account"] for row in world.rows(select(PROVIDER))}
    assert known.items() >= {alias: one.account for alias, one in file.providers.items()}.items()
    assert identity.stranded(file) == []
    moved = among_many(world, OTHER)
    assert [(one.provider, one.account, one.count) for one in identity.stranded(moved)] == [("acme", ACCOUNT, 1)]
    with pytest.raises(AccountChanged, match="acme"):
        identity.settle(moved)
