"""TLS that cannot be spoken to a database, by what a real pooler and libpq say: the cause and its mend."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PgBouncer, PostgresServer
from tests.servers.tls import HOST, make_certificates
from workers.health import Away, database_versions
from workers.server_urls import database_url


@pytest.fixture
def secured(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[PgBouncer]:
    """A pooler that takes clients over TLS alone; the file of its CA is `ca.pem`, and of another `other/ca.pem`."""
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        make_certificates(folder)
    files = {}
    for option, name in (("client_tls_key_file", "server.key"), ("client_tls_cert_file", "server.pem")):
        # The pooler's user is not let into our folder.
        files[option] = shutil.copy(tmp_path / name, postgres_server.folder)
        Path(files[option]).chmod(0o644)
    pooler = PgBouncer(postgres_server, client_tls_sslmode="require", **{name: str(at) for name, at in files.items()})
    yield pooler
    pooler.close()


def told(url: str, options: str) -> str:
    """What is said of a database that cannot be used."""
    with pytest.raises(Away) as caught:
        database_versions(database_url(f"{url}?{options}"))
    return str(caught.value).partition("?")[2].partition(" ")[2]


@pytest.mark.parametrize(
    ("host", "options", "what", "mend"),
    [
        (HOST, "sslmode=disable", "speaks TLS alone", "add ?sslmode=verify-full&sslrootcert="),
        (HOST, "sslmode=verify-full&sslrootcert={there}/other/ca.pem", "shows a certificate that is not", "of the CA"),
        (HOST, "sslmode=verify-full&sslrootcert=system", "shows a certificate that is not trusted", "of the CA"),
        (
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert={there}/ca.pem",
            "shows a certificate for another host",
            "as the",
        ),
        (HOST, "sslmode=verify-full&sslrootcert={there}/none.pem", "cannot be trusted without", "sslrootcert=system"),
        (HOST, "sslmode=verify-full&sslrootcert={there}/server.key", "cannot be trusted without", "a file in PEM"),
        (
            HOST,
            "sslmode=require&sslcert={there}/server.pem&sslkey={there}/none",
            "does not take this client's",
            "sslkey",
        ),
        (HOST, "sslmode=require&sslnegotiation=direct", "cannot be asked over TLS", "that begin with ssl"),
    ],
)
def test_why_tls_cannot_be_spoken(
    secured: PgBouncer, postgres_url: str, tmp_path: Path, host: str, options: str, what: str, mend: str
) -> None:
    url = secured.url(postgres_url).replace("127.0.0.1", host)
    said = told(url, options.format(there=tmp_path))
    assert (said.startswith(what), mend in said, "start it" in said) == (True, True, False), said


def test_with_what_the_mends_say_it_is_used(secured: PgBouncer, postgres_url: str, tmp_path: Path) -> None:
    url = secured.url(postgres_url).replace("127.0.0.1", HOST)
    for options in ("sslmode=require", f"sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"):
        assert database_versions(database_url(f"{url}?{options}")).present is not None


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("sslmode=require", "does not speak TLS (connection failed"),
        ("require_auth=scram-sha-256", "cannot be asked as DATABASE_URL says"),
        ("target_session_attrs=standby", "cannot be asked as DATABASE_URL says"),
        ("hostaddr=nowhere", "cannot be asked as DATABASE_URL says"),
    ],
)
def test_what_a_url_asks_for_and_the_server_has_not(
    pgbouncer: PgBouncer, postgres_url: str, options: str, what: str
) -> None:
    said = told(pgbouncer.url(postgres_url), options)
    assert (said.startswith(what), "start it" in said) == (True, False), said
