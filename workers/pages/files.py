"""Numbers of a file: checked before anything of it is bought, and bought once."""

from __future__ import annotations

import io
from dataclasses import asdict
from http import HTTPStatus
from itertools import islice
from typing import Any, BinaryIO

import tornado.web
from tornado.httputil import HTTPInputError, parse_body_arguments

from schemas.by_criteria.wishes import check_wishes
from schemas.numbering.regions import known_country
from schemas.outcomes import clip
from schemas.requests import MAX_NAME
from tasks.accounts import identity
from tasks.orderfile.columns import Naming
from tasks.wishes import accepting
from workers.pages.frame.handler import Change, Refusal, refused
from workers.pages.frame.templates import Document
from workers.pages.frame.uploads import Upload, Uploads
from workers.views.desk import Desk, known_provider
from workers.views.orders.check_file import Checked, check_file
from workers.views.orders.dry_run import plan
from workers.views.orders.load import load_order
from workers.views.providers.whereabouts import whereabouts
from workers.views.words import count

SHOWN = 50
"""Problems of a file that are listed."""

MOST_BYTES = 64 * 2**20
"""Of a file and its form: Flower has it in memory. What is longer is for `dialstock order submit`."""

_DIGITS = 16


@tornado.web.stream_request_body
class CheckFile(Change):
    """A file, checked: every row of it, and what it would come to.

    What is refused for its length, or for who sends it, is refused before anything of it is read.
    """

    template = "checked_file"
    tab = "dialstock_orders"

    def set_default_headers(self) -> None:
        """What was refused before it was read cannot be followed by another request."""
        super().set_default_headers()
        self.set_header("Connection", "close")

    def prepare(self) -> None:
        """Called once the headers are here. Raises Refusal."""
        self._body, self._too_long = bytearray(), False
        length = self.request.headers.get("Content-Length", "0")
        if self.request.method == "POST" and self.current_user:
            self.require_operator()
            if not (length.isascii() and length.isdecimal() and len(length) < _DIGITS and int(length) <= MOST_BYTES):
                raise _too_long()

    def data_received(self, chunk: bytes) -> None:
        """A piece of the body; where it did not say how long it is, it is kept as long as it may be."""
        self._too_long = self._too_long or len(self._body) + len(chunk) > MOST_BYTES
        if not (self._finished or self._too_long):
            self._body += chunk

    def check_xsrf_cookie(self) -> None:
        """The form's token comes with the body: `post` checks it."""

    @tornado.web.authenticated
    async def post(self, *names: str) -> None:
        """Do it, if the form is one of ours."""
        if self._too_long:
            raise _too_long()
        request = self.request
        content = request.headers.get("Content-Type", "")
        try:
            parse_body_arguments(content, bytes(self._body), request.body_arguments, request.files, request.headers)
        except HTTPInputError as exc:
            raise refused(f"the form cannot be read ({exc}): nothing was changed") from None
        for name, values in request.body_arguments.items():
            request.arguments.setdefault(name, []).extend(values)
        super().check_xsrf_cookie()
        await self.do(*names)

    def change(self, desk: Desk, *_: str) -> tuple[str, Document]:
        """By the form's `file`, `provider` for rows that name none, `country` for numbers without a plus."""
        sent = self.request.files.get("file", [])
        if not sent or not sent[0]["filename"]:
            raise refused("no file was chosen")
        name, provider = clip(sent[0]["filename"], MAX_NAME) or "file", self.form("provider") or None
        if provider is not None:
            known_provider(desk.runtime.config, provider)
        country = _country(self.form("country"))
        source = io.BytesIO(sent[0]["body"])
        document = keep_checked(self.desk.uploads, desk, name, source, provider=provider, country=country)
        return f"{name} was checked.", document

    def tell(self, _said: str, document: Document, *_: str) -> None:
        """Shown at once: nothing was changed."""
        self.answer(document)


