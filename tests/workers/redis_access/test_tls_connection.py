"""Every way in which Dialstock opens a connection to Redis, over real TLS."""

import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kombu import Connection, pools
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tests.servers import TlsRedis
from tests.servers.tls import make_certificates
from workers.broker.incoming import KeepingTransport
from workers.fleet import FleetError, listening
from workers.health import Away, Untrusted, Unusable, check_usable, redis_info
from workers.redis_access import tls_connection
from workers.redis_access.client import connect_redis
from workers.redis_access.tls_options import broker_options

Open = Callable[[str], object]


def by_our_client(url: str) -> None:
    with connect_redis(url) as client:
        client.ping()


def by_kombu(url: str) -> None:
    with Connection(url, ssl=broker_options(url), transport=KeepingTransport) as connection:
        connection.connect()


def by_remote_control(url: str) -> None:
    listening(url, timeout=0.1)


WAYS = {"health": redis_info, "client": by_our_client, "broker": by_kombu, "remote control": by_remote_control}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def connect(request: pytest.FixtureRequest) -> Open:
    way: Open = request.param
    return way


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Forget connections, and what another test made this machine trust."""
    tls_connection._context.cache_clear()
    yield
    tls_connection._context.cache_clear()
    pools.reset()


def test_a_private_ca_that_the_url_names(tls_redis: TlsRedis, connect: Open) -> None:
    connect(tls_redis.url)


def test_a_ca_that_this_machine_trusts(tls_redis: TlsRedis, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_redis.ca))
    connect(tls_redis.bare_url)


@pytest.mark.parametrize("options", ["", "?ssl_check_hostname=false"])
def test_a_ca_that_nobody_trusts(
    tls_redis: TlsRedis, connect: Open, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tls_redis.bare_url + options
    # Celery prefers this variable to what it is told.
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    with pytest.raises(Exception, match="certificate in certificate chain"):
        connect(url)


def test_a_host_that_the_certificate_does_not_name(tls_redis: TlsRedis, connect: Open) -> None:
    with pytest.raises(Exception, match=r"not valid for '127\.0\.0\.1'"):
        connect(tls_redis.url.replace("localhost", "127.0.0.1"))


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=false&ssl_ca_certs={ca}"])
def test_less_is_verified_where_the_url_says_so(tls_redis: TlsRedis, connect: Open, option: str) -> None:
    connect(f"{tls_redis.bare_url.replace('localhost', '127.0.0.1')}?{option.format(ca=tls_redis.ca)}")


def test_a_server_that_asks_for_a_certificate(tls_redis: TlsRedis, connect: Open) -> None:
    with tls_redis.asking() as url:
        connect(url)


def test_a_client_without_the_certificate_that_is_asked_for(tls_redis: TlsRedis, connect: Open) -> None:
    with tls_redis.asking(), pytest.raises((Away, RedisError, OperationalError, FleetError)):
        connect(tls_redis.url)


def test_the_cas_are_read_once(tls_redis: TlsRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: read.append(1) or real())
    for way in (by_our_client, by_kombu) * 3:
        way(tls_redis.url)
    assert len(read) == 1


def test_a_new_ca_is_taken_without_a_restart(tls_redis: TlsRedis, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    url = f"{tls_redis.bare_url}?ssl_ca_certs={ca}"
    (tmp_path / "other").mkdir()
    shutil.copy(make_certificates(tmp_path / "other"), ca)
    with pytest.raises(Exception, match="certificate verify failed"):
        by_our_client(url)
    shutil.copy(tls_redis.ca, ca)
    by_our_client(url)


def test_a_refusal_says_how_to_mend_it(tls_redis: TlsRedis) -> None:
    for check in (redis_info, check_usable):
        with pytest.raises(
            Untrusted, match=r"certificate in certificate chain: name the file .*\?ssl_ca_certs="
        ) as told:
            check(tls_redis.bare_url)
        assert ":***@localhost" in str(told.value)
        with pytest.raises(Untrusted, match="write the host in the URL as the certificate names it"):
            check(tls_redis.url.replace("localhost", "127.0.0.1"))


def test_a_scheme_that_is_not_the_servers(tls_redis: TlsRedis) -> None:
    plain = tls_redis.url.partition("?")[0].replace("rediss:", "redis:")
    for url, told in (
        (plain, "speaks TLS there: write rediss://"),
        (tls_redis.plain.url.replace("redis:", "rediss:"), "does not speak TLS there: write redis://"),
    ):
        for check in (redis_info, check_usable):
            with pytest.raises(Unusable, match=told):
                check(url)
    check_usable("rediss://127.0.0.1:1/0")
