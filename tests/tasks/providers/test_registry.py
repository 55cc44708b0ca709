from __future__ import annotations

from typing import Any

import pytest

from schemas.config.errors import ConfigError
from tasks.providers.bird.adapter import Bird
from tasks.providers.fluents.adapter import Fluents
from tasks.providers.plivo.adapter import Plivo
from tasks.providers.registry import build
from tasks.providers.signalwire.adapter import SignalWire
from tasks.providers.telnyx.adapter import Telnyx
from tasks.providers.timepay.adapter import TimePay
from tasks.providers.twilio.adapter import Twilio
from tasks.providers.vogent.adapter import Vogent
from tasks.providers.vonage.adapter import Vonage
from tests.tasks.providers.adapters import KINDS, config

URL = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("kind", "adapter"),
    list(zip(KINDS, (TimePay, Fluents, SignalWire, Vogent, Bird, Twilio, Telnyx, Plivo, Vonage), strict=True)),
    ids=KINDS,
)
def test_each_kind_has_its_adapter(kind: str, adapter: type[Any]) -> None:
    assert isinstance(build(config(kind, URL), "token"), adapter)


@pytest.mark.parametrize("kind", ["timepay", "fluents", "vogent", "bird", "telnyx"])
@pytest.mark.parametrize("token", ["to\nken", "tok\u00e9n", "to\x00ken"])
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(kind: str, token: str) -> None:
    with pytest.raises(ConfigError, match="no header can carry") as caught:
        build(config(kind, URL), token)
    assert token not in str(caught.value)


def test_an_adapter_that_cannot_be_made_is_told_without_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Bird, config: object, token: str) -> None:
        raise KeyError(token)

    monkeypatch.setattr(Bird, "__init__", fail)
    with pytest.raises(ConfigError, match="the adapter of kind 'bird' raised KeyError") as caught:
        build(config("bird", URL), "s3cret")
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)
