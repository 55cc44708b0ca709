"""Thousands of accounts in one file: a start takes them, and what is astray is found among them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.config.provider import kind_in
from schemas.tables.purchases import PROVIDER
from tasks.accounts import identity, stranded
from tasks.accounts.identity import AccountChanged
from tasks.accounts.stranded import File, _may_be_one
from tasks.ledger.accounts import Home
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


def _home(rng: random.Random, alias: str) -> Home:
    """An account of a kind that tells its accounts apart, of one that does not, or of none, perhaps with a name."""
    kind, own = rng.choice(("twilio", "telnyx", "vogent", "")), rng.choice((None, "a", "b", "c"))
    name = rng.choice(("@https://x", "a", "b", "given", f"own {alias}"))
    account = f"{kind}|{name}" if kind else name
    return Home(provider=alias, account=account, own=own and rng.choice((account, f"{kind}|{own}")))


@pytest.mark.parametrize("seed", range(50))
def test_who_may_be_an_account_is_found_among_many_as_by_one_after_the_other(seed: int) -> None:
    rng = random.Random(seed)
    homes = {alias: _home(rng, alias) for alias in "abcdefgh"}
    known = {alias: _home(rng, alias) for alias in "efghijkl"}
    file = File(homes=homes, known=known)
    for account, gone in file.gone.items():
        was = {alias for alias in known if known[alias].account == account}
        one_by_one = [
            home
            for alias, home in sorted(homes.items())
            if _may_be_one(gone, home) or (alias in was and file.may_be_written_anew(alias, account))
        ]
        assert file.heirs(account) == one_by_one


def test_a_thousand_accounts_that_a_thousand_others_were_cost_no_million_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = 0

    def counting(account: str) -> str:
        nonlocal compared
        compared += 1
        return kind_in(account)

    monkeypatch.setattr(stranded, "kind_in", counting)

    def many(name: str) -> dict[str, Home]:
        accounts = {f"{name}{index}": f"twilio|{name}{index}" for index in range(1_000)}
        return {alias: Home(provider=alias, account=account, own=account) for alias, account in accounts.items()}

    file = File(homes=many("new"), known=many("old"))
    assert file.passed_on == {alias: [] for alias in file.known}
    assert compared < 10 * 1_000
