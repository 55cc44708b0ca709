"""Who the account of a provider is; and several aliases of one account."""

from __future__ import annotations

import pytest

from schemas.config.errors import ConfigError
from tasks.providers.configured import parse_config, sandbox_config
from tests.schemas.config.files import FULL, HEAD, problems, signalwire


def test_who_the_account_is_does_not_hang_on_how_it_is_reached():
    assert signalwire().account == "signalwire|p"
    ways = ["https://X.example", "https://x.example.", "https://x.example:8443/gate", "http://127.0.0.1:8080"]
    assert {signalwire(base_url=url).account for url in ways} == {signalwire().account}
    assert signalwire(project_id="q").account != signalwire().account
    assert signalwire(account_id="mine").account == "signalwire|mine"


def test_a_uuid_is_one_account_in_every_spelling():
    spellings = ["550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"]
    assert len({signalwire(project_id=one).account for one in spellings}) == 1


def test_each_kind_says_what_its_account_is():
    accounts = {alias: config.account for alias, config in parse_config(FULL, "p.toml").providers.items()}
    assert accounts == {
        "timepay": "timepay|@timepay",
        "fluents": "fluents|550e8400-e29b-41d4-a716-446655440000",
        "signalwire": "signalwire|p-1",
        "vogent": "vogent|@vogent",
        "bird": "bird|w-1",
        "telnyx": "telnyx|@telnyx",
        "bandwidth": "bandwidth|9900000",
        "vonage": "vonage|0123abcd",
    }
    without_org = parse_config(FULL.replace('org_id = "org-7"\n', ""), "p.toml").providers["timepay"]
    assert without_org.account == accounts["timepay"]


def test_rows_of_the_time_when_an_account_hung_on_its_url_are_found():
    former = {alias: config.former_account for alias, config in parse_config(FULL, "p.toml").providers.items()}
    assert former == {
        "timepay": "timepay|https://api.agents.timepay.ai|org-7",
        "fluents": "fluents|https://api.fluents.ai|",
        "signalwire": "signalwire|https://example.signalwire.com|p-1",
        "vogent": "vogent|http://127.0.0.1:8790/vogent|",
        "bird": "bird|https://api.bird.com|w-1",
        "telnyx": "telnyx|https://api.telnyx.com|",
        "bandwidth": "bandwidth|https://api.bandwidth.com|9900000",
        "vonage": "vonage|https://rest.nexmo.com|0123abcd",
    }


def test_a_sandbox_is_never_the_account_of_a_real_provider():
    sandboxes = {provider.account for provider in sandbox_config().providers.values()}
    assert all(account.startswith("sandbox:") for account in sandboxes)
    assert signalwire(project_id="sandbox-project", account_id=None).account not in sandboxes


@pytest.mark.parametrize("given", ["", "a b", "@mine", "x" * 201])
def test_an_account_id_is_a_plain_word(given):
    (found,) = problems(f'{HEAD}account_id = "{given}"')
    assert found.startswith("p.toml:6: account_id: ")


TWINS = """
[providers.one]
kind = "vogent"
base_url = "https://api.vogent.ai"
token_env = "ONE"
account_id = "acme"

[providers.two]
kind = "vogent"
base_url = "https://gate.example/vogent"
token_env = "TWO"
account_id = "acme"
"""


def test_aliases_that_may_be_one_account_must_say_which_it_is():
    nameless = TWINS.replace('account_id = "acme"\n', "", 1)
    assert problems(nameless) == [
        "p.toml:2: several aliases are of kind vogent: give 'one' the account_id of its account"
    ]
    assert len(problems(TWINS.replace('account_id = "acme"\n', ""))) == 2
    other = parse_config(TWINS.replace('"acme"', '"globex"', 1), "p.toml")
    assert len({provider.account for provider in other.providers.values()}) == 2


@pytest.mark.parametrize("second", ["", 'account_id = "second"\n'])
@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("signalwire", 'project_id = "{0}"'),
        ("bird", 'workspace_id = "{0}"\norganization_id = "o"'),
        ("fluents", 'telephony_provider = "twilio"\ntelephony_account_connection = "{0}"'),
    ],
)
def test_aliases_that_the_kind_says_are_one_account_cannot_be_called_two(kind: str, own: str, second: str) -> None:
    def twins(first: str, second: str) -> str:
        same = "550e8400-e29b-41d4-a716-446655440000"
        return "".join(
            f'[providers.{alias}]\nkind = "{kind}"\nbase_url = "https://x.example"\ntoken_env = "T"\n'
            f"{own.format(project)}\n{given}"
            for alias, project, given in (("one", same, first), ("two", same.upper(), second))
        )

    found = problems(twins('account_id = "first"\n', second))
    assert "'two' is the same account as 'one' at the provider: give both the same account_id, or none" in found[-1]
    one_account = parse_config(twins('account_id = "first"\n', 'account_id = "first"\n'), "p.toml")
    assert {provider.account for provider in one_account.providers.values()} == {f"{kind}|first"}


def test_an_account_id_that_is_a_uuid_is_one_account_in_every_spelling() -> None:
    given = "550E8400-E29B-41D4-A716-446655440000"
    assert signalwire(account_id=given).account == signalwire(account_id=None, project_id=given.lower()).account


def test_aliases_of_one_account_must_know_the_same_limits() -> None:
    with pytest.raises(ConfigError, match=r"twins.toml:8: 'two' is the same account as 'one', so rate_limits must be"):
        parse_config(f'{TWINS}[providers.two.policy]\nrate_limits = ["9/second"]\n', "twins.toml")
    with pytest.raises(ConfigError, match="so max_in_flight must be the same in both"):
        parse_config(f"{TWINS}[providers.two.policy]\nmax_in_flight = 3\n", "twins.toml")
    assert set(parse_config(TWINS, "twins.toml").providers) == {"one", "two"}


def test_what_is_not_shared_may_differ_between_aliases() -> None:
    parse_config(f"{TWINS}[providers.two.policy]\nmax_attempts = 3\n", "twins.toml")


def test_aliases_of_two_accounts_have_their_own_limits() -> None:
    text = TWINS.replace('"acme"', '"globex"', 1)
    parse_config(f'{text}[providers.two.policy]\nrate_limits = ["9/second"]\n', "twins.toml")


def test_a_batch_where_the_provider_takes_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_batch: vogent takes 1 in a call"):
        parse_config(f"{TWINS}[providers.two.policy]\nmax_batch = 2\n", "twins.toml")


@pytest.mark.parametrize("field", ["site_id", "account_number", "peer_id"])
def test_the_ids_of_bandwidth_are_digits(field):
    fields = {"kind": "bandwidth", "base_url": "https://x.example", "token_env": "T", "client_id": "c"}
    fields |= {"account_number": "1", "site_id": "2", "peer_id": "3", field: "x1"}
    text = "[providers.bw]\n" + "\n".join(f'{name} = "{value}"' for name, value in fields.items())
    with pytest.raises(ConfigError, match=field):
        parse_config(text, "p.toml")
