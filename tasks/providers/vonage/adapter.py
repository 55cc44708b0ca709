"""Vonage (once Nexmo), its published specification of the Numbers API, and its own client library.

POST /number/buy, a form of `country` and `msisdn` (digits), answers 200 {"error-code": "200", "error-code-label":
"success"}: no number and no id, so by our reading it is a yes for the number that was sent, and its record is looked up
afterwards. Another error-code beside a 2xx is what the client library takes for a failure; it is not documented that
nothing was executed, so we ask. Credentials go as HTTP Basic, as the later specification has it, so that no secret
stands in an address.

GET /account/numbers lists what is ours: pattern with search_pattern 0 finds what begins so. There is neither a date nor
an id in it, so new and old cannot be told apart. POST /number/cancel gives a number back: the same form, the same
answer. GET /account/get-balance tells the balance in EUR; the vendor's guide on payments says that numbers are
cancelled when it is used up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from schemas.config.balances import Balance
from schemas.numbering.numbers import digits_only
from schemas.numbering.regions import told_region
from schemas.outcomes import WRONG_NUMBER, Candidate, Check, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.releasing import ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery
from tasks.providers.reading import lookups
from tasks.providers.reading.balances import balance_in, balance_probe
from tasks.providers.reading.check import Probe, run_probes
from tasks.providers.reading.list_page import Page
from tasks.providers.transport.answers import fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.release import by_digits, release, unsent
from tasks.providers.transport.session import Session, basic, only
from tasks.providers.vonage import offers
from tasks.providers.vonage.config import VonageConfig
from tasks.providers.vonage.errors import CODE, LABEL, judge, read_errors, with_mend
from tasks.providers.vonage.pages import PAGE_SIZE, nothing_found, read_page, where

BUY = "/number/buy"
CANCEL = "/number/cancel"
NUMBERS = "/account/numbers"
BALANCE = "/account/get-balance"
USED_UP = "; where it is used up, Vonage cancels the account's numbers"
FEW = 20
"""Numbers that are asked for one by one: every purchase is looked up, and a list of 100 a page is soon less work."""

_BY_HAND = "cancel it in Vonage's dashboard, then dialstock purchase mark-released"


class Vonage:
    """One Vonage account."""

    lookup: ClassVar[LookupWay] = "by_list"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = False
    keeps_for: ClassVar[tuple[float, ...]] = ()

    def __init__(self, config: VonageConfig, token: str) -> None:
        credential = basic(config.api_key, token)
        self._session = Session(
            "Vonage", config, token=token, scheme="Basic", credential=credential, judge=judge, said=read_errors
        )
        self._low_balance = config.low_balance

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Refuse a number whose country nobody tells: a purchase has to name it, and a wrong one buys nothing."""
        if _country(ask):
            return ask
        return self._session.outcome(
            OutcomeKind.REFUSED,
            code="no_country",
            error=f"the country of {ask.number} cannot be told from it: give it as the option `country`, like US",
        )

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy one number; its record is not in the answer."""
        ask = only(asks)
        form = {"country": _country(ask) or "", "msisdn": digits_only(ask.number)}
        answer = self._session.purchase(BUY, form=form)
        return [with_mend(answer) if isinstance(answer, Outcome) else self._bought(answer, ask.number)]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """List what begins like each number; those that are not there, or many, are looked for in the whole list."""
        found = lookups.look_each(numbers, self._beginning) if len(numbers) <= FEW else {}
        if left := [number for number in numbers if number not in found]:
            found |= lookups.look_list(self._page, left)
        return {number: found[number] for number in numbers}

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        """Cancel it by its digits, which are its id, in the country that the number itself tells."""
        if other := by_digits(self._session, number, number_id):
            return other
        if (country := told_region(number)) is None:
            return unsent("no_country", f"the country of {number} cannot be told from it: {_BY_HAND}")
        form = {"country": country, "msisdn": number_id}
        return release(self._session, CANCEL, number_id, lambda answer: _is_yes(answer, number), form=form)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale with their price in EUR, 100 at most a page."""
        return offers.search(self._session, query)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 100 a page."""
        return lookups.owned(lookups.walk(self._page))

    def check(self) -> list[Check]:
        """List one number, search one for sale, and tell the balance."""
        return run_probes(
            self._session.base_url,
            [
                Probe(
                    name="numbers",
                    call=lambda: self._session.call("GET", NUMBERS, params={"size": 1}).status,
                    proves="numbers are listed: api_key and secret belong together",
                    mend="check api_key and base_url, https://rest.nexmo.com",
                ),
                Probe(
                    name="search",
                    call=lambda: self.search(SearchQuery(limit=1)),
                    proves="numbers for sale are found",
                    mend="check base_url",
                ),
                balance_probe(self.balance, self._low_balance, USED_UP),
            ],
        )

    def balance(self) -> Balance:
        """`value` of the account, a number of JSON, in EUR."""
        answer = self._session.call("GET", BALANCE)
        told = None if answer.body is None else json.loads(answer.text, parse_float=Decimal)
        return balance_in(self._session, answer, fields(told).get("value"), offers.CURRENCY)

    def _bought(self, answer: Answer, number: str) -> Outcome:
        if _is_of_another(answer, number):
            return self._session.unsettled(answer, WRONG_NUMBER, f"a yes that is not for {number}")
        if not _is_yes(answer, number):
            return self._session.unsettled(answer, "no_record", "no yes as documented")
        return self._session.yes(answer, None, OutcomeKind.PROCESSING)

    def _beginning(self, number: str, _known: Known) -> Look | None:
        """What is shown among the numbers that begin like this one; None where it is not."""
        answer = self._list({"pattern": digits_only(number), "search_pattern": offers.BEGINS}, 1)
        if nothing_found(answer):
            return None
        page = replace(read_page(self._session, answer, None), following=None)
        found = lookups.look_through(lookups.walk(lambda _: page), [number])[number]
        return None if found.kind is LookKind.ABSENT else found

    def _page(self, cursor: str | None) -> Page:
        return read_page(self._session, self._list({}, where(cursor)[0]), cursor)

    def _list(self, params: Mapping[str, Any], index: int) -> Answer:
        return self._session.call("GET", NUMBERS, params={**params, "size": PAGE_SIZE, "index": index})


def _is_yes(answer: Answer, number: str) -> bool:
    """Whether a 2xx is the documented yes, and no other number's."""
    body = fields(answer.body)
    label = body.get(LABEL, "success")
    return answer.status == 200 and (body.get(CODE), label) == ("200", "success") and not _is_of_another(answer, number)


def _is_of_another(answer: Answer, number: str) -> bool:
    named = fields(answer.body).get("msisdn")
    return named is not None and not same_number(named, number)


def _country(ask: Ask) -> str | None:
    """The country that the request names, else that of the number, None where that shares its code with others."""
    given = ask.options.get("country")
    return str(given) if given else told_region(ask.number)
