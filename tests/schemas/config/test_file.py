"""schemas.config.file: what providers.toml may say; every problem names its line and the mend."""

from __future__ import annotations

import re

import pytest

from schemas.config.errors import ConfigError
from schemas.config.kinds import policy_for
from schemas.config.provider import SANDBOX_TOKEN, read_token
from tasks.providers.bandwidth.config import BandwidthConfig
from tasks.providers.bird.config import BirdConfig
from tasks.providers.configured import load_config, parse_config, right_parts_of, sandbox_config
from tasks.providers.fluents.config import FluentsConfig
from tasks.providers.registry import kinds
from tasks.providers.signalwire.config import SignalWireConfig
from tasks.providers.telnyx.config import TelnyxConfig
from tasks.providers.timepay.config import TimePayConfig
from tasks.providers.vogent.config import VogentConfig
from tasks.providers.vonage.config import VonageConfig
from tests.schemas.config.files import FULL, HEAD, problems, signalwire


def test_every_kind_is_read_with_its_own_fields():
    providers = parse_config(FULL, "p.toml").providers
    classes = [TimePayConfig, FluentsConfig, SignalWireConfig, VogentConfig, BirdConfig, TelnyxConfig, BandwidthConfig]
    classes += [VonageConfig]
    assert [type(provider) for provider in providers.values()] == classes
    assert {provider.kind for provider in providers.values()} <= set(kinds())
    assert providers["timepay"].base_url == "https://api.agents.timepay.ai"
    assert providers["telnyx"].requirement_groups == {"DE": "group-1", "DE/mobile": "group-2"}
    assert providers["vogent"].purchase_endpoint == "phone_numbers"


def test_a_policy_lies_on_top_of_the_kinds_defaults():
    providers = parse_config(FULL, "p.toml").providers
    policy = providers["signalwire"].policy
    assert [str(rate) for rate in policy.rate_limits] == ["5/second", "40/10 seconds"]
    assert (policy.reconcile_after, policy.give_up_after, policy.daily_limit) == ((1.0, 120.0), 1800.0, 1000)
    assert providers["bird"].policy == policy_for(kinds()["bird"], {"burst": 2})
    assert providers["timepay"].policy == policy_for(kinds()["timepay"], {})


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "providers.toml"
    path.write_text(FULL, encoding="utf-8-sig")
    assert load_config(path) == parse_config(FULL, "p.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'none.toml'}: cannot be read")):
        load_config(tmp_path / "none.toml")
    binary = tmp_path / "providers.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(binary)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('projct_id = "x"', "p.toml:6: unknown field 'projct_id': did you mean 'project_id'?"),
        ('token = "s3cret"', "p.toml:6: unknown field 'token': did you mean 'token_env'?"),
        ("zzz = 1", "p.toml:6: unknown field 'zzz': known are kind, base_url,"),
        ("burst = 1", "p.toml:6: unknown field 'burst': it belongs in [providers.sw.policy]"),
        ('token_file = "/x"', "p.toml:1: [providers.sw]: give token_env or token_file, and only one"),
        ("policy = 7", "p.toml:6: policy must be a table: write [providers.sw.policy]"),
        ("policy = { burst = 0 }", "p.toml:6: policy.burst: must be 1 or more"),
        ("policy.burst = 0", "p.toml:6: policy.burst: must be 1 or more"),
        ('account_id = ["a"]', "p.toml:6: account_id: must be text, in quotes"),
    ],
)
def test_a_wrong_line_in_a_provider_is_named(line, problem):
    (found,) = problems(HEAD + line)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("burts = 1", "unknown field 'policy.burts': did you mean 'burst'?"),
        ('rate_limits = ["20/fortnight"]', "policy.rate_limits.0: '20/fortnight' is no rate limit: write it like"),
        ('rate_limits = ["0/second"]', "policy.rate_limits.0: '0/second' lets nothing through"),
        ("rate_limits = []", "policy.rate_limits: "),
        ('rate_limits = [\n  "9/second",\n  "3/minute",\n]', "policy.rate_limits: 9/second contradicts 3/minute"),
        ("burst = 5000", "policy.burst: 5000 is above the limit 1300/second: lower the burst"),
        ('burst = "many"', "policy.burst: must be a whole number"),
        ('give_up_after = "soon"', "policy.give_up_after: 'soon' is no duration"),
        ("give_up_after = inf", "policy.give_up_after: inf is out of range"),
        ("reconcile_after = [5, 1]", "policy.reconcile_after: must rise"),
        ('on_unknown = "retry"', "policy.on_unknown: must be 'reconcile' or 'hold'"),
    ],
)
def test_a_wrong_line_in_a_policy_is_named(line, problem):
    (found,) = problems(f"{HEAD}\n[providers.sw.policy]\nmax_attempts = 3\n{line}")
    assert found.startswith(f"p.toml:9: {problem}")


