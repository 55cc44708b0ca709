"""A new order: numbers by criteria, or those of a file, which is checked before anything of it is bought."""

from __future__ import annotations

import re
import secrets
from typing import Any

from schemas.by_criteria.wishes import parse_numbers_order
from tasks.accounts import identity
from tasks.wishes import accepting
from workers.pages.files import MOST_BYTES
from workers.pages.frame.handler import Change, Page, refused
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.providers.whereabouts import whereabouts
from workers.views.words import count

SHOWN = 50
"""Problems of a file that are listed."""

_WISHED = ("provider", "country", "prefix", "type", "contains", "max_price")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")


class NewOrder(Page):
    """The two forms."""

    template = "new_order"
    tab = "dialstock_orders"

    def read(self, desk: Desk, *_: str) -> Document:
        """Whom one can buy from, and a key that makes one order of a form, however often it is sent.

        What the address says of the numbers stands in the form already.
        """
        config = desk.runtime.config
        sellers = {alias: whereabouts(config, alias) for alias in sorted(config.providers)}
        asked: dict[str, Any] = {name: value for name in _WISHED if (value := self.query(name)) is not None}
        asked["feature"] = self.get_query_arguments("feature")
        return {"sellers": sellers, "key": secrets.token_urlsafe(16), "asked": asked, "most_bytes": MOST_BYTES}


class Want(Change):
    """So many numbers by criteria."""

    def change(self, desk: Desk, *_: str) -> tuple[str, Document]:
        """By the fields that `dialstock.order_numbers` has. The same form sent twice is one order."""
        key = self.form("key")
        if not _KEY.fullmatch(key):
            raise refused("the form's key is missing: load the page again")
        order, wishes = parse_numbers_order(self._fields(key), desk.runtime.kinds)
        identity.settle(desk.runtime)
        row = accepting.begin(
            desk.runtime,
            wishes,
            key=order.idempotency_key,
            metadata=order.metadata,
            name=self.form("name") or None,
            max_spend=order.max_spend,
        )
        self.order_id = row["id"]
        total = count(sum(wish.count for wish in wishes), "number")
        said = f"{total} to find and buy." if row["created"] else "This form was sent before: here is its order."
        return said, {"order_id": row["id"], "created": row["created"]}

    def shown_next(self, *_: str) -> str:
        """The order."""
        return str(self.reverse_url("dialstock_order", self.order_id))

    def _fields(self, key: str) -> dict[str, Any]:
        how_many = self.form("count")
        if not (how_many.isascii() and how_many.isdecimal() and len(how_many) < 10):
            raise refused(f"count {how_many[:20]!r} is no number of numbers: write how many, like 50")
        fields = {
            "count": int(how_many),
            "country": self.form("country").upper(),
            "prefix": self.form("prefix").replace(",", " ").split(),
            "contains": self.form("contains"),
            "type": self.form("type"),
            "features": self.get_body_arguments("feature"),
            "providers": self.get_body_arguments("provider"),
            "max_price": self.form("max_price"),
            "max_spend": self.form("max_spend"),
        }
        key = f"page:{key}"
        given = {name: one for name, one in fields.items() if one not in ("", [])}
        return {"idempotency_key": key, "metadata": {}, **given}
