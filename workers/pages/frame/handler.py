"""What all pages have in common: who asks, what may be changed, HTML or JSON, and errors in words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import tornado.web
from flower.views import BaseHandler

from schemas.outcomes import clip
from workers.pages.frame import access, words
from workers.pages.frame.desk import PagesDesk
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.errors import AWAY, Failure, NotThere, failure_of
from workers.views.operator import person
from workers.views.words import as_json

log = logging.getLogger(__name__)

T = TypeVar("T")

SAID = "dialstock_said"
"""The cookie that carries what an action came to over to the page that is shown next."""

_LOGGED = 2_000
"""Characters of a form in the log: what many ticked boxes come to is cut."""

POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


class Refusal(Exception):
    """A request that cannot be done: its HTTP status, what is wrong and what to do."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Page(BaseHandler):  # type: ignore[misc]
    """One page: `read` finds what it shows, `template` shows it to people."""

    template = ""
    tab = ""
    desk: PagesDesk

    def initialize(self, desk: PagesDesk) -> None:
        """Given with the address."""
        self.desk = desk

    def read(self, desk: Desk, *names: str) -> Document:
        """What the page shows; called in a thread, with what its address names. Raises Refusal, Failure."""
        raise NotImplementedError

    @tornado.web.authenticated
    async def get(self, *names: str) -> None:
        """The page."""
        self.answer(await self.work(lambda desk: self.read(desk, *names)))

    async def work(self, action: Callable[[Desk], T], *, long: bool = False) -> T:
        """The result of *action* in a thread: the database may take its time. Raises Refusal.

        What takes *long*, for it asks a provider, has threads of its own: nobody else's page waits for it.
        """

        def run() -> T:
            try:
                return action(self.desk.open())
            except Refusal:
                raise
            except Exception as exc:
                raise _refusal(exc) from exc

        return await tornado.ioloop.IOLoop.current().run_in_executor(self.desk.searchers if long else None, run)

    def answer(self, document: Document) -> None:
        """Write *document* as what was asked for."""
        if self.wants_json:
            self.set_header("Content-Type", "application/json; charset=UTF-8")
            self.finish(as_json(document))
            return
        said = self.get_secure_cookie(SAID)
        if said is not None:
            self.clear_cookie(SAID)
        self.render(
            f"dialstock/{self.template}.html",
            **self.shown(document),
            said=said.decode() if said else None,
            operator=self.is_operator,
            address=self.address,
            tab=self.tab,
        )

    def get_template_namespace(self) -> dict[str, Any]:
        """What every template has, the parts of pages too."""
        return {**super().get_template_namespace(), "words": words}

    def shown(self, document: Document) -> Document:
        """What the template needs beside; JSON has the data alone."""
        return document

    @property
    def wants_json(self) -> bool:
        """Whether JSON is asked for before HTML."""
        accepted = self.request.headers.get("Accept", "")
        found = accepted.find("application/json")
        return found >= 0 and not 0 <= accepted.find("text/html") < found

    def address(self, **changed: str | None) -> str:
        """This page's address with other queries; None takes one out."""
        kept = {name: self.get_query_arguments(name)[-1] for name in self.request.query_arguments}
        asked = {name: value for name, value in {**kept, **changed}.items() if value}
        return str(tornado.httputil.url_concat(self.request.path, asked))

    def query(self, name: str) -> str | None:
        """One query of the address, as it was typed; None where it is empty."""
        return self.get_query_argument(name, "").strip() or None

    @property
    def who(self) -> str:
        """The name under which a change is kept: of Flower's password or log-in, else of this machine."""
        user = access.basic_user(self.request.headers.get("Authorization", ""))
        signed_in = self.current_user if isinstance(self.current_user, str) else None
        return person(user or signed_in)

    @property
    def is_operator(self) -> bool:
        """Whether whoever asks may change something."""
        known = self._has_password or access.is_this_machine(self.request.host)
        return known and not self.application.options.read_only and access.may_change(self.who)

    @property
    def _has_password(self) -> bool:
        options = self.application.options
        return bool(options.basic_auth or options.auth)

    def check_xsrf_cookie(self) -> None:
        """Refuse what no page of ours sent, with a password or without: Flower leaves out the latter."""
        headers = self.request.headers
        if not access.same_origin(self.request.host, headers.get("Origin"), headers.get("Sec-Fetch-Site")):
            raise Refusal(HTTPStatus.FORBIDDEN, "this was sent by another site's page, and nothing was changed")
        try:
            tornado.web.RequestHandler.check_xsrf_cookie(self)
        except tornado.web.HTTPError:
            message = (
                "the form's token (_xsrf) is missing or too old: load the page again, then send; nothing was changed"
            )
            raise Refusal(HTTPStatus.FORBIDDEN, message) from None

    def set_default_headers(self) -> None:
        """Nothing of ours is kept by a browser or a proxy, or shown in another site's frame."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """What is wrong, in words, as HTML or JSON."""
        exc = kwargs.get("exc_info", (None, None, None))[1]
        status = exc.status if isinstance(exc, Refusal) else HTTPStatus(status_code)
        told = isinstance(exc, Refusal | tornado.web.HTTPError)
        # Flower's own asks for the password.
        if status is HTTPStatus.UNAUTHORIZED or not (told or self.wants_json):
            super().write_error(status_code, **kwargs)
            return
        if not hasattr(self, "_current_user"):
            # It went wrong before anybody was asked for: nobody is while this is told.
            self.current_user = None
        message = str(exc) if told else "this ended in an error that nobody foresaw: Flower's log has it"
        self.set_status(status)
        if self.wants_json:
            self.set_header("Content-Type", "application/json; charset=UTF-8")
            self.finish(as_json({"error": message}))
        else:
            self.render("dialstock/refused.html", message=message, status=status)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """What is refused is no fault of ours."""
        if isinstance(value, Refusal):
            log.info("%s %s: %s", self.request.method, self.request.path, value)
        else:
            super().log_exception(typ, value, tb)


class Nowhere(Page):
    """An address that none of our pages has."""

    def read(self, _desk: Desk, *_: str) -> Document:
        """Raises Refusal."""
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no page at this address: the bar above leads to those there are")


class Change(Page):
    """Something that an operator changes, by POST; then the page is shown that tells how it is now."""

    def change(self, desk: Desk, *names: str) -> tuple[str, Document]:
        """What came of it, for people and as data. Raises Refusal, Failure."""
        raise NotImplementedError

    def shown_next(self, *names: str) -> str:
        """The address of the page to show then."""
        raise NotImplementedError

    @tornado.web.authenticated
    async def get(self, *_: str) -> None:
        """Nothing is changed by looking."""
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this is done by a form: nothing was changed")

    @tornado.web.authenticated
    async def post(self, *names: str) -> None:
        """Do it."""
        await self.do(*names)

    async def do(self, *names: str) -> None:
        """The change, for an operator, and what is shown then."""
        self.require_operator()
        said, document = await self.work(lambda desk: self.change(desk, *names))
        where = f"{self.request.method} {self.request.path}"
        log.warning("%s: %s: %s Asked for: %s", self.who, where, said, self._asked())
        self.tell(said, document, *names)

    def _asked(self) -> str:
        """What the form says, but for its token, on one line."""
        form = self.request.body_arguments
        said = {name: [one.decode(errors="replace") for one in form[name]] for name in form if name != "_xsrf"}
        return clip(json.dumps(said), _LOGGED) or ""

    def require_operator(self) -> None:
        """Raise Refusal for who may change nothing."""
        if not self.is_operator:
            why = f"{access.OPERATORS} names who may, and Flower's read_only lets nobody"
            raise Refusal(HTTPStatus.FORBIDDEN, f"{self.who} may look and change nothing: {why}")

    def tell(self, said: str, document: Document, *names: str) -> None:
        """What came of it, on the page that is shown next."""
        if self.wants_json:
            self.answer(document)
            return
        self.set_secure_cookie(SAID, said[:1000], expires_days=None)
        self.redirect(self.shown_next(*names), status=HTTPStatus.SEE_OTHER)

    def form(self, name: str) -> str:
        """One field of the form, as it was typed."""
        return str(self.get_body_argument(name, "")).strip()


def _refusal(exc: Exception) -> Exception:
    """What an exception means for somebody who looks at a page; a bug of ours stays what it is."""
    failure = failure_of(exc)
    if failure is None:
        return exc
    return Refusal(_status(failure), str(failure))


def _status(failure: Failure) -> HTTPStatus:
    if isinstance(failure, NotThere):
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.SERVICE_UNAVAILABLE if failure.status == AWAY else HTTPStatus.BAD_REQUEST


refused = partial(Refusal, HTTPStatus.BAD_REQUEST)
"""A request that says what cannot be."""
