"""What a Redis URL may say of TLS; test_tls_connection.py tells that it is heeded."""

import subprocess
from pathlib import Path

import pytest

from tests.servers import TlsRedis
from workers.redis_access.tls_options import broker_options, is_unverified, refusal
from workers.server_urls import SettingsError
from workers.settings import load_settings

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("scheme", "query", "message"),
    [
        ("redis", "ssl_cert_reqs=none", "its options are for TLS: write rediss://"),
        ("rediss", "ssl_ca_cert=/ca.pem", "only these options may stand in it: ssl_ca_certs"),
        ("rediss", f"db={SECRET}", "only these options"),
        ("rediss", SECRET, "only these options"),
        ("redis", f"password={SECRET}", "only these options"),
        ("rediss", "ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs is 'CERT_NONE': write required or none"),
        ("rediss", "ssl_check_hostname=0", "ssl_check_hostname is '0': write true or false"),
        ("rediss", "ssl_cert_reqs=none&ssl_cert_reqs=required", "an option stands in it twice"),
        ("rediss", "ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs names /nowhere/ca.pem, which is no file of"),
        ("rediss", "ssl_ca_certs=", "ssl_ca_certs names , which is no file"),
        ("rediss", f"ssl_ca_certs={__file__}", "test_tls_options.py, which is no file of certificates in PEM"),
        ("rediss", "ssl_keyfile=/key.pem", "ssl_keyfile needs the certificate of that key"),
        ("rediss", "ssl_certfile=/a.pem&ssl_keyfile=/b.pem", "/a.pem and /b.pem are no certificate and its key"),
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_an_option_that_cannot_be_used_is_named_with_its_mend(name: str, scheme: str, query: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: .*{message}") as caught:
        load_settings({name: f"{scheme}://:{SECRET}@cache/0?{query}"})
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_key_with_a_password_is_refused(tls_redis: TlsRedis, tmp_path: Path) -> None:
    locked = ["openssl", "ec", "-in", tls_redis.folder / "server.key", "-aes128", "-passout", "pass:x"]
    subprocess.run([*locked, "-out", tmp_path / "locked.key"], check=True, capture_output=True)
    pair = f"ssl_certfile={tls_redis.folder}/server.pem&ssl_keyfile={tmp_path}/locked.key"
    with pytest.raises(SettingsError, match="without a password"):
        load_settings({"REDIS_URL": f"rediss://cache?{pair}"})


def test_options_that_can_be_used_are_kept(tls_redis: TlsRedis) -> None:
    with tls_redis.asking() as url:
        assert load_settings({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("query", "options", "unverified"),
    [
        ("", {"ssl_cert_reqs": "required", "ssl_check_hostname": True}, False),
        (
            "?ssl_ca_certs=%2Fa%20b",
            {"ssl_ca_certs": "/a b", "ssl_cert_reqs": "required", "ssl_check_hostname": True},
            False,
        ),
        ("?ssl_cert_reqs=none", {"ssl_cert_reqs": "none", "ssl_check_hostname": True}, True),
        ("?ssl_check_hostname=false", {"ssl_cert_reqs": "required", "ssl_check_hostname": False}, True),
        (
            "?ssl_cert_reqs=required&ssl_check_hostname=true",
            {"ssl_cert_reqs": "required", "ssl_check_hostname": True},
            False,
        ),
    ],
)
def test_celery_is_told_to_verify(query: str, options: dict[str, object], unverified: bool) -> None:
    assert broker_options(f"rediss://:pw@cache:6380/3{query}") == options
    assert is_unverified(f"rediss://:pw@cache:6380/3{query}") is unverified


def test_plain_redis_has_no_tls() -> None:
    assert broker_options("redis://cache") is None
    assert not is_unverified("redis://cache")


def test_what_has_nothing_to_do_with_certificates() -> None:
    assert refusal(ConnectionError("away")) is None
