"""TLS to Redis: what a rediss:// URL may say of it, and how to mend a certificate that was refused.

redis-py and kombu each read the URL for themselves: options that they would not both understand are refused.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

_SWITCHES = {"ssl_cert_reqs": ("required", "none"), "ssl_check_hostname": ("true", "false")}
_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", *_SWITCHES)

# OpenSSL's X509_V_ERR_*: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NO_ISSUER = {2, 18, 19, 20, 21}
_OTHER_HOST = {62, 64}


SECURE = ("rediss", "sentinels")
"""The schemes that speak TLS."""


def check_options(scheme: str, query: str, further: Sequence[str] = ()) -> None:
    """Raise ValueError where the options of a Redis URL cannot be used: says why, and how to mend it.

    *further* are those that may stand there too, and are not in *query*.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    # Not shown: what is no option may be a part of a password.
    if not {name for name, _ in pairs} <= set(_OPTIONS):
        raise ValueError(f"only these options may stand in it: {', '.join((*further, *_OPTIONS))}")
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("an option stands in it twice: keep one of them")
    if options and scheme not in SECURE:
        raise ValueError(f"its options are for TLS: write {scheme}s://, or take them out")
    for name, allowed in _SWITCHES.items():
        if options.get(name, allowed[0]) not in allowed:
            raise ValueError(f"{name} is {options[name]!r}: write {' or '.join(allowed)}")
    _check_files(options)


def broker_options(url: str) -> dict[str, Any] | None:
    """Celery's `broker_use_ssl` for *url*; kombu verifies no certificate of rediss:// unless it is told to."""
    # A list of sentinels has more than urlsplit takes for a host.
    scheme, query = url.partition(":")[0], url.partition("?")[2]
    return of_query(query) if scheme in SECURE else None


def of_query(query: str) -> dict[str, Any]:
    """redis-py's options of TLS, from those of a URL."""
    options = {name: value for name, value in parse_qsl(query) if name in _OPTIONS}
    check_hostname = options.get("ssl_check_hostname") != "false"
    return {"ssl_cert_reqs": "required", **options, "ssl_check_hostname": check_hostname}


def is_unverified(url: str) -> bool:
    """Whether *url* asks for TLS without a look at the certificate, or at the host that it names."""
    options = broker_options(url)
    return options is not None and not (options["ssl_cert_reqs"] == "required" and options["ssl_check_hostname"])


def refusal(exc: BaseException | None) -> str | None:
    """Why the certificate was refused that *exc* comes from, and how to mend it; None where that was not it."""
    while exc is not None and not isinstance(exc, ssl.SSLCertVerificationError):
        exc = exc.__cause__ or exc.__context__
    if exc is None:
        return None
    return f"{exc.verify_message.rstrip('.')}: {_mend(exc.verify_code)}"


def _mend(code: int) -> str:
    if code in _NO_ISSUER:
        return "name the file of the CA that signed it in the URL, like rediss://...?ssl_ca_certs=/path/to/ca.pem"
    if code in _OTHER_HOST:
        return "write the host in the URL as the certificate names it"
    return "the server needs another certificate"


def _check_files(options: Mapping[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca, certificate, key = (options.get(name) for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
    for file in filter(None, (ca, certificate, key)):
        if Path(file).is_fifo():
            raise ValueError(f"{file} is a pipe, and has to be a regular file")
    try:
        if ca is not None:
            context.load_verify_locations(ca)
    except OSError as exc:
        raise ValueError(f"ssl_ca_certs names {ca}, which is no file of certificates in PEM: {exc}") from exc
    if key is not None and certificate is None:
        raise ValueError("ssl_keyfile needs the certificate of that key: name it with ssl_certfile")
    try:
        if certificate is not None:
            # A password would be asked for at the terminal.
            context.load_cert_chain(certificate, key, password="")
    except OSError as exc:
        where = " and ".join(filter(None, (certificate, key)))
        raise ValueError(f"{where} are no certificate and its key in PEM, without a password: {exc}") from exc
