"""TimePay, page 'Buy Numbers' of its agents API.

POST /api/v1/numbers/buyNumbers takes an array of {number, provider}, digits without the plus, and answers a result
for each number. The page gives no maximum, and no call that shows owned numbers is documented: a doubtful batch
could not be settled, so one number goes in a call. Statuses beside 200 (207 is seen on a sister endpoint) are read
item by item all the same. The header x-org-id is known from a third-party client only.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from schemas.numbering.numbers import digits_only
from schemas.outcomes import Candidate, Check, Look, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery, Unsupported
from tasks.providers.timepay.config import TimePayConfig
from tasks.providers.transport.answers import entries, fields, same_number
from tasks.providers.transport.http import Answer, ssl_context
from tasks.providers.transport.session import Session

BUY = "/api/v1/numbers/buyNumbers"


class TimePay:
    """One TimePay organization."""

    lookup: ClassVar[LookupWay] = "none"
    can_search: ClassVar[bool] = False
    max_batch: ClassVar[int] = 25
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = False

    def __init__(self, config: TimePayConfig, token: str) -> None:
        headers = {"x-org-id": config.org_id} if config.org_id else {}
        self._config = config
        self._session = Session("TimePay", config, token=token, scheme="Bearer", headers=headers)

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Nothing to prepare."""
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """One call for all *asks*; each outcome is its item's."""
        body = [{"number": digits_only(ask.number), "provider": self._config.telephony_provider} for ask in asks]
        answer = self._session.purchase(BUY, body, len(asks), its_own=_is_its_own)
        if isinstance(answer, Outcome):
            return [answer] * len(asks)
        return [self._item(answer, ask.number) for ask in asks]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:  # noqa: ARG002 - the protocol's name
        """Raises Unsupported: TimePay documents no list of owned numbers."""
        raise Unsupported("TimePay documents no look-up of owned numbers: see its dashboard, then settle by hand")

    def search(self, query: SearchQuery) -> list[Candidate]:  # noqa: ARG002 - the protocol's name
        """Raises Unsupported: TimePay documents no search."""
        raise Unsupported("TimePay documents no search: choose numbers in its dashboard")

    def owned(self) -> Iterator[OwnedNumber]:
        """Raises Unsupported: TimePay documents no list of owned numbers."""
        raise Unsupported("TimePay documents no list of owned numbers: see its dashboard")

    def check(self) -> list[Check]:
        """Only that base_url can be reached: TimePay documents no call that costs nothing."""
        message = "cannot be proved without buying: TimePay documents no call that costs nothing"
        return [self._reach(), Check(name="token", ok=None, message=message)]

    def _item(self, answer: Answer, number: str) -> Outcome:
        items = [item for item in entries(fields(answer.body).get("data")) if same_number(item.get("number"), number)]
        if len(items) != 1:
            code = "item_missing" if not items else "item_repeated"
            return self._session.unsettled(answer, code, f"{len(items)} results for {number}")
        return self._result(answer, items[0], number)

    def _result(self, answer: Answer, item: Mapping[str, Any], number: str) -> Outcome:
        said = self._session.said(item)
        if item.get("success") is True and not item.get("error"):
            # Each item speaks for itself, whatever the whole says of others.
            return self._session.yes(replace(answer, body=item), None)
        if item.get("success") is False and not said.tells_of_a_doubt:
            if said.tells_of_account:
                return self._session.refusal(answer, said, OutcomeKind.ACCOUNT, code="account_refused")
            return self._session.refusal(answer, said, OutcomeKind.REFUSED, code="item_refused")
        return self._session.unsettled(answer, "item_unclear", f"a result for {number} that is neither yes nor no")

    def _reach(self) -> Check:
        base_url = self._config.base_url
        try:
            self._connect()
        except OSError as exc:
            return Check(name="connection", ok=False, message=f"{base_url} cannot be reached: {exc}: check base_url")
        return Check(name="connection", ok=True, message=f"{base_url} can be reached")

    def _connect(self) -> None:
        parts = urlsplit(self._config.base_url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        address = (host, parts.port or (443 if secure else 80))
        with socket.create_connection(address, self._config.policy.connect_timeout) as plain:
            if secure:
                ssl_context().wrap_socket(plain, server_hostname=host).close()


def _is_its_own(answer: Answer) -> bool:
    """Whether a refusal is the page's: {success: false}, and no item beside that may have been bought.

    Nobody can ask TimePay afterwards, so what a gateway says beside 403 or 404 is no word that nothing was.
    """
    body = fields(answer.body)
    return body.get("success") is False and all(item.get("success") is False for item in entries(body.get("data")))
