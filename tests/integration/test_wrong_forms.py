"""Entries that another language pushed, each with one slip: their sender is told which field, and what mends it."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from schemas.tables.purchases import REJECTED
from tests.integration.place import Place
from tests.integration.results import Results
from tests.integration.test_bad_messages import REJECTED_TYPE
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("celery_setup")

README = Path(__file__).parents[2] / "README.md"
[SAMPLE] = [one for one in re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL) if '"headers"' in one]
TASK = "dialstock.buy_number"


def entry(number: str) -> dict[str, Any]:
    """The README's, of another message."""
    made = json.loads(SAMPLE)
    made["headers"]["id"] = str(uuid.uuid4())
    made["properties"]["delivery_tag"] = str(uuid.uuid4())
    made["body"] = made["body"].replace("+14155550100", number)
    return dict(made)


def push(place: Place, text: str) -> None:
    with Redis.from_url(place.redis.url) as client:
        client.lpush("purchases", text)


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def take_out(made: dict[str, Any]) -> None:
        for name in path[:-1]:
            made = made[name]
        del made[path[-1]]

    return take_out


def changed(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda made: made.update(copy.deepcopy(fields))


SLIPS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no tag": (
        without("properties", "delivery_tag"),
        "properties.delivery_tag is missing: a text, new for each message",
    ),
    "no delivery info": (
        without("properties", "delivery_info"),
        'properties.delivery_info is missing: the object {"exchange": "", "routing_key": "purchases"}',
    ),
    "no properties": (without("properties"), "properties is missing: an object with delivery_tag"),
    "no id": (without("headers", "id"), "headers.id is missing: a text, new for each message, like a UUID"),
    "no task": (without("headers", "task"), "headers.task is missing: one of dialstock.buy_number, "),
    "no content type": (without("content-type"), 'content-type is missing: it must be "application/json"'),
    "no body": (without("body"), "body is missing: the JSON text of three parts, like [[], {"),
    "an array": (changed(body=[[], {}, {}]), "body is of another form: the JSON text of three parts"),
    "two parts": (changed(body="[[], {}]"), "body has 2 parts: the JSON text of three parts"),
    "an object": (changed(body='{"number": "+14155550100"}'), "body is no JSON array: the JSON text of three parts"),
    "parts of another form": (changed(body="[{}, [], {}]"), "body is no array of an array, an object, and an object"),
}


@pytest.mark.parametrize(("slip", "told"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_by_its_field_and_its_mend(
    place: Place, results: Results, number: str, slip: Callable[[dict[str, Any]], None], told: str
) -> None:
    made = entry(number)
    message_id = made["headers"]["id"]
    slip(made)
    before = len(_logged(place))
    push(place, json.dumps(made))
    data = eventually(lambda: _rejected(results), what="it is told as rejected")
    assert data["error"].startswith(f"not a Celery task message of protocol 2 in JSON: {told}")
    assert data["message_id"] == (message_id if "id" in made["headers"] else None)
    assert data["task"] == (TASK if "task" in made["headers"] else None)
    [row] = place.rows(REJECTED, id=data["rejected_id"])
    assert (row["message_id"], row["task"], row["error"]) == (data["message_id"], data["task"], data["error"])
    logged = _logged(place)[before:]
    assert "CRITICAL" not in logged
    assert "Traceback" not in logged


def test_the_readme_s_entry_is_taken_as_it_stands(place: Place, results: Results) -> None:
    push(place, SAMPLE)
    message_id = json.loads(SAMPLE)["headers"]["id"]

    def bought() -> bool:
        found = results.all("dialstock.purchase.purchased", "+14155550100")
        return any(one["data"]["idempotency_key"] == message_id for one in found)

    eventually(bought, what="the sample's number is bought")


def _rejected(results: Results) -> dict[str, Any] | None:
    """What was told since the test began."""
    events = [one["data"] for one in results.all(REJECTED_TYPE)]
    return next((dict(data) for data in events if data["error_code"] == "invalid_message"), None)


def _logged(place: Place) -> str:
    return "".join(worker.logs() for worker in place.workers)
