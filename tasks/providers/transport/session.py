"""One account's way to its provider: HTTP exchanges, and the outcomes that they come to, free of secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from schemas.config.errors import ConfigError
from schemas.config.provider import ProviderConfig
from schemas.outcomes import BATCH_REFUSED, WRONG_NUMBER, Outcome, OutcomeKind, clip
from tasks.providers.adapter import Ask, ProviderError
from tasks.providers.transport import answers
from tasks.providers.transport.answers import fields
from tasks.providers.transport.classify import Said, error_code, kind_of, read_said
from tasks.providers.transport.deadline import bounded, present_bounds
from tasks.providers.transport.freshness import Dates, kept
from tasks.providers.transport.http import Answer, Body, ExchangeError, HttpClient, NotSent
from tasks.providers.transport.turns import take_turn, tell

MOST_TOLD = 60.0
"""Seconds: the longest that an answer which is no 429 holds calls back: one that is wrong costs no more, and after one
that is right a 429 says the rest."""

_SENTENCES = {
    OutcomeKind.REFUSED: "refused the request",
    OutcomeKind.COMPLIANCE: "needs papers that are missing",
    OutcomeKind.ACCOUNT: "refused the account",
    OutcomeKind.THROTTLED: "asks to slow down",
    OutcomeKind.UNKNOWN: "gave an answer that settles nothing",
}


class Session:
    """Calls one provider under one account, from any thread.

    `scheme` and `credential` make up the Authorization header; `token` is what must never show up in a text. `judge`
    tells what an answer outside 2xx means, where the kind documents codes of its own; `wait` what the headers of a 429
    say, in seconds; `limits` in how many seconds there are calls left again, as those of another answer say, None
    where there are some; `said` what an error's body says. With `xml` answers are XML (`transport.xml`). `hides` are
    further secrets that no text may show.
    Raises ConfigError for a token that no header can carry.
    """

    def __init__(
        self,
        name: str,
        config: ProviderConfig,
        *,
        token: str,
        scheme: str,
        credential: str | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Callable[[int, Said], OutcomeKind] = kind_of,
        wait: Callable[[Mapping[str, str]], float | None] = answers.retry_after,
        limits: Callable[[Mapping[str, str]], float | None] = lambda _: None,
        said: Callable[[Any], Said] = read_said,
        xml: bool = False,
        hides: Sequence[str] = (),
    ) -> None:
        credential = credential or token
        sent = {"Authorization": f"{scheme} {credential}", **(headers or {})}
        for header, value in sent.items():
            if not (value.isascii() and value.isprintable()):
                raise ConfigError(f"{name}: {header} has characters that no header can carry: check the token")
        self.name = name
        self.base_url = config.base_url
        self._secrets = _spellings(token, credential, *hides)
        self._judge = judge
        self._wait = wait
        self._limits = limits
        self._read_said = said
        policy = config.policy
        self._dates = Dates(policy.timeout)
        self._http = HttpClient(
            config.base_url, sent, connect_timeout=policy.connect_timeout, timeout=policy.timeout, xml=xml
        )

    def exchange(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        xml: bytes | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One reading exchange in its turn, and again after a 429 that the turn waits for; else whatever its status.

        Raises ProviderError where no whole answer came, for a 429 that is not waited for, and what the turn and its
        gate raise.
        """
        body = Body(json=json, form=form, xml=xml)
        throttled: ProviderError | None = None
        while True:
            with bounded(replace(present_bounds(), gate=take_turn(throttled))):
                answer = self._send(method, path, body, params)
            throttled = self._refused(answer)
            if throttled is None or throttled.outcome.kind is not OutcomeKind.THROTTLED:
                return answer

    def call(self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None) -> Answer:
        """One reading exchange that must succeed. Raises ProviderError for anything outside 2xx."""
        return self.require(self.exchange(method, path, json=json, params=params))

    def require(self, answer: Answer) -> Answer:
        """*answer* where it is a 2xx. Raises ProviderError with what else it comes to."""
        if refused := self._refused(answer):
            raise refused
        return answer

    def purchase(
        self,
        path: str,
        body: Any = None,
        count: int = 1,
        *,
        form: Mapping[str, str] | None = None,
        xml: bytes | None = None,
        its_own: Callable[[Answer], bool] = lambda _: True,
    ) -> Answer | Outcome:
        """Post a purchase of *count* numbers, as JSON, a *form* or *xml*: the 2xx answer, or the outcome that it has
        for each of them. *its_own* says of a refusal whether it is the provider's, where only such a one is a no.

        Its moment is its caller's (`deadline.Bounds`), and it is made once. No page says that a batch which is not
        answered item by item was not executed in part: balance, limit or stock may have ended in the middle of it, so
        each of its numbers is in doubt. Only who is not let in has surely bought nothing.
        """
        try:
            answer = self._send("POST", path, Body(json=body, form=form, xml=xml))
        except ProviderError as exc:
            return exc.outcome
        if (refused := self._refused(answer)) is None:
            return answer
        outcome = refused.outcome
        doubt = replace(outcome, kind=OutcomeKind.UNKNOWN, said=outcome.kind)
        # Not of now, with more behind it, or a gateway's: it may not be what became of the call.
        unsure = answer.flaw is not None or not (outcome.http_status in (401, 429) or its_own(answer))
        if unsure and count == 1:
            return replace(doubt, retry_after=None)
        if outcome.kind is OutcomeKind.UNKNOWN or (not unsure and (count == 1 or outcome.http_status == 401)):
            return outcome
        error = f"{self.name} answered a call of {count} numbers as a whole, and may have sold some: {outcome.error}"
        return replace(doubt, error_code=BATCH_REFUSED, error=clip(error))

    def act(
        self, method: str, path: str, *, form: Mapping[str, str] | None = None, xml: bytes | None = None
    ) -> Answer | Outcome:
        """Make one call that changes something, and buys nothing: the 2xx answer, or what else it comes to.

        Its moment is its caller's (`deadline.Bounds`), and it is made once.
        """
        try:
            return self.require(self._send(method, path, Body(form=form, xml=xml)))
        except ProviderError as exc:
            return exc.outcome

    def record(self, answer: Answer, record: Mapping[str, Any], number: str) -> Outcome:
        """The outcome of a 2xx whose body should be *number*'s record: {id, number}."""
        if not answers.same_number(record.get("number"), number):
            code = WRONG_NUMBER if answers.e164(record.get("number")) else "no_record"
            return self.unsettled(answer, code, f"no record of {number}")
        known = self.identify(record.get("id"))
        if known is None:
            return self.unsettled(answer, "no_record", f"a record of {number} without an id")
        return self.yes(answer, known)

    def yes(self, answer: Answer, known: str | None, kind: OutcomeKind = OutcomeKind.PURCHASED) -> Outcome:
        """The outcome of a 2xx with a record of our number; *known* is the provider's id for it.

        Beside an error it is no yes, and no no.
        """
        body, said = fields(answer.body), self.said(answer.body)
        wrong = body.get("error") or body.get("errors") or {*said.codes} - {str(answer.status)}
        if kind is OutcomeKind.PURCHASED and wrong:
            return self.unsettled(answer, "error_beside", f"a record beside an error: {said.text or said.codes}")
        return self.outcome(kind, known=known, status=answer.status, detail=_whole(answer))

    def refusal(self, answer: Answer, said: Said, kind: OutcomeKind, code: str | None = None) -> Outcome:
        """The outcome of an answer that is a no of some *kind*; *code* in place of its own."""
        reason = f": {said.text}" if said.text else ""
        return self.outcome(
            kind,
            code=code or error_code(answer.status, said),
            error=f"{self.name} {_SENTENCES[kind]} (HTTP {answer.status}){reason}",
            status=answer.status,
            detail=_whole(answer),
            retry_after=self._wait(answer.headers) if kind is OutcomeKind.THROTTLED else None,
        )

    def unsettled(self, answer: Answer, code: str, what: str) -> Outcome:
        """The outcome of a 2xx that does not say what it should; *what* it says instead."""
        return self.outcome(
            OutcomeKind.UNKNOWN,
            code="unreadable_answer" if answer.body is None else code,
            error=f"{self.name} answered HTTP {answer.status}, but with {what}",
            status=answer.status,
            detail=_whole(answer),
        )

    def outcome(
        self,
        kind: OutcomeKind,
        *,
        code: str | None = None,
        error: str | None = None,
        known: str | None = None,
        status: int | None = None,
        detail: str | None = None,
        retry_after: float | None = None,
    ) -> Outcome:
        """An outcome whose texts are bounded and free of secrets."""
        return Outcome(
            kind=kind,
            provider_number_id=self.clean(known),
            error_code=self.clean(code),
            error=self.clean(error),
            http_status=status,
            retry_after=retry_after,
            detail=self.clean(detail),
        )

    def said(self, body: Any) -> Said:
        """What an error's body says, free of secrets."""
        said = self._read_said(body)
        return Said(codes=self._clean_all(said.codes), parts=self._clean_all(said.parts))

    def identify(self, value: Any) -> str | None:
        """A foreign id as text, free of secrets; None for what cannot be one."""
        return self.clean(answers.identifier(value))

    def text(self, value: Any) -> str | None:
        """A foreign text, free of secrets; None for what is none."""
        return self.clean(value) if isinstance(value, str) else None

    def clean(self, text: str | None) -> str | None:
        """*text* without this account's secrets, bounded, on one line."""
        for secret in self._secrets:
            text = text.replace(secret, "***") if text else text
        return clip(text)

    def _clean_all(self, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.clean(text) or "" for text in texts)

    def _send(self, method: str, path: str, body: Body, params: Mapping[str, Any] | None = None) -> Answer:
        try:
            answer = self._http.request(method, path, body, params=params)
        except ExchangeError as exc:
            raise ProviderError(self._failed(exc)) from exc
        dated = self._dates.kept(f"{method} {path} {params}", answer.headers)
        flaw = answer.flaw or kept(answer.headers) or dated
        if flaw is None and answer.status != 429 and (seconds := self._limits(answer.headers)):
            tell(min(seconds, MOST_TOLD))
        return replace(answer, flaw=flaw, asked=f"{self.base_url.rstrip('/')}{path}", params=params or {})

    def _refused(self, answer: Answer) -> ProviderError | None:
        if 200 <= answer.status < 300:
            return None
        said = self.said(answer.body)
        return ProviderError(self.refusal(answer, said, self._judge(answer.status, said)))

    def _failed(self, exc: ExchangeError) -> Outcome:
        if isinstance(exc, NotSent):
            return self.outcome(
                OutcomeKind.NOT_SENT, code=exc.reason, error=f"{self.name} was not reached: nothing was sent: {exc}"
            )
        error = f"{self.name} gave no whole answer, and may have executed the request: {exc}"
        return self.outcome(OutcomeKind.UNKNOWN, code=exc.reason, error=error)


def only(asks: Sequence[Ask]) -> Ask:
    """The one ask of a provider that buys one number in a call. Raises ValueError for more."""
    if len(asks) != 1:
        raise ValueError(f"one number in a call, not {len(asks)}: this provider knows no batch")
    return asks[0]


def basic(user: str, secret: str) -> str:
    """The credential of HTTP's Basic (RFC 7617)."""
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


def _spellings(*secrets: str) -> list[str]:
    # As it is, as JSON writes it, as a URL writes it; the longest first, for one may contain another.
    found = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))}
    return sorted(found - {""}, key=len, reverse=True)


def _whole(answer: Answer) -> str:
    """The body in one spelling, so that a secret has one spelling too."""
    try:
        return answer.text if answer.body is None else json.dumps(answer.body, ensure_ascii=False)
    except RecursionError:
        return answer.text
