"""`dialstock asyncapi`."""

from __future__ import annotations

import json

import pytest

from tests.workers.cli.running import Cli
from workers.views.asyncapi.document import asyncapi_document


def test_the_document_is_printed_with_this_installation_s_names(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(cli.ok("asyncapi")) == asyncapi_document()
    monkeypatch.setenv("REDIS_KEY_PREFIX", "staging:")
    assert json.loads(cli.ok("asyncapi")) == asyncapi_document("staging:")
