"""Log lines as text and as JSON: the same fields, and nothing that others hang on their records."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tasks.telemetry.log_fields import about, about_provider
from tests.workers.cli.commands import execute
from workers.server_urls import SettingsError
from workers.telemetry.logs import LOG, dress, wants_json


class Lines:
    """A logger, and what it wrote."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.log = logging.Logger("dialstock.test")
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self.log.addHandler(handler)
        dress(self.log)
        dress(self.log)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def one(self) -> dict[str, Any]:
        [line] = self.text.splitlines()
        return dict(json.loads(line))


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.setenv(LOG, "json")
    return Lines()


@pytest.fixture
def as_text(monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.delenv(LOG, raising=False)
    return Lines()


ROW = {"id": "p-1", "order_id": None, "provider": "bird"}


def test_a_line_of_json_has_our_fields(as_json: Lines) -> None:
    as_json.log.info("bought %s\nat %s", "+1", "bird", extra=about(ROW, attempt=2))
    line = as_json.one
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "dialstock.test",
        "message": "bought +1\nat bird",
        "purchase": "p-1",
        "provider": "bird",
        "attempt": 2,
    }


def test_what_others_hang_on_a_record_is_not_shown(as_json: Lines) -> None:
    as_json.log.info("received", extra={"data": {"kwargs": "their secret"}, "task": "their secret"})
    assert "secret" not in as_json.text


def test_an_exception_is_in_its_line(as_json: Lines) -> None:
    try:
        int("wrong")
    except ValueError:
        as_json.log.exception("it failed", extra=about_provider("bird"))
    assert "ValueError: invalid literal" in as_json.one["exception"]
    assert as_json.one["provider"] == "bird"


def test_a_line_of_text_has_the_same_fields(as_text: Lines) -> None:
    as_text.log.info("100 %% of %s", "+1", extra=about(ROW, attempt=1))
    as_text.log.info("of nobody")
    assert as_text.text == "INFO 100 % of +1 (purchase=p-1 provider=bird attempt=1)\nINFO of nobody\n"


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DIALSTOCK_LOG: 'xml' is neither text nor json"):
        wants_json({LOG: "xml"})
    done = execute("order", "list", home=tmp_path, cwd=tmp_path, DIALSTOCK_LOG="xml")
    assert done.returncode == 2
    assert "DIALSTOCK_LOG: 'xml' is neither text nor json" in done.stderr
