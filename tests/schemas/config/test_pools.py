"""schemas.config.pools: what a [pools.NAME] table may say; every problem names its line and the mend."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
import regex
from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.pools import PoolConfig
from schemas.money import Money
from schemas.numbering.national_prefix import contradiction
from tasks.providers.configured import load_config, parse_config, sandbox_config

SHORT = [first + "".join(rest) for first in "01" for more in range(3) for rest in product("0123456789", repeat=more)]
"""All prefixes with a 0 or 1 in front, of three digits at most."""

PROVIDERS = """\
[providers.timepay]
kind = "timepay"
base_url = "https://t.example"
token_env = "T"
telephony_provider = "plivo"
[providers.vogent]
kind = "vogent"
base_url = "https://v.example"
token_env = "T"
[providers.bird]
kind = "bird"
base_url = "https://b.example"
workspace_id = "w"
organization_id = "o"
token_env = "T"
"""
LINE = PROVIDERS.count("\n") + 1
FIELDS = {"providers": ["bird"], "low": 20, "target": 50, "daily_limit": 100}


def text(**fields):
    """A file with one pool, the *fields* in its first lines; None leaves one out."""
    lines = {**fields, **{name: value for name, value in FIELDS.items() if name not in fields}}
    body = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items() if value is not None)
    return f"{PROVIDERS}[pools.support]\n{body}"


def pool(**fields):
    return parse_config(text(**fields), "p.toml").pools["support"]


def problems(text):
    """Pairs of the line, counted from the pool's own, and the message."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "p.toml")
    found = (line.removeprefix("p.toml:").split(": ", 1) for line in str(caught.value).splitlines())
    return [(int(line) - LINE, message) for line, message in found]


def test_a_pool_needs_little():
    found = pool()
    assert found == PoolConfig(providers=("bird",), low=20, target=50, daily_limit=100)
    assert (found.country, found.prefix, found.max_per_run, str(found.schedule)) == ("US", "", 100, "1m")
    assert (found.max_price, found.stock_file, found.count_held) == (None, None, True)


def test_a_pool_may_say_everything():
    found = pool(
        providers=["bird", "timepay"],
        country="CA",
        prefix="416",
        low=1,
        target=100_000,
        max_per_run=1000,
        daily_limit=0,
        schedule="0 6 * * mon",
        max_price="2.50 USD",
        stock_file="support.csv",
        count_held=False,
    )
    assert found.providers == ("bird", "timepay")
    assert (found.country, found.prefix, found.low, found.target) == ("CA", "416", 1, 100_000)
    assert (found.max_per_run, found.daily_limit, found.count_held) == (1000, 0, False)
    assert (str(found.schedule), found.max_price) == ("0 6 * * mon", Money(Decimal("2.5"), "USD"))
    assert found.stock_file == Path("support.csv")
    assert PoolConfig.model_validate(found.model_dump()) == found


def test_the_examples_pool_shows_every_field():
    example = (Path(__file__).parents[3] / "providers.example.toml").read_text()
    file, header, lines = example.partition("# [pools.support]\n")
    uncommented = re.sub("^# ", "", header + lines, flags=re.MULTILINE)
    config = parse_config(file + uncommented, "p")
    shown = [pool.model_fields_set for pool in config.pools.values()]
    assert set[str]().union(*shown) == set(PoolConfig.model_fields)


def test_a_configuration_without_pools_has_none():
    assert parse_config(PROVIDERS, "p").pools == Config(providers={}).pools == sandbox_config().pools == {}
    assert parse_config(f"{PROVIDERS}[pools]\n", "p").pools == {}


