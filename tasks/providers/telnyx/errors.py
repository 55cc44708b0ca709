"""What Telnyx's error codes say of a purchase, from its page 'API error codes'.

Only for 85000 a status is known, 422. A code that does not stand here goes by its status, and none counts beside a
status that may have been executed. 10012, a duplicate, is not said to be a number of ours: it goes by its status, too.

    85000                      no recent search of ours has shown the number
    85001 85006                taken, reserved;  10002 10016   no number
    10009 10010 20001-20008    credentials and rights;  20012-20017   the account is inactive, blocked, not verified
    10038 10039 20100          feature, account limit, funds;  85004 85005   connection or messaging profile of ours
    10011                      too many requests
    10007 10008 10036 10037    unexpected, timed out, in process, unavailable: our reading is a doubt
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from schemas.outcomes import Outcome, OutcomeKind, clip
from tasks.providers.transport.answers import header_seconds, retry_after
from tasks.providers.transport.classify import by_code

_BY_CODE = {
    **dict.fromkeys(("85000", "85001", "85006", "10002", "10016"), OutcomeKind.REFUSED),
    **dict.fromkeys(("10009", "10010", *(f"2000{n}" for n in range(1, 9))), OutcomeKind.ACCOUNT),
    **dict.fromkeys((*(f"2001{n}" for n in range(2, 8)), "10038", "10039", "20100"), OutcomeKind.ACCOUNT),
    **dict.fromkeys(("85004", "85005"), OutcomeKind.ACCOUNT),
    "10011": OutcomeKind.THROTTLED,
    **dict.fromkeys(("10007", "10008", "10036", "10037"), OutcomeKind.UNKNOWN),
}
judge = by_code(_BY_CODE)
"""The outcome of an answer outside 2xx."""

_MENDS = {
    "85000": "a search has to show it right before: try again",
    "85004": "correct connection_id in the provider's table of providers.toml, or in the request's options",
    "85005": "correct messaging_profile_id in the provider's table of providers.toml, or in the request's options",
}
_WORDS = 250
"""Characters of the provider's own sentence, where a mend follows it."""


def wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a 429: Retry-After where there is one, else x-ratelimit-reset, which counts seconds."""
    told = retry_after(headers)
    return header_seconds(headers, "x-ratelimit-reset") if told is None else told


def limits(headers: Mapping[str, str]) -> float | None:
    """Seconds until there are calls left again, where x-ratelimit-remaining says that there are none."""
    none_left = headers.get("x-ratelimit-remaining", "").strip() == "0"
    return header_seconds(headers, "x-ratelimit-reset") if none_left else None


def with_mend(outcome: Outcome) -> Outcome:
    """*outcome* with what to do about it."""
    mend = _MENDS.get(outcome.error_code or "")
    return outcome if mend is None else replace(outcome, error=clip(f"{clip(outcome.error, _WORDS)}: {mend}"))
