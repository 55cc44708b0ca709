"""What an answer that is no success means: one table for all providers.

    429                                        throttled
    400 404 409 422                            refused
    401 402 403                                account
    4xx whose body tells of balance, quota or credentials   account: the body beats the status
    400 404 409 422 whose body tells of a time-out, or an error on the way   unknown
    everything else: 5xx, 3xx, 408, unnamed    unknown

The catalogue names are those of SignalWire's page 'Error codes'. The others document no codes for these cases
(Bird's 'Common API usage' only says that 'not enough balance' is a 4xx), so their messages are read, by a few
phrases that say so plainly: a false alarm pauses a whole provider, a miss costs one number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.outcomes import OutcomeKind
from tasks.providers.transport.answers import entries, fields

ACCOUNT_CODES = frozenset({"insufficient_balance", "account_limit_exceeded", "auto_top_up_deactivated"})
THROTTLE_CODES = frozenset({"rate_limit_exceeded"})

_REFUSED = frozenset({400, 404, 409, 422})
_ACCOUNT = frozenset({401, 402, 403})
_MAX_PARTS = 10
# Longer than what is kept of it: a secret is never cut here, where it could no longer be recognised.
_MAX_PART = 4_000

_MONEY = r"(?:balance|funds?|credits?)"
_LIMIT = r"(?:quota|(?:account|project|plan|spending|credit|phone numbers?) limit)"
_SECRET = r"(?:api key|access key|(?:api|access|auth|bearer) token|credentials?|authorization header)"  # noqa: S105 - words, no secret
_PHRASES = (
    rf"(?:insufficient|not enough|out of)(?: \w+){{0,2}} {_MONEY}",
    rf"{_MONEY} (?:(?:is|are|has been) )?(?:too low|insufficient|not sufficient|exhausted|depleted|used up)",
    rf"{_LIMIT} (?:(?:is|was|has been) )?(?:exceeded|reached|exhausted)",
    rf"(?:exceed|exceeds|exceeded|reached) (?:(?:the|your|its|this) )?(?:\w+ ){{0,2}}{_LIMIT}",
    rf"(?:invalid|expired|revoked|incorrect|missing) {_SECRET}",
    rf"{_SECRET} (?:(?:is|are|has|was|been) ){{0,2}}(?:invalid|expired|revoked|incorrect|missing|disabled)",
    r"(?:invalid|expired) token",
    r"authentication (?:failed|required)|not authenticated|unauthenticated",
    r"account (?:(?:is|was|has been) )?(?:suspended|disabled|deactivated|frozen|past due)",
    r"payment required",
)
_TELLS = re.compile(rf"\b(?:{'|'.join(_PHRASES)})\b")
_ON_THE_WAY = re.compile(
    r"\b(?:e?timed? ?out|socket hang up|econn(?:reset|aborted)|connection (?:was )?(?:reset|aborted|closed)"
    r"|bad gateway|service (?:is )?(?:temporarily )?unavailable|(?:unexpected|internal) (?:server )?error)\b"
)
# On its own it is about us; inside a sentence it may be about the number.
_UNAUTHORIZED = re.compile(r"unauthori[sz]ed(?: (?:access|request|user))?")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the provider says in an error's body: its codes and its sentences, as they came, but bounded."""

    codes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def text(self) -> str | None:
        """All sentences in one."""
        return ": ".join(self.parts) or None

    @property
    def tells_of_account(self) -> bool:
        """Whether balance, quota or credentials are the reason."""
        names = {snake(code) for code in self.codes}
        return bool(names & ACCOUNT_CODES) or any(tells_of_account(part) for part in (*self.codes, *self.parts))

    @property
    def tells_of_a_doubt(self) -> bool:
        """Whether something went wrong on the way, which is no word that nothing was executed."""
        return any(_ON_THE_WAY.search(_words(part)) for part in self.parts)


def read_said(body: Any) -> Said:
    """Read the error bodies of the first five pages.

    TimePay {success, error, message}; Fluents {message, error, statusCode}; SignalWire {error} and
    {errors: [{code, title, detail}]}; Bird {code, message}. `message` may be a list, as in Fluents' framework.
    """
    levels = [fields(body), *entries(fields(body).get("errors"))[:_MAX_PARTS]]
    codes = [code for level in levels for code in _texts(level.get("code"))]
    parts = [
        part for level in levels for key in ("error", "title", "message", "detail") for part in _texts(level.get(key))
    ]
    return Said(codes=tuple(dict.fromkeys(codes)), parts=tuple(dict.fromkeys(parts)))


def kind_of(status: int, said: Said) -> OutcomeKind:
    """The outcome of an answer outside 2xx, by the table above."""
    names = {snake(code) for code in said.codes}
    client_error = 400 <= status < 500 and status != 408
    if client_error and names & ACCOUNT_CODES:
        return OutcomeKind.ACCOUNT
    if status == 429 or (client_error and names & THROTTLE_CODES):
        return OutcomeKind.THROTTLED
    if status in _ACCOUNT or (client_error and said.tells_of_account):
        return OutcomeKind.ACCOUNT
    return OutcomeKind.REFUSED if status in _REFUSED and not said.tells_of_a_doubt else OutcomeKind.UNKNOWN


def by_code(codes: Mapping[str, OutcomeKind]) -> Callable[[int, Said], OutcomeKind]:
    """What an answer outside 2xx means where *codes* are documented: its first one that is, else its status.

    A doubt among them comes first. No code counts beside a status that may have been executed, or asks to slow down.
    """

    def judge(status: int, said: Said) -> OutcomeKind:
        kind = kind_of(status, said)
        if kind in (OutcomeKind.UNKNOWN, OutcomeKind.THROTTLED):
            return kind
        kinds = [codes[code] for code in said.codes if code in codes]
        return OutcomeKind.UNKNOWN if OutcomeKind.UNKNOWN in kinds else next(iter(kinds), kind)

    return judge


def tells_of_account(text: str) -> bool:
    """Whether one sentence or code says that balance, quota or credentials are the reason."""
    words = _words(text)
    return bool(_TELLS.search(words) or _UNAUTHORIZED.fullmatch(words))


def _words(text: str) -> str:
    return snake(text, limit=len(text) * 2).replace("_", " ")


def error_code(status: int, said: Said) -> str:
    """A short stable word: the provider's own code where it has one, else 'http_422'.

    SignalWire is known to repeat the status as code, which says nothing.
    """
    own = next((name for code in said.codes if (name := snake(code)) and name != str(status)), None)
    return own or f"http_{status}"


def snake(text: str, limit: int = 64) -> str:
    """*text* in lower case with single underscores: 'NotEnoughBalance' becomes 'not_enough_balance'."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")[:limit]


def _texts(value: Any) -> Iterator[str]:
    for item in value[:_MAX_PARTS] if isinstance(value, list) else [value]:
        if isinstance(item, int) and not isinstance(item, bool):
            yield str(item)
        elif isinstance(item, str) and item.strip():
            yield item[:_MAX_PART]
