"""sentinels://: the sentinels and the servers speak TLS, and neither is believed without a certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kombu import Connection

from tests.servers import Sentinels, TlsRedis
from tests.servers.tls import DATABASE, HOST, PASSWORD
from workers.broker.sentinel import public_url, use_master_transport
from workers.health import Untrusted, redis_info
from workers.redis_access.client import connect_redis
from workers.redis_access.master import Master, NoMaster
from workers.redis_access.sentinel_url import parse


def by_our_client(url: str) -> None:
    with connect_redis(url) as client:
        client.ping()


def by_kombu(url: str) -> None:
    use_master_transport()
    with Connection(public_url(url)) as connection:
        connection.connect()


@pytest.fixture(scope="module")
def sentinels(_redis_program: str) -> Iterator[Sentinels]:
    with Sentinels(_redis_program) as found:
        yield found


def test_a_sentinel_behind_tls(sentinels: Sentinels, tls_redis: TlsRedis) -> None:
    with closing(tls_redis.front_of(sentinels.places[0][1])) as front:
        url = f"sentinels://{HOST}:{front.port}/ours/0"
        assert Master(parse(f"{url}?ssl_ca_certs={tls_redis.ca}")).find() == sentinels.place_of(sentinels.master)
        with pytest.raises(NoMaster, match=r"no sentinel answers: .*certificate"):
            Master(parse(url)).find()
        with pytest.raises(Untrusted, match="name the file of the CA that signed it in the URL"):
            redis_info(url)


@pytest.mark.parametrize("connect", [redis_info, by_our_client, by_kombu])
def test_the_master_behind_tls(
    connect: Callable[[str], object], tls_redis: TlsRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentinels name it as its certificate does (announce-hostnames), or it is not believed."""
    url = f"sentinels://:{PASSWORD}@nobody/ours/{DATABASE}?ssl_ca_certs={tls_redis.ca}"
    monkeypatch.setattr(Master, "find", lambda _: (HOST, tls_redis.port))
    connect(url)
    monkeypatch.setattr(Master, "find", lambda _: ("127.0.0.1", tls_redis.port))
    with pytest.raises(Exception, match=r"not valid for|certificate verify failed"):
        connect(url)
