"""Search and want: what one provider has for sale, picked from and ordered."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import tornado.web
from pydantic import ValidationError

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import cannot
from schemas.config.errors import ConfigError
from schemas.config.provider import read_token
from schemas.money import price_columns, read_price
from schemas.numbering.national_prefix import unused
from schemas.outcomes import Candidate
from schemas.requests import problems_of
from tasks.providers.adapter import ProviderError, Unsupported
from tasks.reports.queries import alive_purchases
from tasks.semaphores import place
from tasks.supply.fitting import fits, is_cheap, query_of
from workers.pages.files import keep_checked
from workers.pages.frame import access
from workers.pages.frame.desk import SEARCHES
from workers.pages.frame.handler import Change, Page, Refusal, refused
from workers.pages.frame.templates import Document
from workers.views.costs import Costs
from workers.views.desk import Desk, known_provider
from workers.views.providers.searching import Found, search, why_no_more
from workers.views.providers.whereabouts import whereabouts

SECONDS = 30.0
"""After so long no further page of a search is asked for: a person waits."""

SHOWN = 50
"""Numbers that are shown where nobody says how many."""

MOST = 500
"""As many as are shown at once."""

_CRITERIA = ("country", "prefix", "type", "features", "contains", "max_price")
_ONE = ("provider", "country", "prefix", "type", "contains", "max_price", "limit")


class Search(Page):
    """A form, and what its search found."""

    template = "search"
    tab = "dialstock_search"

    @tornado.web.authenticated
    async def get(self, *_: str) -> None:
        """Search where the form asks for it; its turns are those that workers' look-ups wait for too."""
        headers = self.request.headers
        ours = access.same_origin(self.request.host, headers.get("Origin"), headers.get("Sec-Fetch-Site"))
        asked = self._asked()
        if not (asked.get("provider") and self.is_operator and ours):
            self.answer({**await self.work(lambda desk: _form(desk, asked)), "found": None})
            return
        with place(self.desk.searches) as free:
            if not free:
                busy = f"{SEARCHES} searches are under way: try again when one has ended"
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, busy)
            found = await self.work(lambda desk: {**_form(desk, asked), "found": _found(desk, asked)}, long=True)
        self.answer({**found, "want": self._want()})

    def _want(self) -> str:
        """The address of the form for so many numbers like these."""
        wished = [(name, value) for name, value in self.request.query_arguments.items() if name != "limit"]
        pairs = [(name, one.decode()) for name, values in wished for one in values if one]
        return str(tornado.httputil.url_concat(self.reverse_url("dialstock_new"), pairs))

    def _asked(self) -> dict[str, Any]:
        asked: dict[str, Any] = {name: value for name in _ONE if (value := self.query(name)) is not None}
        features = self.get_query_arguments("feature")
        return {**asked, **({"features": features} if features else {})}


class OrderPicked(Change):
    """The numbers that were ticked, checked as a file of them would be."""

    template = "checked_file"
    tab = "dialstock_search"

    def change(self, desk: Desk, *_: str) -> tuple[str, Document]:
        """By the form's `provider` and `pick`s, each a number as the search told it."""
        provider, costs = self.form("provider"), Costs()
        known_provider(desk.runtime.config, provider)
        rows = [_picked(text, provider) for text in self.get_body_arguments("pick")]
        if not rows:
            raise refused("no number was picked: go back and tick those that are wanted")
        for row in rows:
            costs.add(read_price(monthly=row["monthly_price"], setup=row["setup_price"], currency=row["currency"]))
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        name = f"picked at {provider}"
        document = keep_checked(self.desk.uploads, desk, name, io.BytesIO(lines.encode()), format="ndjson")
        return f"{name}: checked.", {**document, "costs": str(costs)}

    def tell(self, _said: str, document: Document, *_: str) -> None:
        """Shown at once: nothing was changed."""
        self.answer(document)