def test_a_stock_file_is_beside_the_configuration_and_not_opened(tmp_path):
    path = tmp_path / "providers.toml"
    for written, read in [("none.csv", tmp_path / "none.csv"), ("/else/where.csv", Path("/else/where.csv"))]:
        path.write_text(text(stock_file=written))
        assert load_config(path).pools["support"].stock_file == read
    path.write_text(text())
    assert load_config(path).pools["support"] == pool()


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("trget", 3, "unknown field 'trget': did you mean 'target'?"),
        ("burst", 3, "unknown field 'burst': known are providers, country,"),
        ("providers", [], "providers: "),
        ("providers", "bird", "providers: must be a list"),
        ("area", "415", "unknown field 'area': did you mean 'prefix'?"),
        ("low", True, "low: must be a whole number"),
        ("target", 50.0, "target: must be a whole number"),
        ("daily_limit", "3", "daily_limit: must be a whole number"),
        ("providers", ["bird", ["x"]], "providers.1: "),
        ("providers", ["brid"], "providers: 'brid' is no provider of this file: did you mean 'bird'?"),
        ("providers", ["xyz"], "providers: 'xyz' is no provider of this file: known are timepay, vogent, bird"),
        ("providers", ["bird", "bird"], "providers: 'bird' is there twice: name each provider once"),
        (
            "providers",
            ["timepay"],
            "providers: 'timepay' (timepay) cannot be searched: give its numbers in a stock_file",
        ),
        ("providers", ["bird", "timepay"], "providers: 'timepay' (timepay) cannot be searched"),
        ("providers", ["vogent"], "providers: 'vogent' (vogent) is searched by prefix only: give a prefix like '415'"),
        ("country", "us", "country: 'us' is no ISO 3166-1 code of two capital letters: did you mean 'US'?"),
        ("country", "UK", "country: 'UK' is no ISO 3166-1 code of two capital letters: write it like US"),
        ("prefix", "+1415", "prefix: '+1415' must be digits alone"),
        ("prefix", "٤١٥", "prefix: '٤١٥' must be digits alone"),
        ("prefix", "1415", "prefix: '1415' begins no number of US: write the area code without 1, like 415"),
        ("prefix", "0212", "prefix: '0212' begins no number of US: write the area code without 0, like 212"),
        ("prefix", "011212", "prefix: '011212' begins no number of US: write the area code without 011, like 212"),
        ("prefix", "011", "prefix: '011' begins no number of US: write an area code of US, which begins with 2"),
        ("prefix", "1416", "prefix: '1416' begins no number of US: write an area code of US, which begins with 2"),
        ("prefix", "41555501001", "prefix: '41555501001' is longer than a national number of US, which has 10 digits"),
        ("prefix", "416", "prefix: '416' is of CA, not of US: write country = 'CA', or another prefix"),
        ("prefix", "4165550100", "prefix: '4165550100' is of CA, not of US"),
        ("low", 0, "low: "),
        ("low", 51, "target: 50 is below low, 51: raise target, or lower low"),
        ("target", 19, "target: 19 is below low, 20: raise target, or lower low"),
        ("target", 100_001, "target: "),
        ("max_per_run", 0, "max_per_run: "),
        ("max_per_run", 1001, "max_per_run: "),
        ("daily_limit", -1, "daily_limit: "),
        ("schedule", "9s", "schedule: '9s' is too often: 10s or longer"),
        ("schedule", "hourly", "schedule: 'hourly' is no duration: "),
        ("schedule", "0 0 31 2 *", "schedule: '0 0 31 2 *' is no crontab: "),
        ("max_price", 2, "max_price: 2 is no price: write an amount and its currency, like '2.00 USD'"),
        ("max_price", "0.00 USD", "max_price: would buy nothing: raise it, or leave it out for no limit"),
        ("stock_file", "", "stock_file: names no file: write it like 'support.csv'"),
        ("count_held", "perhaps", "count_held: "),
    ],
)
def test_a_wrong_line_in_a_pool_is_named(field, value, problem):
    ((line, message),) = problems(text(**{field: value}))
    assert message.startswith(problem)
    # the first line of the pool, but for low: what must be raised stands after it
    assert line == (3 if message.startswith("target: 50") else 1)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(field):
    assert problems(text(**{field: None})) == [(0, f"{field!r} is missing: [pools.support] needs it")]


