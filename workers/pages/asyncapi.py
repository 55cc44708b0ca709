"""What services send and are told: for people, and as an AsyncAPI document."""

from __future__ import annotations

from workers.pages.frame.handler import Page
from workers.pages.frame.templates import Document
from workers.views.asyncapi.document import asyncapi_document
from workers.views.asyncapi.reading import sections
from workers.views.desk import Desk


class AsyncApi(Page):
    """The tasks and the events, with their fields and samples."""

    template = "asyncapi"
    tab = "dialstock_asyncapi"

    def read(self, desk: Desk, *_: str) -> Document:
        """The document, with the names that this installation has in Redis."""
        return asyncapi_document(desk.settings.key_prefix)

    def shown(self, document: Document) -> Document:
        """Its messages, as people read them."""
        return {"document": document, **sections(dict(document))}


class AsyncApiFile(AsyncApi):
    """The document alone, at an address of its own, for programs that ask for no JSON."""

    wants_json = True