def _too_long() -> Refusal:
    here = f"the file is longer than {MOST_BYTES // 2**20} MB"
    message = f"{here}: split it, or use `dialstock order submit`, which takes any; nothing was changed"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def keep_checked(uploads: Uploads, desk: Desk, name: str, source: BinaryIO, **how: Any) -> Document:
    """What the check of a file found, which waits for a person's word under its `token`; *how* it is read, if known.

    Raises OrderFileError.
    """
    unsaid: dict[str, Any] = {"provider": None, "format": None, "country": None, "naming": Naming(), "sheet": None}
    checked = check_file(desk.runtime, source, name=name, **{**unsaid, **how})
    document = _found(desk, name, checked)
    return {**document, "costs": "", "token": uploads.keep(name, checked, desk.runtime.config.digest)}


class SubmitFile(Change):
    """A checked file, bought."""

    def change(self, desk: Desk, *names: str) -> tuple[str, Document]:
        """Where rows are bad, or numbers stand twice, only with a tick for that."""
        upload = self.desk.uploads.take(names[0])
        if upload is None:
            gone = "this file was submitted already, or checked too long ago: see the orders before you send it again"
            raise Refusal(HTTPStatus.CONFLICT, gone)
        try:
            self._check(desk, upload)
        except Refusal:
            self.desk.uploads.give_back(names[0], upload)
            raise
        try:
            self.order_id, lines = _order(desk, upload)
        finally:
            upload.checked.close()
        return f"{upload.name} is in: {count(lines, 'line')}.", {"order_id": self.order_id, "lines": lines}

    def shown_next(self, *_: str) -> str:
        """The order."""
        return str(self.reverse_url("dialstock_order", self.order_id))

    def _check(self, desk: Desk, upload: Upload) -> None:
        checked = upload.checked
        if upload.digest != desk.runtime.config.digest:
            raise Refusal(HTTPStatus.CONFLICT, "the configuration has changed since the check: check the file again")
        if not (len(checked.lines) or checked.wishes):
            raise refused("the file has no good row: nothing was bought")
        if checked.bad_rows and self.form("skip_invalid") != "yes":
            raise refused("rows of the file are bad: mend it and check it again, or go back and tick to leave them out")
        if checked.twice and self.form("allow_duplicates") != "yes":
            raise refused("numbers stand under two providers: go back and tick that both are bought")


def _country(text: str) -> str | None:
    code = text.upper() or None
    if code is not None and not known_country(code):
        raise refused(f"{text[:20]!r} is no country: write two letters of ISO 3166-1, like US or GB")
    return code


def _order(desk: Desk, upload: Upload) -> tuple[str, int]:
    """The id of the order that a file makes, and how many lines or wishes it has."""
    runtime, checked = desk.runtime, upload.checked
    identity.settle(runtime)
    if checked.wishes:
        check_wishes(checked.wishes, runtime.kinds)
        row = accepting.begin(runtime, checked.wishes, key=None, metadata={}, name=upload.name)
        return row["id"], len(checked.wishes)
    loaded = load_order(runtime, checked, name=upload.name, metadata={})
    return loaded.order_id, loaded.lines


def _found(desk: Desk, name: str, checked: Checked) -> Document:
    plans, countries = plan(desk.runtime, (request for _, request in checked.requests()))
    return {
        "file": name,
        "rows": len(checked.lines),
        "wishes": [
            {"count": wish.count, "at_least": wish.at_least, "criteria": str(wish.criteria)} for wish in checked.wishes
        ],
        "sheets": checked.sheets and asdict(checked.sheets),
        "bad_rows": checked.bad_rows,
        "problems": list(islice(checked.problems, SHOWN)),
        "twice": checked.twice,
        "twice_shown": checked.twice_shown,
        "plan": [asdict(one) for one in plans],
        "countries": [asdict(one) for one in countries],
        "sellers": {one.provider: whereabouts(desk.runtime.config, one.provider) for one in plans},
    }
