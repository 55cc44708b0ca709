"""What Bandwidth's error codes say, from its page of errors. Most come after the 201, in an order that has failed.

    5005 5017 5018 5071        taken, or not Bandwidth's;  5002 5070 5072 5093   no number;  5524   rate centre closed
    5000 5012 5094 5007        locked, or its capacity is used up;  5011 5222 5051 5183 5257   not enabled, not allowed
    5016 5020 5022 5023        sub-account or location: our configuration
    5003 5019 5086 5218        failed, pending, timed out, already in another order: our reading is a doubt, whatever
                               the text says, for the other order may be our own
    4000 to 4026               a search that cannot be made;  5040 to 5047   a reservation (`reservations`)

A code that does not stand here goes by its status, and none counts beside a status that may have been executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.outcomes import OutcomeKind
from tasks.providers.transport.answers import MAX_RETRY_AFTER, fields, http_date, retry_after
from tasks.providers.transport.classify import Said, by_code, kind_of
from tasks.providers.transport.xml import many

REFUSED = ("5005", "5017", "5018", "5071", "5002", "5070", "5072", "5093", "5524")
_ACCOUNT = (
    *("5000", "5012", "5094", "5007", "5011", "5222", "5051", "5183", "5257"),
    *("5016", "5020", "5022", "5023"),
)
_BY_CODE = {
    **dict.fromkeys(REFUSED, OutcomeKind.REFUSED),
    **dict.fromkeys(_ACCOUNT, OutcomeKind.ACCOUNT),
    **dict.fromkeys(("5003", "5019", "5086", "5218"), OutcomeKind.UNKNOWN),
}
judge = by_code(_BY_CODE)
"""The outcome of an answer outside 2xx."""

_RESET = "x-ratelimit-reset"


def judge_login(status: int, said: Said) -> OutcomeKind:
    """The outcome of a token that was not given: no 4xx of it is about a number."""
    kind = kind_of(status, said)
    return OutcomeKind.ACCOUNT if kind is OutcomeKind.REFUSED else kind


def errors(root: Any) -> list[Mapping[str, Any]]:
    """The entries {Code, Description, TelephoneNumber} of an ErrorList, and the Error of a search, which has none."""
    told = fields(root)
    found = [*many(fields(told.get("ErrorList")).get("Error")), *many(told.get("Error"))]
    return [error for error in found if isinstance(error, dict)]


def read_said(body: Any) -> Said:
    """What an error's body says: the ErrorList below its root, or the ResponseStatus of a reservation."""
    found = [error for root in fields(body).values() for error in (*errors(root), *_status(root))][:10]
    codes, parts = ([one[key] for one in found if isinstance(one.get(key), str)] for key in ("Code", "Description"))
    return Said(codes=tuple(dict.fromkeys(codes)), parts=tuple(dict.fromkeys(parts)))


def _status(root: Any) -> list[Mapping[str, Any]]:
    told = fields(fields(root).get("ResponseStatus"))
    return [{**told, "Code": told["ErrorCode"]}] if "ErrorCode" in told else []


def wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a 429: Retry-After where there is one, else until X-RateLimit-Reset.

    That is an epoch in seconds, and is compared with the answer's own Date: our clock may be wrong. Nothing says that
    other answers have it, nor how many calls are left: so nothing slows down before a 429.
    """
    told, text = retry_after(headers), headers.get(_RESET, "").strip()
    if told is not None or not (text.isascii() and text.isdecimal() and len(text) <= 12):
        return told
    date = http_date(headers.get("date", ""))
    return None if date is None else min(max(float(text) - date.timestamp(), 0.0), MAX_RETRY_AFTER)
