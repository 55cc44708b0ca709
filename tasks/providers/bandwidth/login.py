"""Bandwidth's access tokens: OAuth 2.0 client credentials (RFC 6749, 4.4), whose answer is JSON.

A token is fetched as a reading call, in its turn, kept until shortly before it expires, and fetched anew after a 401.
It is told in no text: what goes out with it is a `Session` of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic as steady
from typing import Any

from schemas.config.errors import ConfigError
from schemas.outcomes import Outcome, OutcomeKind
from tasks.providers.adapter import ProviderError
from tasks.providers.bandwidth.config import BandwidthConfig
from tasks.providers.bandwidth.errors import judge, judge_login, read_said, wait
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session, basic

TOKEN = "/api/v1/oauth2/token"  # noqa: S105 - a path
LIFETIME = 300.0
"""Seconds that a token is used whose answer does not say how long it lives: our choice."""

SHORTEST = 10.0
"""Seconds that a token has to live to buy with: half of them cover the wait for a call's slot. Our choice."""

_MARGIN = 30.0
_LONGEST = 86_400.0


@dataclass(frozen=True)
class _Present:
    session: Session
    until: float
    lives: float


class Login:
    """One API credential, from any thread: two that need a token at once fetch two, and either will do."""

    def __init__(self, config: BandwidthConfig, secret: str) -> None:
        credential = basic(config.client_id, secret)
        self._config = config
        self._secrets = (secret, credential)
        self._basic = Session(
            "Bandwidth", config, token=secret, scheme="Basic", credential=credential, judge=judge_login, wait=wait
        )
        self._present: _Present | None = None

    def present(self) -> Session | None:
        """The session of a token that lives longer than a call, if any does; None where there is none."""
        present = self._present
        return present.session if present and steady() < present.until else None

    def session(self) -> Session:
        """The same, with a new token where there is none. Raises ProviderError."""
        return self.present() or self._fetch()

    def require_lasting(self) -> None:
        """Have a token at hand that a call to buy can wait with. Raises ProviderError.

        One that does not live so long is of no use, and the next is no better: nothing is bought until that is mended.
        """
        self.session()
        present = self._present
        if present is not None and present.lives < SHORTEST:
            raise ProviderError(_too_short(present.lives))

    def drop(self, session: Session) -> None:
        """Use *session*'s token no more: it was refused."""
        if self._present and self._present.session is session:
            self._present = None

    def read(
        self, path: str, params: dict[str, Any] | None = None, *, method: str = "GET", xml: bytes | None = None
    ) -> Answer:
        """One exchange that buys nothing, whatever its status; once more with a new token where an old one is refused.

        It takes its turn among the reading calls.
        """
        session = self.present()
        if session is not None:
            answer = session.exchange(method, path, params=params, xml=xml)
            if answer.status != 401:
                return answer
            self.drop(session)
        return self._fetch().exchange(method, path, params=params, xml=xml)

    def require(self, answer: Answer) -> Answer:
        """*answer* where it is a 2xx. Raises ProviderError with what else it comes to."""
        session = self.session()
        if answer.status == 401:
            self.drop(session)
        return session.require(answer)

    def _fetch(self) -> Session:
        answer = self._basic.require(self._basic.exchange("POST", TOKEN, form={"grant_type": "client_credentials"}))
        body = fields(answer.body)
        token, lives = body.get("access_token"), body.get("expires_in")
        told = isinstance(lives, int | float) and not isinstance(lives, bool)
        seconds = min(float(lives or 0), _LONGEST) if told else LIFETIME
        if not isinstance(token, str) or not token:
            raise ProviderError(_no_token("with no access token"))
        session = self._with_token(token)
        spare = _MARGIN + self._config.policy.timeout
        self._present = _Present(session, steady() + max(seconds - spare, seconds / 2), seconds)
        return session

    def _with_token(self, token: str) -> Session:
        try:
            return Session(
                "Bandwidth",
                self._config,
                token=token,
                scheme="Bearer",
                judge=judge,
                wait=wait,
                said=read_said,
                xml=True,
                hides=self._secrets,
            )
        except ConfigError:
            raise ProviderError(_no_token("with a token that no header can carry")) from None


def _too_short(seconds: float) -> Outcome:
    error = (
        f"Bandwidth's access tokens live {seconds:g} s (expires_in), and a call to buy needs one of {SHORTEST:g} s or "
        "more: have Bandwidth look at the API credential"
    )
    return Outcome(kind=OutcomeKind.ACCOUNT, error_code="short_token", error=error, http_status=200)


def _no_token(what: str) -> Outcome:
    # Without the answer's words, which may hold the token.
    error = f"Bandwidth answered HTTP 200, but {what}"
    return Outcome(kind=OutcomeKind.UNKNOWN, error_code="no_token", error=error, http_status=200)