def test_a_problem_with_a_default_stands_at_the_policy():
    text = f'{HEAD}[ providers . "sw" . policy ] # slow\nrate_limits = ["1/second"]\nbackoff_initial = 400'
    assert problems(text) == ["p.toml:6: policy.backoff_max: 300 is below backoff_initial: raise it"]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("timepay", ["telephony_provider"]),
        ("fluents", ["telephony_provider", "telephony_account_connection"]),
        ("signalwire", ["project_id"]),
        ("vogent", []),
        ("bird", ["workspace_id", "organization_id"]),
    ],
)
def test_missing_fields_are_named_with_their_table(kind, missing):
    text = f'# none yet\n\n[providers.mine]\nkind = "{kind}"\ntoken_env = "T"'
    expected = [f"p.toml:3: {field!r} is missing: [providers.mine] needs it" for field in ["base_url", *missing]]
    assert sorted(problems(text)) == sorted(expected)


def test_all_problems_of_a_file_come_at_once_and_in_order():
    text = 'pace = 3\n[providers.sw]\nkind = "signalwire"\nprojct_id = "x"\n[providers.sw.policy]\nburst = 0\n[pols]\n'
    found = problems(text)
    assert [line.split(":")[1] for line in found] == ["1", "2", "2", "4", "6", "7"]
    assert found[0] == "p.toml:1: unknown table 'pace': only [providers.ALIAS] and [pools.NAME] are known"
    assert found[-1] == "p.toml:7: unknown table 'pols': only [providers.ALIAS] and [pools.NAME] are known"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "p.toml:1: names no provider: add a table like [providers.NAME]"),
        ("\n[providers]\n", "p.toml:2: names no provider"),
        ("\nproviders = 3", "p.toml:2: names no provider"),
        ("[providers]\nsw = 3", "p.toml:2: providers.sw must be a table"),
        ('[providers.x]\nbase_url = "y"', "p.toml:1: 'kind' is missing: give one of timepay, fluents"),
        ('[providers.x]\nkind = "Signalwire"', "p.toml:2: unknown kind 'Signalwire': did you mean 'signalwire'?"),
        ("[providers.x]\nkind = ['bird']", "p.toml:2: unknown kind ['bird']: "),
        ('\n[providers."Big Bird"]\nkind = "bird"', "p.toml:2: alias 'Big Bird': use at most 40 of a-z"),
        (f'[providers.{"x" * 41}]\nkind = "bird"', "p.toml:1: alias 'xxx"),
        ("[providers.x]\nkind = \n", "p.toml:2: is not TOML: Invalid value"),
        ("[providers.x]\nkind = 'a", "p.toml:2: is not TOML: "),
        ("\n\nx = " + "9" * 5000, "p.toml:3: is not TOML: "),
        ("x = " + "[" * 5000, "p.toml:1: is not TOML: "),
    ],
)
def test_a_wrong_shape_is_told_with_its_line(text, problem):
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.example.com", "must begin with https://"),
        ("http://127.0.0.1.example.com", "must begin with https://"),
        ("http://10.0.0.1", "must begin with https://"),
        ("ftp://api.example.com", "must be a URL like https://"),
        ("api.example.com", "must be a URL like https://"),
        ("https://", "must be a URL like https://"),
        ("https://api example.com", "must be a URL like https://"),
        ("https://user:hunter2@api.example.com", "without user, password"),
        ("https://api.example.com?x=1", "without user, password"),
        ("https://api.example.com:port", "Port"),
        ("https://[::1", "Invalid"),
        ("https://api..example.com", "names a host that cannot be looked up"),
        ("https://.", "names a host that cannot be looked up"),
        (f"https://{'a' * 64}.example.com", "names a host that cannot be looked up"),
        ("https://xn--", "names a host that cannot be looked up"),
        ("https://api.xn--zzzzzz99.com", "names a host that cannot be looked up"),
        ("https://hunter2:hunter2@api..example.com", "names a host that cannot be looked up"),
    ],
)
def test_an_unsafe_base_url_is_refused_and_not_repeated(url, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        signalwire(base_url=url)
    assert str(caught.value).startswith("p:3: base_url: ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:8790/x", "http://127.0.0.1", "http://[::1]:1", "https://a.b/gate", "https://a.b."),
        *("https://XN--mnchen-3ya.de", "https://xn--strae-oqa.de", f"https://{'a' * 63}.com"),
    ],
)
def test_https_or_loopback_is_taken(url):
    assert signalwire(base_url=url + "/").base_url == url


