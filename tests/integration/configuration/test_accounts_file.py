"""A provider's accounts in a file of their own, under workers that run: a new customer needs no restart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from tests.integration.commands import dialstock
from tests.integration.configuration.test_config_changes import bought, buy, in_force, known, refused, taken_over
from tests.integration.place import TOKEN, Place, configuration
from tests.waiting import eventually

Numbers = Callable[[int], list[str]]
GONE, WRONG = 90, 100
RATE = 5

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def customers(place: Place, accounts: Iterable[str], **policy: object) -> Path:
    """Configure a provider with an accounts file alone; each account has its secret in a file of its own."""
    text = configuration(place.sandbox.url, {**place.policy, **policy}, ["signalwire"])
    table = text.replace("providers.signalwire", "providers.customers")
    table = table.replace('token_env = "PROVIDERS_TOKEN"', 'accounts_file = "customers.toml"')
    (place.home / "providers.toml").write_text(table.replace('project_id = "sandbox-project"\n', ""))
    path = place.home / "customers.toml"
    path.write_text("".join(f"[{one}]\n{own(place, one)}\n" for one in accounts))
    return path


def own(place: Place, account: str, token: str = TOKEN) -> str:
    secret = place.home / f"{account}.token"
    secret.write_text(token)
    return f"project_id = {json.dumps(account)}\ntoken_file = {json.dumps(str(secret))}"


def added(place: Place, account: str) -> None:
    own(place, account)
    fields = (f"project_id={account}", f"token_file={place.home / account}.token")
    done = dialstock(place, "provider", "add", f"customers:{account}", *fields)
    assert done.returncode == 0, done.stderr


def test_a_customer_comes_and_goes_without_a_restart(fresh_place: Callable[..., Place], numbers: Numbers) -> None:
    place = fresh_place()
    one, two, three, four = numbers(4)
    path = customers(place, ["acme"])
    worker = place.setup("worker").worker
    before = known(place)
    with place.results() as results:
        buy(place, "customers:acme", one)
        bought(place, one)
        added(place, "beta")
        # a request that comes before the file is taken over waits for it, and is not refused
        [early] = buy(place, "customers:beta", two)
        taken_over(place, before)
        bought(place, two)
        assert place.rejected(early) == []
        assert place.purchase(two)["account"] == "signalwire|beta"
        event = results.wait("dialstock.purchase.purchased", two)
        assert event["source"] == "/dialstock/providers/customers:beta"
        before = in_force(place)
        done = dialstock(place, "provider", "remove", "customers:acme")
        assert done.returncode == 0, done.stderr
        taken_over(place, before)
        [late] = buy(place, "customers:acme", three)
        assert results.wait("dialstock.request.rejected")["data"]["error_code"] == "unknown_provider"
        assert [row["message_id"] for row in place.rejected(late)] == [late]
    # what the file says wrong is kept out, and the accounts that were there are bought at
    path.write_text(path.read_text() + "[gamma]\n")
    eventually(lambda: refused(place), what="it is refused")
    assert "customers.toml:" in (refused(place) or "")
    buy(place, "customers:beta", four)
    bought(place, four)
    assert worker.container.status == "running"


def test_an_account_with_rows_under_way_that_is_taken_out_by_hand_is_told_of(
    fresh_place: Callable[..., Place], numbers: Numbers
) -> None:
    place = fresh_place()
    [one] = numbers(1)
    path = customers(place, ["acme", "beta"])
    assert dialstock(place, "provider", "pause", "customers:acme", "--reason", "later").returncode == 0
    worker = place.setup("worker").worker
    before = known(place)
    buy(place, "customers:acme", one)
    eventually(lambda: place.rows(PURCHASE, number=one, status="queued"), what="it waits")
    done = dialstock(place, "provider", "remove", "customers:acme")
    assert done.returncode == 2
    assert "under way or held" in done.stderr
    whole = path.read_text()
    path.write_text(f"[beta]\n{own(place, 'beta')}\n")
    taken_over(place, before)
    eventually(lambda: "purchases wait under 'customers:acme'" in worker.logs(), what="it is told")
    before = in_force(place)
    path.write_text(whole)
    taken_over(place, before)
    assert dialstock(place, "provider", "resume", "customers:acme").returncode == 0
    bought(place, one)


def test_of_a_hundred_accounts_ninety_are_refused_and_ten_go_on(
    fresh_place: Callable[..., Place], numbers: Numbers, most_in_a_second: Callable[..., int]
) -> None:
    place = fresh_place()
    accounts = [f"a{number:03d}" for number in range(WRONG)]
    customers(place, accounts, rate_limits=[f"{RATE}/second"], pause_cooldown=5.0)
    for account in accounts[:GONE]:
        own(place, account, "refused")
    mine, theirs = numbers(10 * 2 * RATE), numbers(3 * GONE)
    place.setup("one", "two")
    with place.results() as results:
        path = place.home / "numbers.csv"
        rows = [f"{one},customers:{accounts[at % GONE]}" for at, one in enumerate(theirs)]
        rows += [f"{one},customers:{accounts[GONE + at % 10]}" for at, one in enumerate(mine)]
        path.write_text("\n".join(["number,provider", *rows]) + "\n")
        assert dialstock(place, "order", "submit", str(path)).returncode == 0
        bought(place, *mine)
        paused = {f"customers:{account}" for account in accounts[:GONE]}
        told = eventually(
            lambda: (found := results.all("dialstock.provider.paused"))[GONE - 1 :] and found, what="all are paused"
        )
    assert Counter(event["data"]["provider"] for event in told) == dict.fromkeys(paused, 1)
    assert {row["provider"] for row in place.rows(PROVIDER) if row["paused_at"]} == paused
    # one at a time tries again: all others wait, and none has failed
    assert place.charged(theirs) == {}
    waiting = {row["status"] for row in place.rows(PURCHASE) if row["provider"] in paused}
    assert waiting <= {Status.QUEUED, Status.DISPATCHED, Status.PURCHASING}
    calls: dict[str, list[float]] = {}
    for call in place.control.calls("signalwire"):
        if call["account"]:
            calls.setdefault(call["account"], []).append(call["monotonic"])
    assert {account: most_in_a_second(sorted(times)) <= RATE for account, times in calls.items()} == dict.fromkeys(
        accounts[GONE:], True
    )
