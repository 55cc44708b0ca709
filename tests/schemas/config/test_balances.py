"""Balances, and the setting below which one is low."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.config.balances import Balance, parse_low_balance, read_balance
from tasks.providers.configured import parse_config
from tasks.providers.registry import kinds
from tests.schemas.config.files import HEAD, problems

KIND = {
    "twilio": f'kind = "twilio"\nbase_url = "https://api.twilio.com"\naccount_sid = "AC{1:032x}"',
    "telnyx": 'kind = "telnyx"\nbase_url = "https://api.telnyx.com"\naccount_id = "a"',
    "plivo": 'kind = "plivo"\nbase_url = "https://api.plivo.com"\nauth_id = "MA1"',
    "vonage": 'kind = "vonage"\nbase_url = "https://rest.nexmo.com"\napi_key = "0123abcd"',
}
MOST = "999999999999.00000000000000000001"


def table(kind: str, low: str) -> str:
    return f'[providers.a]\n{KIND[kind]}\ntoken_env = "T"\nlow_balance = {low}\n'


@pytest.mark.parametrize(
    ("kind", "text", "low"),
    [
        *((kind, "50.00 USD", Balance(Decimal("50.00"), "USD")) for kind in ("twilio", "telnyx")),
        ("plivo", "50", Balance(Decimal(50))),
        ("vonage", "0.10 EUR", Balance(Decimal("0.10"), "EUR")),
        ("twilio", f"{MOST} INR", Balance(Decimal(MOST), "INR")),
    ],
)
def test_an_amount_is_exact_and_in_the_currency_that_the_provider_tells(kind: str, text: str, low: Balance) -> None:
    found = parse_config(table(kind, f'"{text}"'), "p.toml").providers["a"].low_balance
    assert found == low
    assert str(found) == text


@pytest.mark.parametrize("kind", KIND)
@pytest.mark.parametrize(
    "low",
    [
        *("50", "50.0", "nan", "true", "[50]", "{}", '""', '"USD"', '"-1.00 USD"', '"-1"', '"1,5 USD"', '"50.00 usd"'),
        *('"1e3 USD"', '"50 USD "', '"50  USD"', '" 50"', '"50 "', '"NaN USD"', '"Infinity"', '"1234567890123"', '"٥"'),
    ],
)
def test_what_is_no_amount_is_refused_with_its_line(kind: str, low: str) -> None:
    (told,) = problems(table(kind, low))
    assert "low_balance" in told
    assert "is no balance: write an amount as text, like '50.00 EUR'" in told


@pytest.mark.parametrize(
    ("kind", "given", "like"),
    [
        *((kind, "50.00", "50.00 USD") for kind in ("twilio", "telnyx")),
        ("plivo", "50.00 USD", "50.00"),
        *(("vonage", given, "50.00 EUR") for given in ("50.00", "50.00 USD")),
    ],
)
def test_a_currency_that_is_not_told_is_refused(kind: str, given: str, like: str) -> None:
    (told,) = problems(table(kind, f'"{given}"'))
    assert f"low_balance: write it as {kind} tells the balance, like '{like}'" in told


def test_a_kind_that_tells_no_balance_has_no_such_setting() -> None:
    (told,) = problems(f'{HEAD}low_balance = "5.00 USD"\n')
    assert "low_balance: signalwire documents no call that tells a balance: leave it out" in told


def test_who_may_have_the_setting_tells_a_balance() -> None:
    tells = {name for name, kind in kinds().items() if hasattr(kind.adapter, "balance")}
    assert tells == {name for name, kind in kinds().items() if kind.config.balance_currency is not None} == set(KIND)


@pytest.mark.parametrize(
    ("amount", "is_low"), [("49.99", True), ("50", True), ("50.00000000000000000001", False), ("-0.01", True)]
)
def test_it_is_low_at_the_setting_or_below(amount: str, is_low: bool) -> None:
    found = read_balance(amount, "EUR")
    assert found is not None
    assert found.is_low(parse_low_balance("50.00 EUR")) is is_low
    assert found.is_low(parse_low_balance("50.00 USD")) is found.is_low(parse_low_balance("50.00")) is None


@pytest.mark.parametrize("amount", ["", "-", "1.", ".5", "+1", "1e3", "--1", "1 2", "1\n", "0" * 13])
def test_what_is_no_plain_decimal_is_no_balance(amount: str) -> None:
    assert read_balance(amount, "EUR") is None
    assert read_balance("1", amount or "eur") is None