def test_an_unknown_provider_that_is_there_twice_is_told_once():
    messages = [message.split(": ")[1] for _, message in problems(text(providers=["brid", "brid"]))]
    assert messages == ["'brid' is no provider of this file", "'brid' is there twice"]


@pytest.mark.parametrize(("alias", "told"), [("plivo", "USD"), ("vonage", "EUR")])
def test_a_price_in_another_currency_than_the_provider_tells_is_refused(alias: str, told: str) -> None:
    table = f'[providers.{alias}]\nkind = "{alias}"\nbase_url = "https://x.example"\ntoken_env = "T"\n'
    table += {"plivo": 'auth_id = "MASANDBOX00000000001"\n', "vonage": 'api_key = "k"\n'}[alias]
    parse_config(text(max_price=f"2 {told}", providers=["bird", alias]) + table, "p.toml")
    found = problems(text(max_price="2 GBP", providers=["bird", alias]) + table)
    mend = f"write an amount in {told}, or take out {alias!r}"
    assert found == [(1, f"max_price: {alias!r} ({alias}) tells its prices in {told}, not in GBP: {mend}")]


def test_a_bound_in_money_wants_prices() -> None:
    assert str(pool(max_spend="50 USD").max_spend) == "50.00 USD"
    found = problems(text(max_spend="2 USD", providers=["bird", "timepay"], stock_file="s.csv"))
    assert sorted(message for _, message in found) == [
        "max_spend: 'timepay' (timepay) tells no price when it is searched: take out max_spend or 'timepay'",
        "max_spend: what numbers of a stock_file cost is not known: take out one of both",
    ]
    assert (
        problems(text(max_spend="0 USD"))[0][1]
        == "max_spend: would buy nothing: raise it, or leave it out for no limit"
    )


def test_a_price_is_no_limit_where_a_searched_provider_tells_none():
    pool(providers=["bird", "timepay"], max_price="2 USD", stock_file="s.csv")
    found = problems(text(max_price="2 USD", providers=["bird", "vogent"], prefix="415"))
    mend = "take out max_price or 'vogent'"
    assert found == [(1, f"max_price: 'vogent' (vogent) tells no price when it is searched: {mend}")]


def test_providers_that_search_little_are_taken_with_what_they_need():
    pool(providers=["timepay", "vogent"], stock_file="s.csv")
    pool(providers=["vogent"], prefix="415")


def test_two_aliases_of_one_account_are_taken():
    # one account of Fluents or TimePay may buy from several carriers, an alias for each
    first = PROVIDERS.partition("[providers.vogent]")[0]
    named = first.replace('kind = "timepay"', 'kind = "timepay"\naccount_id = "a"')
    twin = named.replace("timepay]", "twin]").replace("plivo", "telnyx")
    both = twin + text(providers=["timepay", "twin"], stock_file="s.csv").replace(first, named)
    config = parse_config(both, "p")
    assert config.providers["timepay"].account == config.providers["twin"].account
    assert config.pools["support"].providers == ("timepay", "twin")


def test_all_problems_of_a_file_come_at_once_and_in_order():
    wrong = {"providers": ["brid", "timepay"], "low": 0, "target": 0, "daily_limit": -1, "schedule": "1s"}
    wrong |= {"country": "zz", "prefix": "x", "max_price": "2", "count": 1}
    file = text(**wrong).replace('"o"', "3") + '[pools."Big Pool"]\n[pools.x]\n[pool.y]\n'
    found = problems(file)
    assert [line for line, _ in found] == [14 - LINE, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 11, 11, 12]
    assert found[-1][1] == "unknown table 'pool': only [providers.ALIAS] and [pools.NAME] are known"


