"""Putting our pages into Flower: addresses, templates, and the links in its bar."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Any

import flower
import flower.urls
import flower.views
from flower.options import default_options
from tornado.routing import URLSpec
from tornado.web import HTTPError, RequestHandler, StaticFileHandler, url

from workers.config_file import Source
from workers.pages.asyncapi import AsyncApi, AsyncApiFile
from workers.pages.files import CheckFile, SubmitFile
from workers.pages.frame import access, templates
from workers.pages.frame.desk import PagesDesk
from workers.pages.frame.handler import Nowhere
from workers.pages.frame.templates import Templates, missing_parts
from workers.pages.held import Held, Settle
from workers.pages.metrics import Measured, Metrics
from workers.pages.new_order import NewOrder, Want
from workers.pages.orders import ChangeOrder, ExportOrder, Order, Orders
from workers.pages.pools import Pool, Pools
from workers.pages.providers import ChangeProvider, Providers
from workers.pages.purchases import Purchase, Purchases
from workers.pages.search import OrderPicked, Search
from workers.settings import Settings

log = logging.getLogger(__name__)

ROOT = "/dialstock"
METRICS = "/metrics"
_OPTIONS = ("auth", "basic_auth", "read_only", "url_prefix")
_STATIC = Path(__file__).with_name("static")


def mount(settings: Settings, source: Source) -> PagesDesk | None:
    """Have the application that Flower makes next serve our pages; what is to be closed after it, where it does.

    A Flower that lacks what they build on is told of in the log, and goes on without them.
    """
    missing = missing_parts(templates.FLOWERS_TEMPLATES)
    missing += [f"the option {name}" for name in _OPTIONS if name not in default_options]
    if missing:
        log.error(
            "the pages under %s/ are not there: Flower %s lacks %s, which they build on. The rest of Flower goes on; "
            "for the pages install the release that requirements.lock names.",
            *(ROOT, flower.__version__, ", ".join(missing)),
        )
        return None
    # Before the last one, which answers whatever is not found.
    desk = PagesDesk(settings, source)
    desk.start()
    flower.urls.handlers[:] = [
        *(_for_operators(one) for one in flower.urls.handlers[:-1] if _path(one) != METRICS),
        url(METRICS, Metrics, {"measured": Measured(desk)}),
        *_handlers(desk),
        flower.urls.handlers[-1],
    ]
    flower.urls.settings["template_loader"] = Templates()
    return desk


def _path(handler: Any) -> str:
    return str(handler.regex.pattern.rstrip("$") if isinstance(handler, URLSpec) else handler[0])


def _for_operators(handler: Any) -> Any:
    """One of Flower's own, which changes something for operators alone: its API shuts workers down and sends tasks."""
    if isinstance(handler, URLSpec):
        return url(handler.regex.pattern, _guarded(handler.handler_class), handler.kwargs, handler.name)
    return (handler[0], _guarded(handler[1]), *handler[2:])


def _guarded(handler: type[RequestHandler]) -> type[RequestHandler]:
    class Guarded(handler):  # type: ignore[misc, valid-type]
        def prepare(self) -> Any:
            if self.request.method not in ("GET", "HEAD", "OPTIONS"):
                # Who claims another's name is found out by the password, which is asked for after this.
                who = access.basic_user(self.request.headers.get("Authorization", "")) or self.current_user
                if not access.may_change(who if isinstance(who, str) else ""):
                    why = f"{access.OPERATORS} names who may"
                    raise HTTPError(HTTPStatus.FORBIDDEN, f"you may look and change nothing: {why}")
            return super().prepare()

    return Guarded


def _handlers(desk: PagesDesk) -> list[Any]:
    given = {"desk": desk}
    pages = [
        ("/?", Orders, "dialstock"),
        ("/orders", Orders, "dialstock_orders"),
        ("/new", NewOrder, "dialstock_new"),
        ("/new/want", Want, "dialstock_want"),
        ("/new/file", CheckFile, "dialstock_check"),
        ("/new/file/([^/]+)", SubmitFile, "dialstock_submit"),
        ("/search", Search, "dialstock_search"),
        ("/search/picked", OrderPicked, "dialstock_picked"),
        ("/orders/([^/]+)", Order, "dialstock_order"),
        ("/orders/([^/]+)/export", ExportOrder, "dialstock_export"),
        ("/orders/([^/]+)/(cancel|retry)", ChangeOrder, "dialstock_change_order"),
        ("/purchases", Purchases, "dialstock_purchases"),
        ("/purchases/([^/]+)", Purchase, "dialstock_purchase"),
        ("/held", Held, "dialstock_held"),
        ("/held/settle", Settle, "dialstock_settle"),
        ("/pools", Pools, "dialstock_pools"),
        ("/pools/([^/]+)", Pool, "dialstock_pool"),
        ("/providers", Providers, "dialstock_providers"),
        ("/providers/([^/]+)/(pause|resume)", ChangeProvider, "dialstock_change_provider"),
        ("/asyncapi", AsyncApi, "dialstock_asyncapi"),
        ("/asyncapi.json", AsyncApiFile, "dialstock_asyncapi_file"),
        ("/.*", Nowhere, "dialstock_nowhere"),
    ]
    static = url(rf"{ROOT}/static/(.*)", StaticFileHandler, {"path": str(_STATIC)}, name="dialstock_static")
    return [static, *(url(ROOT + path, handler, given, name=name) for path, handler, name in pages)]
