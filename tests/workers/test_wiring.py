"""Everything put together, or one clear error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from redis.exceptions import RedisError

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import SANDBOX_URL
from schemas.requests import BuyNumber
from schemas.tables.pools import POOL
from schemas.tables.purchases import PROVIDER
from tasks.accounts.identity import AccountChanged
from tasks.orders import accept_single
from tasks.policies.claim_time import FIRST
from tasks.providers.configured import parse_config, sandbox_config
from tests.servers import RedisServer
from tests.waiting import fair_clock
from workers.config_file import NoConfig, read_config, read_right_parts
from workers.database.clock import DatabaseClock
from workers.redis_access.client import connect_redis
from workers.settings import Settings, load_settings
from workers.wiring import bind_providers, prepare_providers, wire, with_config

TWO = """
[providers.one]
kind = "vogent"
base_url = "https://one.example"
token_env = "ONE_TOKEN"
account_id = "one"

[providers.two]
kind = "vogent"
base_url = "https://two.example"
token_env = "TWO_TOKEN"
account_id = "two"
"""


@pytest.fixture
def settings(tmp_path: Path, redis_server: RedisServer) -> Settings:
    """Embedded, and in a folder of its own."""
    found = load_settings({"DIALSTOCK_HOME": str(tmp_path)})
    return replace(found, redis_url=redis_server.url, config_path=tmp_path / "providers.toml")


@pytest.fixture
def tried_out(settings: Settings) -> Settings:
    """The same for who chose the sandbox."""
    return replace(settings, sandbox_url=SANDBOX_URL)


def test_without_a_file_nobody_is_known(settings: Settings) -> None:
    with pytest.raises(NoConfig, match=r"there is no /.*/providers\.toml, so there is nobody to buy from: write it"):
        read_config(settings)
    assert read_right_parts(settings) == (Config(providers={}), None)


def test_a_file_that_cannot_be_read_is_an_error_for_all(settings: Settings) -> None:
    settings.config_path.mkdir()
    for read in (read_config, read_right_parts):
        with pytest.raises(ConfigError, match="cannot be read"):
            read(settings)


def test_the_five_sandboxes_are_known_where_they_were_chosen(tried_out: Settings) -> None:
    tried_out.config_path.write_text(TWO)
    assert read_config(tried_out) == read_right_parts(tried_out)[0] == sandbox_config()
    with pytest.raises(ConfigError, match="DIALSTOCK_SANDBOX names 'ftp://x', where no sandbox can be"):
        read_config(replace(tried_out, sandbox_url="ftp://x"))


def test_every_missing_secret_is_named_at_once() -> None:
    config = parse_config(TWO, "providers.toml")
    with pytest.raises(ConfigError) as missing:
        bind_providers(config, {})
    assert [line.split()[0] for line in str(missing.value).splitlines()] == ["[providers.one]", "[providers.two]"]
    assert "ONE_TOKEN" in str(missing.value)
    assert "TWO_TOKEN" in str(missing.value)
    with pytest.raises(ConfigError, match=r"^\[providers\.two\]"):
        bind_providers(config, {"ONE_TOKEN": "secret"})


def test_a_binding_has_what_its_provider_needs() -> None:
    bound = bind_providers(parse_config(TWO, "providers.toml"), {"ONE_TOKEN": "s3cret", "TWO_TOKEN": "s3cret"})
    one, two = bound["one"], bound["two"]
    assert one.account != two.account
    assert (one.queue, one.buying.key != two.buying.key) == ("purchases.one", True)
    assert "s3cret" not in repr(bound)


def test_the_embedded_database_is_brought_up_to_date(tried_out: Settings) -> None:
    wiring = wire(tried_out, Celery(set_as_current=False))
    try:
        for _ in range(2):
            prepare_providers(wiring.runtime)
        with wiring.runtime.database.read() as conn:
            assert len(conn.execute(PROVIDER.select()).all()) == len(wiring.runtime.providers)
        assert wiring.runtime.kinds.keys() == wiring.runtime.providers.keys()
        assert wiring.runtime.redis.ping()
        assert isinstance(wiring.runtime.now, DatabaseClock)
        wiring.runtime.now.trip = 0.01
        assert wiring.runtime.claims.longest == FIRST * 0.01
    finally:
        wiring.close()


def test_a_pool_is_due_from_the_first_start_on(settings: Settings) -> None:
    pool = '[pools.support]\nproviders = ["one"]\nprefix = "415"\nlow = 1\ntarget = 2\ndaily_limit = 0\n'
    settings.config_path.write_text(TWO + pool)
    wiring = wire(settings, Celery(set_as_current=False), {"ONE_TOKEN": "s3cret", "TWO_TOKEN": "s3cret"})
    try:
        for _ in range(2):
            prepare_providers(wiring.runtime)
        with wiring.runtime.database.read() as conn:
            [row] = conn.execute(POOL.select())
        assert (row.name, row.status, row.next_slot) == ("support", "ok", 1)
        assert row.next_run_at <= wiring.runtime.now()
    finally:
        wiring.close()


def test_what_no_worker_buys_for_is_told_at_the_start(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.config_path.write_text(TWO)
    wiring = wire(settings, Celery(set_as_current=False), {"ONE_TOKEN": "s3cret", "TWO_TOKEN": "s3cret"})
    try:
        prepare_providers(wiring.runtime)
        accept_single(wiring.runtime, BuyNumber(number="+14155550100", provider="two"))
        assert caplog.text == ""
        one = {"one": wiring.runtime.providers["one"]}
        prepare_providers(replace(wiring.runtime, providers=one))
    finally:
        wiring.close()
    assert "1 purchases wait under 'two', which is not configured" in caplog.text


def test_a_database_that_is_not_ours_is_not_migrated(tried_out: Settings, empty_database_url: str) -> None:
    theirs = replace(tried_out, database_url=empty_database_url, embedded_database=False)
    wiring = wire(theirs, Celery(set_as_current=False))
    with wiring.runtime.database.read() as conn:
        assert not conn.dialect.has_table(conn, "purchase")
    wiring.close()


def test_each_of_many_threads_has_a_connection(redis_server: RedisServer) -> None:
    with connect_redis(redis_server.url) as client:
        threads = [client.client() for _ in range(150)]
        assert all(one.ping() for one in threads)


def test_a_dead_redis_is_noticed_in_seconds(redis_server: RedisServer) -> None:
    client = connect_redis(redis_server.url)
    assert client.ping()
    redis_server.kill()
    with fair_clock() as clock:
        with pytest.raises(RedisError):
            client.ping()
        assert clock() < 15
    redis_server.restart()
    assert client.ping()
    client.close()


def test_another_configuration_is_made_ready_beside_the_one_in_force(settings: Settings) -> None:
    settings.config_path.write_text(TWO)
    environ = {"ONE_TOKEN": "s3cret", "TWO_TOKEN": "s3cret"}
    wiring = wire(settings, Celery(set_as_current=False), environ)
    before = wiring.runtime
    try:
        prepare_providers(before)
        slower = TWO + '[providers.two.policy]\nrate_limits = ["1/second"]\n'
        third = TWO.replace("one", "three").replace("ONE", "THREE").split("\n\n")[0]
        after = with_config(before, parse_config(slower + third, "x"), {**environ, "THREE_TOKEN": "s3cret"})
        # what did not change keeps its connections
        assert after.providers["one"] is before.providers["one"]
        assert after.providers["two"] is not before.providers["two"]
        assert after.providers["two"].buying != before.providers["two"].buying
        assert [*before.providers] == ["one", "two"]
        assert set(after.accounts) == {"vogent|one", "vogent|two", "vogent|three"}
        assert after.kinds.keys() == after.providers.keys()
        with pytest.raises(ConfigError, match=r"THREE_TOKEN is not set .* \(restart for a new variable"):
            with_config(before, parse_config(TWO + third, "x"), environ)
        accept_single(before, BuyNumber(number="+14155550100", provider="two"))
        other = TWO.replace('account_id = "two"', 'account_id = "else"')
        with pytest.raises(AccountChanged):
            with_config(before, parse_config(other, "x"), environ)
        # and the refused one has changed nothing
        accept_single(before, BuyNumber(number="+14155550101", provider="two"))
    finally:
        wiring.close()