def test_a_pool_is_checked_beside_a_wrong_provider_or_none():
    file = text(providers=["bird", "vogent"], low=0).replace('workspace_id = "w"\n', "")
    assert [message.split(":")[0] for _, message in problems(file)] == [
        "'workspace_id' is missing",
        "providers",
        "low",
    ]
    none = text(low=0).removeprefix(PROVIDERS)
    assert [message.split(":")[0] for _, message in problems(none)] == ["names no provider", "low"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("[[pools]]\n", "pools must be a table: write [pools.NAME]"),
        ("[pools]\nx = 3", "pools.x must be a table: write [pools.x]"),
        ("[[pools.x]]\n", "pools.x must be a table: write [pools.x]"),
        ('[pools."Big Pool"]\n', "pool 'Big Pool': use at most 40 of a-z, 0-9, - and _"),
        ("[pools._x]\n", "pool '_x': use at most 40"),
        (f"[pools.{'x' * 41}]\n", "pool 'xxx"),
    ],
)
def test_a_wrong_shape_is_told_with_its_line(lines, problem):
    ((line, message),) = problems(PROVIDERS + lines)
    assert message.startswith(problem)
    assert line == lines.count("\n", 0, len(lines) - 1)


def test_a_name_of_40_characters_is_taken():
    name = "9" + "a_-" * 13
    assert list(parse_config(text().replace("pools.support", f"pools.{name}"), "p").pools) == [name]


@pytest.mark.parametrize(
    ("country", "prefix"),
    [
        ("US", "4"),
        ("US", "415"),
        ("US", "4155550100"),
        ("US", "4151"),
        ("US", "555"),
        ("US", "800"),
        ("CA", "80"),
        ("CA", "822"),
        ("CA", "600"),
        ("CA", "867"),
        ("PR", "787"),
        ("GB", "20"),
        ("DE", "49"),
        ("IT", "06"),
        ("CI", "07"),
        ("RW", "06"),
    ],
)
def test_a_prefix_that_may_be_right_is_taken(country, prefix):
    assert pool(country=country, prefix=prefix).prefix == prefix


@pytest.mark.parametrize(
    ("country", "prefix", "problem"),
    [
        ("GB", "020", "prefix: '020' begins with the 0 that is dialled inside GB only: write '20'"),
        ("CA", "0", "prefix: '0' begins no number of CA"),
        ("PR", "415", "prefix: '415' is of US, not of PR"),
        ("CA", "800", "prefix: '800' is shared by countries, and its numbers count as of US: write country = 'US'"),
        ("JM", "8885", "prefix: '8885' is shared by countries, and its numbers count as of US: write country = 'US'"),
    ],
)
def test_a_prefix_of_no_number_of_the_country_is_refused(country, prefix, problem):
    ((line, message),) = problems(text(prefix=prefix, country=country))
    assert (line, message.startswith(problem)) == (1, True)


@pytest.mark.parametrize("country", sorted(SUPPORTED_REGIONS))
def test_a_prefix_with_a_0_or_1_is_refused_only_where_it_begins_no_number(country):
    numbers = regex.compile(PhoneMetadata.metadata_for_region(country).general_desc.national_number_pattern)
    for prefix in SHORT:
        if contradiction(country, prefix):
            assert not numbers.fullmatch(prefix, partial=True), prefix


@pytest.mark.parametrize(
    ("country", "prefix", "mend"),
    [
        ("JP", "03", "write '3'"),
        ("TH", "02", "write '2'"),
        ("BG", "0080", None),
        ("IN", "0008001", None),
        ("JP", "00120", None),
    ],
)
def test_the_0_of_a_country_is_told_from_that_of_its_numbers(country, prefix, mend):
    told = contradiction(country, prefix)
    assert told is None if mend is None else told.endswith(mend)


def test_a_0_alone_is_left_out():
    assert contradiction("GB", "0").endswith("dialled inside GB only: leave it out")


def test_a_pool_of_durations_imports_neither_celery_nor_phonenumbers():
    code = (
        "import sys, tomllib; from schemas.config.pools import read_pools;"
        "read_pools(tomllib.loads(sys.argv[1])['pools'], {});"
        "print([m for m in ('celery', 'phonenumbers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, text(schedule="5m")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