def _form(desk: Desk, asked: Mapping[str, Any]) -> Document:
    """Whom one can search, and why others cannot be."""
    config = desk.runtime.config
    sellers = {alias: whereabouts(config, alias) for alias in sorted(config.providers)}
    not_here = {alias: why for alias in sellers if (why := _not_here(desk, alias))}
    return {"asked": asked, "sellers": sellers, "not_here": not_here, "shown": SHOWN, "most": MOST}


def _not_here(desk: Desk, alias: str) -> str | None:
    """Why a provider cannot be searched from this process; None where it can."""
    if not desk.runtime.kinds[alias].searches:
        return "its interface has no search"
    try:
        read_token(desk.runtime.config.providers[alias], os.environ)
    except ConfigError as exc:
        return f"Flower has not its secret: {exc}"
    return None


def _found(desk: Desk, asked: Mapping[str, Any]) -> Document:
    """What the search shows. Raises Refusal and Failure."""
    alias = asked["provider"]
    known_provider(desk.runtime.config, alias)
    if (why := _not_here(desk, alias)) is not None:
        raise refused(f"{alias} cannot be searched here: {why}")
    criteria, limit = _criteria(asked), _limit(asked.get("limit"))
    if (why := cannot(desk.runtime.kinds[alias], criteria)) is not None:
        raise refused(f"{alias} {why}")
    dear = 0

    def wanted(one: Candidate) -> bool:
        nonlocal dear
        right = fits(one, query, criteria)
        dear += right and not is_cheap(one, criteria)
        return right and is_cheap(one, criteria)

    query = query_of(criteria, limit)
    try:
        found = search(desk.runtime.config, alias, query, wanted=wanted, seconds=SECONDS)
    except Unsupported as exc:
        raise refused(str(exc)) from None
    except ProviderError as exc:
        raise Refusal(HTTPStatus.BAD_GATEWAY, f"{alias}: {exc}") from None
    return {"numbers": _shown(desk, alias, found), "more": _more(found, alias, criteria, limit, dear)}


def _more(found: Found, alias: str, criteria: Criteria, limit: int, dear: int) -> str | None:
    """Why there are not as many as were asked for."""
    if len(found.numbers) >= limit:
        return None
    beyond = f"; {dear:,} others cost more than {criteria.max_price}, or show no price" if dear else ""
    return f"{why_no_more(found, alias)}{beyond}"


def _shown(desk: Desk, alias: str, found: Found) -> list[Document]:
    """The numbers with their prices, and what of them is bought or in work already."""
    numbers = [one.number for one in found.numbers]
    with desk.runtime.database.read() as conn:
        alive = alive_purchases(conn, desk.runtime.providers[alias].account, numbers)
    return [
        {
            "number": one.number,
            "region": one.region,
            "stock_item_id": one.stock_item_id,
            **price_columns(one.price),
            "status": alive.get(one.number),
        }
        for one in found.numbers
    ]


def _criteria(asked: Mapping[str, Any]) -> Criteria:
    fields = {name: asked[name] for name in _CRITERIA if name in asked}
    try:
        criteria = Criteria.model_validate({**fields, "country": fields.get("country", "US").upper()})
    except ValidationError as exc:
        raise refused("; ".join(f"{place}: {message}" for place, message in problems_of(exc, Criteria))) from None
    if problem := unused(criteria.country, criteria.prefix):
        raise refused(f"prefix: {criteria.prefix!r} {problem}")
    return criteria


def _limit(text: str | None) -> int:
    if text is None:
        return SHOWN
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST):
        raise refused(f"limit={text[:20]!r} cannot be: write how many are shown, from 1 to {MOST}")
    return int(text)


def _picked(text: str, provider: str) -> dict[str, Any]:
    """A row of an order file. Raises Refusal for what no form of ours sent."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("number"), str):
        raise refused("a pick is no number of a search: search again")
    stock = told.get("stock_item_id")
    prices = {name: told.get(name) for name in ("monthly_price", "setup_price", "currency")}
    options = {"options": {"stock_item_id": stock}} if stock else {}
    return {"number": told["number"], "provider": provider, **options, **prices}