def test_a_token_source_is_needed():
    with pytest.raises(ConfigError, match="give token_env or token_file"):
        signalwire(token_env=None)


def test_a_token_pasted_in_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="p:5: token_env: must be the name of an environment variable") as caught:
        signalwire(token_env="sk-live-1234")
    assert "1234" not in str(caught.value)


def test_a_token_comes_from_the_environment():
    assert read_token(signalwire(), {"T": " s3cret\n"}) == "s3cret"
    for environ in ({}, {"T": " "}):
        with pytest.raises(ConfigError, match="environment variable T is not set or empty: put the token there"):
            read_token(signalwire(), environ)


def test_a_token_comes_from_a_file(tmp_path):
    path = tmp_path / "token"
    provider = signalwire(token_env=None, token_file=path)
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory: put the token there"):
        read_token(provider, {})
    path.write_text("\n")
    with pytest.raises(ConfigError, match="is not set or empty"):
        read_token(provider, {})
    path.write_text("s3cret\n", encoding="utf-8-sig")
    assert read_token(provider, {"T": "other"}) == "s3cret"


def test_a_token_file_of_bytes_is_refused_and_not_repeated(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(b"s3cret\xff")
    with pytest.raises(ConfigError, match="is not text") as caught:
        read_token(signalwire(token_env=None, token_file=path), {})
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("written", "read"), [("sec/token", "{}/sec/token"), ("/run/token", "/run/token")])
def test_a_relative_token_file_is_beside_the_configuration(tmp_path, written, read):
    path = tmp_path / "p.toml"
    path.write_text(FULL.replace("/run/secrets/signalwire", written))
    found = load_config(path)
    assert str(found.providers["signalwire"].token_file) == read.format(tmp_path)
    assert found.providers["signalwire"].account == "signalwire|p-1"
    right, _ = right_parts_of(path)
    # what only reads must not tell that workers have another configuration
    assert (right.providers, right.digest) == (found.providers, found.digest)


def test_the_sandbox_knows_every_kind():
    config = sandbox_config("http://127.0.0.1:1234", {"bird": {"burst": 2}})
    assert list(config.providers) == list(kinds())
    for alias, provider in config.providers.items():
        assert provider.base_url == f"http://127.0.0.1:1234/{alias}"
        assert read_token(provider, {}) == SANDBOX_TOKEN
        assert read_token(provider, {"DIALSTOCK_SANDBOX_TOKEN": "mine"}) == "mine"
    assert config.providers["bird"].policy.burst == 2


def test_a_wrong_policy_for_the_sandbox_is_told():
    with pytest.raises(ConfigError, match=r"policy\.burst: 9 is above the limit 5/second"):
        sandbox_config(policies={"vogent": {"burst": 9}})
