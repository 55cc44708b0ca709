"""The AsyncAPI document names everything that is sent and told, and describes it as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from jsonschema import Draft7Validator

from schemas.by_criteria.wishes import parse_numbers_order
from schemas.event_data import EVENTS, PurchaseData
from schemas.events import EventType, cloud_event, purchase_data
from schemas.pool_requests import parse_return, parse_take
from schemas.releasing import ReleaseNumber
from schemas.requests import RequestError, parse_buy, parse_order
from tasks.messages.public_names import (
    BUY_NUMBER,
    ORDER_NUMBERS,
    PUBLIC,
    RELEASE_NUMBER,
    RETURN_NUMBER,
    SUBMIT_ORDER,
    TAKE_NUMBER,
)
from tasks.providers.registry import kinds
from tests.asyncapi import problems, problems_of_event
from workers.views.asyncapi import samples
from workers.views.asyncapi.document import asyncapi_document

KINDS = {**kinds(), "main": kinds()["telnyx"], "second": kinds()["plivo"]}
"""What aliases are of which kind."""
DOCUMENT = asyncapi_document()
MESSAGES = DOCUMENT["components"]["messages"]
PUBLISHED = [json.loads(line) for line in Path(__file__).with_name("published.ndjson").read_text().splitlines()]
"""Events as workers told them: of each type one for each set of fields that was seen."""

README = Path(__file__).parents[4] / "README.md"

PARSE: dict[str, Callable[[dict[str, Any]], object]] = {
    BUY_NUMBER: lambda fields: parse_buy(fields, KINDS),
    SUBMIT_ORDER: lambda fields: parse_order(fields, KINDS),
    ORDER_NUMBERS: lambda fields: parse_numbers_order(fields, KINDS),
    TAKE_NUMBER: lambda fields: parse_take(fields, ["support"]),
    RETURN_NUMBER: lambda fields: parse_return(fields, ["support"]),
    RELEASE_NUMBER: ReleaseNumber.model_validate,
}


def short(name: str) -> str:
    return name.removeprefix("dialstock.")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def at(pointer: str) -> Any:
    found = DOCUMENT
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_public_task_and_every_type_of_event_is_in_it() -> None:
    assert {one["name"] for one in MESSAGES.values()} == {*PUBLIC, *EventType}
    channels = DOCUMENT["channels"]
    assert [*channels["purchases"]["messages"]] == [short(name) for name in PUBLIC]
    for channel in ("results", "resultsLive"):
        assert [*channels[channel]["messages"]] == [short(kind) for kind in EventType]
    assert {short(name) for name in PUBLIC} < {*DOCUMENT["operations"]}


def test_each_reference_leads_somewhere_and_each_schema_is_one() -> None:
    assert all(at(one) for one in references(DOCUMENT))
    schemas = [*DOCUMENT["components"]["schemas"].values()]
    for schema in schemas + [one[part] for one in MESSAGES.values() for part in ("payload", "headers") if part in one]:
        Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("name", MESSAGES)
def test_each_sample_holds_to_its_schema(name: str) -> None:
    [sample] = MESSAGES[name]["examples"]
    for part, value in sample.items():
        assert problems(value, f"#/components/messages/{name}/{part}") == []


@pytest.mark.parametrize("task", PUBLIC)
def test_what_celery_sends_is_what_is_described(task: str) -> None:
    made = Celery().amqp.as_task_v2("8ab80aa8-4a1c-4a8b-9f2e-5d6c4a4a0f10", task, kwargs=samples.REQUESTS[task])
    headers, body = json.loads(json.dumps([made.headers, made.body]))
    message = MESSAGES[short(task)]
    assert [*Draft7Validator(message["headers"]).iter_errors(headers)] == []
    assert problems(body, f"#/components/messages/{short(task)}/payload") == []


@pytest.mark.parametrize("task", PUBLIC)
def test_the_document_refuses_what_the_worker_refuses(task: str) -> None:
    asked = samples.REQUESTS[task]
    PARSE[task](asked)
    required = at(f"#/components/schemas/{at(_schema_of(task))['title']}")["required"]
    wrong = [{**asked, "frob": 1}, {**asked, "metadata": 7}, *({**asked, name: None} for name in required)]
    wrong += [{one: asked[one] for one in asked if one != name} for name in required]
    for fields in wrong:
        with pytest.raises((RequestError, ValueError)):
            PARSE[task](fields)
        assert problems(fields, _schema_of(task)), fields


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({"prefix": "415"}, True),
        ({"prefix": ["415", "212:5"]}, True),
        ({"type": "toll-free", "prefix": [], "providers": ["telnyx"]}, True),
        ({"prefer": "cheapest"}, True),
        ({"max_spend": "30.00 USD", "max_price": None}, True),
        ({"contains": "555", "exclude": ["+14155550100"], "at_least": 2, "providers": []}, True),
        ({"prefix": 415}, False),
        ({"type": "fax"}, False),
        ({"features": ["fax"]}, False),
        ({"prefer": "dearest"}, False),
        ({"max_price": 1.5}, False),
        ({"max_spend": "30"}, False),
        ({"contains": 5}, False),
        ({"count": "20"}, False),
        ({"reserve": "yes"}, False),
    ],
)
def test_criteria_are_described_as_they_are_read(changed: dict[str, Any], good: bool) -> None:
    fields = {**samples.REQUESTS[ORDER_NUMBERS], **changed}
    assert (problems(fields, _schema_of(ORDER_NUMBERS)) == []) is good
    if good:
        PARSE[ORDER_NUMBERS](fields)
    else:
        with pytest.raises(RequestError):
            PARSE[ORDER_NUMBERS](fields)


@pytest.mark.parametrize("event", PUBLISHED, ids=lambda event: event["type"])
def test_what_was_published_is_what_is_described(event: dict[str, Any]) -> None:
    assert problems_of_event(event) == []


def test_of_each_type_something_was_published() -> None:
    assert {event["type"] for event in PUBLISHED} == {*EventType}


def test_an_event_that_is_told_otherwise_is_found_out() -> None:
    event = samples.event(EventType.PURCHASED)
    for wrong in (
        {**event, "data": {**event["data"], "status": "bought"}},
        {**event, "data": {**event["data"], "frob": 1}},
        {**event, "data": {one: event["data"][one] for one in event["data"] if one != "error"}},
        {**event, "sequence": 3},
        {one: event[one] for one in event if one != "id"},
    ):
        assert problems_of_event(wrong), wrong


def test_what_every_purchase_tells_is_required_of_it() -> None:
    row = dict.fromkeys(("id", *PurchaseData.model_fields))
    assert set(purchase_data(row)) == set(PurchaseData.model_fields)
    assert {name for name, field in PurchaseData.model_fields.items() if field.is_required()} == set(purchase_data(row))
    assert EVENTS.keys() == {*EventType}
    names = ("id", "source", "type", "subject", "data", "traceparent")
    told = cloud_event({**dict.fromkeys(names, "x"), "sequence": 3, "time": datetime(2026, 1, 31, tzinfo=UTC)})
    assert set(told) == set(MESSAGES["purchase.purchased"]["payload"]["properties"])


def test_the_readme_s_samples_name_what_there_is() -> None:
    found = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)]
    events = [one for one in found if "headers" not in one]
    assert len(events) == 2
    for event in events:
        shape = MESSAGES[short(event["type"])]["payload"]["properties"]
        assert set(event) <= set(shape)
        assert set(event["data"]) <= set(at(shape["data"]["$ref"])["properties"])


def test_names_have_the_prefix_of_this_installation() -> None:
    channels = asyncapi_document("staging:")["channels"]
    assert [one["address"] for one in channels.values()] == [
        "staging:purchases",
        "staging:dialstock:results",
        "staging:dialstock.results",
    ]
    assert '"global_keyprefix": "staging:"' in channels["purchases"]["description"]


def _schema_of(task: str) -> str:
    found: str = MESSAGES[short(task)]["payload"]["items"][1]["$ref"]
    return found
