"""What may be shown of a server's URL, and of what others say about it: whatever might be a secret is hidden."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from schemas.regular_file import read_regular

HIDDEN = "***"
URL_VARIABLES = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")

# Greedy up to the last @, an encoded one too, and the scheme at most once: a password that was not encoded, or whose @
# was, is hidden whole. What stands before the first colon is a user; without a colon it may be the password.
_USERINFO = re.compile(r"^((?:[\w+.-]*:?//)?+)(?:([^:/?#@%]*):)?(.*)(?:@|%(?:25)*40)", re.DOTALL | re.IGNORECASE)
_AT = re.compile(r"@|%(?:25)*40")
_OWN = re.compile(r"[,;]|//")
_OPTION = re.compile(r"(?<=[?&])([^=&#]*)=([^&]*)")
_SECRET_OPTION = re.compile(r"pass|pwd|secret|token|scram", re.IGNORECASE)


def redacted(url: str) -> str:
    """*url* with what may be a secret as `***`, for messages and logs; takes broken URLs too."""
    # The path of a file may hold an @.
    shown = url if url.startswith("sqlite:///") else _USERINFO.sub(_without_userinfo, url)
    return _OPTION.sub(_without_secret, shown)


def cleaned(text: str, *urls: str) -> str:
    """*text*, which others wrote about *urls*, without their secrets: a driver names the user, and parts of a URL.

    Not for words of ours: a lone user may be a password, and is `dialstock` or `start` as well.
    """
    return _without(text, (secret for url in urls for secret in (*_secrets(url), *_lone_user(url))))


def cleaning(url: str) -> Callable[[str], str]:
    """`cleaned` for what is said of *url*."""
    return lambda text: cleaned(text, url)


def cleaned_of_settings(text: str, environ: Mapping[str, str] | None = None) -> str:
    """*text* of others without the secrets of the URLs in the environment, whether these can be used or not."""
    return cleaned(text, *_urls(os.environ if environ is None else environ))


def ours(text: str, environ: Mapping[str, str] | None = None) -> str:
    """*text* of ours, in which a lone user is a word like others, without what surely is a secret."""
    urls = _urls(os.environ if environ is None else environ)
    return _without(text, (secret for url in urls for secret in _secrets(url)))


def _without(text: str, secrets: Iterable[str]) -> str:
    forms = {form for secret in secrets for form in (secret, unquote(secret))} - {"", HIDDEN}
    for form in sorted(forms, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", HIDDEN, text)
    return text


def _without_userinfo(found: re.Match[str]) -> str:
    scheme, user, _ = found.groups()
    return f"{scheme}{HIDDEN}@" if user is None else f"{scheme}{user}:{HIDDEN}@"


def _without_secret(found: re.Match[str]) -> str:
    name, value = found.groups()
    return f"{name}={HIDDEN if _SECRET_OPTION.search(unquote(name)) else value}"


def _lone_user(url: str) -> Iterator[str]:
    """What stands before the @ without a colon, and may be a password."""
    if (found := _userinfo(url)) and found[2] is None:
        yield from _parts(found[3])


def _secrets(url: str) -> Iterator[str]:
    """What surely is one."""
    if found := _userinfo(url):
        yield from _parts(found[3]) if found[2] is not None else ()
        if found[1].lower().startswith("sentinel"):
            # Each of a list may have been given its own.
            yield from (_OWN.split(part)[-1].rpartition(":")[2] for part in _AT.split(found[3])[1:])
    for name, value in _OPTION.findall(url):
        if _SECRET_OPTION.search(unquote(name)):
            yield value


def _userinfo(url: str) -> re.Match[str] | None:
    # The path of a file may hold an @.
    return None if url.lower().startswith("sqlite:///") else _USERINFO.match(url)


def _parts(secret: str) -> Iterator[str]:
    """The secret, and what it may be: which @ ends it cannot always be told."""
    yield secret
    yield from (secret[: at.start()] for at in _AT.finditer(secret))


def _urls(environ: Mapping[str, str]) -> Iterator[str]:
    for name in URL_VARIABLES:
        yield environ.get(name, "").strip()
        try:
            yield read_regular(Path(environ.get(f"{name}_FILE", "").strip() or os.devnull)).decode().strip()
        except (OSError, UnicodeDecodeError, ValueError):
            continue
