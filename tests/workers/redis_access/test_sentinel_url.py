"""A URL of sentinels: what it says, and what is refused with its mend and without its passwords."""

from __future__ import annotations

import pytest

from workers.redaction import cleaned, redacted
from workers.redis_access.sentinel_url import SentinelAddress, parse
from workers.server_urls import SettingsError
from workers.settings import load_settings

SECRET = "s3cret"


def address(**parts: object) -> SentinelAddress:
    """One that says nothing but what is given."""
    blank: dict[str, object] = {
        **{"sentinels": (("one", 26379),), "name": "ours", "db": 0, "username": None, "password": None},
        **{"sentinel_username": None, "sentinel_password": None, "tls": None},
    }
    return SentinelAddress(**{**blank, **parts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("sentinel://one/ours", address()),
        ("sentinel://one:26379/ours/0", address()),
        ("sentinel://one:1,two,[::1]:3/a.b-c_1/2", address(
            sentinels=(("one", 1), ("two", 26379), ("::1", 3)), name="a.b-c_1", db=2
        )),
        ("sentinel://:s3%40c,ret@one/ours/", address(password="s3@c,ret")),
        ("sentinel://alice:s3cret@one/ours/1", address(username="alice", password=SECRET, db=1)),
        ("sentinel://one/ours?sentinel_password=a%26b", address(sentinel_password="a&b")),
        (
            "sentinel://:a@one/ours?sentinel_username=u&sentinel_password=p",
            address(password="a", sentinel_username="u", sentinel_password="p"),
        ),
        ("sentinel://one/7/0", address(name="7")),
    ],
)  # fmt: skip
def test_what_it_says(url: str, found: SentinelAddress) -> None:
    assert parse(url) == found
    assert parse(url).tls is None
    assert load_settings({"REDIS_URL": url}).broker_url == url


def test_with_tls_the_certificates_are_verified() -> None:
    assert parse("sentinels://one/ours").tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    switched = parse("sentinels://one/ours?ssl_cert_reqs=none&ssl_check_hostname=false&sentinel_password=x").tls
    assert switched == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}


def test_what_celery_may_know_has_no_secret() -> None:
    found = parse("sentinels://alice:s3cret@one:1,[::1]:2/ours/3?sentinel_password=s3cret")
    assert found.public_url == "sentinels://one:1,[::1]:2/ours/3"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("one:26379", "it names no master, as the sentinels know it: write it like sentinel://"),
        ("one:26379/0", "it names no master"),
        ("one/", "it names no master"),
        ("one:1/0;sentinel://two:1/0", "sentinels stand in one URL, with commas between them"),
        (":s3cret@one;two/ours/0", "with commas between them"),
        ("s3cret@one/ours", "no colon stands before the @"),
        (":s3cret@one,:s3cret@two/ours", "it cannot be told where the password ends: the user and the password of"),
        (":s3@cret@one/ours", "it cannot be told where the password ends"),
        (":s3/cret@one/ours", "the user and the password|a sentinel is not HOST|only the master's name"),
        (":s3?cret@one/ours", "a sentinel is not HOST|only these options|names no master"),
        (":s3#cret@one/ours", "it is not a URL of sentinels"),
        ("/ours/0", "a sentinel is not HOST or HOST:PORT"),
        ("one,,two/ours", "a sentinel is not HOST or HOST:PORT"),
        ("one:0/ours", "a sentinel is not HOST or HOST:PORT"),
        ("one:99999/ours", "a sentinel is not HOST or HOST:PORT"),
        ("one:s3cret/ours", "a sentinel is not HOST or HOST:PORT"),
        ("one/our s/0", "only the master's name and a database number may follow"),
        ("one/ours/zero", "only the master's name and a database number may follow"),
        ("one/ours/0/1", "only the master's name and a database number may follow"),
        (
            "one/ours?master_name=s3cret",
            "only these options may stand in it: sentinel_username, sentinel_password, ssl_",
        ),
        ("one/ours?ssl_cert_reqs=none", "its options are for TLS: write sentinels://"),
        ("one/ours?sentinel_username=u", "sentinel_username needs sentinel_password"),
        ("one/ours?sentinel_password=s3cret&sentinel_password=s3cret", "stands in it twice"),
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_what_cannot_be_honoured_is_refused_with_its_mend(name: str, rest: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: .*(?:{message})") as caught:
        load_settings({name: f"sentinel://{rest}"})
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sentinel://:s3cret@one:1,two:2/ours/0", "sentinel://:***@one:1,two:2/ours/0"),
        ("sentinel://al:s3cret@one,al:other@two/ours", "sentinel://al:***@two/ours"),
        ("sentinel://al:s3cret@one,other@two/ours", "sentinel://al:***@two/ours"),
        ("sentinel://al:s3cret@one:1/0;sentinel://al:other@two:1/0", "sentinel://al:***@two:1/0"),
        ("sentinel://one/ours?sentinel_password=s3cret", "sentinel://one/ours?sentinel_password=***"),
    ],
)
def test_no_secret_of_a_list_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert SECRET not in cleaned("no user s3cret", url)
    assert "other" not in cleaned("nor other", url) or "other" not in url
