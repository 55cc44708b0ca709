"""The AsyncAPI document: what services send, and what they are told, made of the models that check both.

Version 3.1.0 of the specification: https://github.com/asyncapi/spec/blob/v3.1.0/spec/asyncapi.md. Schemas in it are
JSON Schema, draft 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import OrderNumbers
from schemas.event_data import EVENTS, Told
from schemas.events import CHANNEL, STREAM, EventType
from workers.views.asyncapi import samples
from workers.views.asyncapi.tasks import EMBEDDED, HEADERS, TASKS, TRACEPARENT, PublicTask

VERSION = "3.1.0"
QUEUE = "purchases"

_SCHEMAS = "#/components/schemas/"
_SENT, _STREAM, _LIVE = "purchases", "results", "resultsLive"

Json = dict[str, Any]


class _Untitled(GenerateJsonSchema):
    """Without a title for each field, which says its name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as pydantic calls it
        return False


def asyncapi_document(prefix: str = "") -> Json:
    """The whole document; *prefix* is what the names in this installation's Redis begin with."""
    messages = {_short(name): _task_message(name, task) for name, task in TASKS.items()}
    messages |= {_short(kind): _event_message(kind, told) for kind, told in EVENTS.items()}
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Dialstock",
            "version": version("dialstock"),
            "description": "Buys phone numbers: what services send, and the events that they are told by.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"redis": _server()},
        "channels": _channels(prefix),
        "operations": {**_operations(), **{name: _telling(name) for name in (_STREAM, _LIVE)}},
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _server() -> Json:
    return {
        "host": "{host}",
        "protocol": "redis",
        "description": "The broker, and where results are told: CELERY_BROKER_URL and REDIS_URL, one Redis by default.",
        "variables": {"host": {"default": "localhost:6379"}},
    }


def _channels(prefix: str) -> Json:
    queue = (
        "A list, which is Celery's queue of that name, by protocol 2 in JSON: an entry is an object with `headers`, "
        "`properties`, `content-type` and the `body` in base64, as Celery's own clients write it."
    )
    if prefix:
        queue += f' Theirs have the option `"global_keyprefix": "{prefix}"` for it, and name it `{QUEUE}`.'
    stream = "A stream; the field `event` has the event. At least once: drop the `id`s that you have seen."
    return {
        _SENT: _channel(prefix + QUEUE, queue, TASKS),
        _STREAM: _channel(prefix + STREAM, stream, EVENTS),
        _LIVE: _channel(prefix + CHANNEL, "Pub/Sub: the same events live; who is away misses them.", EVENTS),
    }


def _channel(address: str, description: str, names: Iterable[str]) -> Json:
    messages = {_short(name): {"$ref": f"#/components/messages/{_short(name)}"} for name in names}
    return {"address": address, "description": description, "messages": messages}


def _operations() -> Json:
    return {
        _short(name): {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{_SENT}"},
            "summary": task.does,
            "messages": [_in_channel(_SENT, name)],
            "reply": {
                "channel": {"$ref": f"#/channels/{_STREAM}"},
                "messages": [_in_channel(_STREAM, kind) for kind in task.answers],
            },
        }
        for name, task in TASKS.items()
    }


def _telling(channel: str) -> Json:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [_in_channel(channel, kind) for kind in EVENTS],
    }


def _in_channel(channel: str, name: str) -> Json:
    return {"$ref": f"#/channels/{channel}/messages/{_short(name)}"}


def _task_message(name: str, task: PublicTask) -> Json:
    headers = {**HEADERS, "properties": {**HEADERS["properties"], "task": {"const": name}}}
    arguments = {"type": "array", "maxItems": 0, "description": "keyword arguments only"}
    body = [arguments, {"$ref": _SCHEMAS + task.model.__name__}, EMBEDDED]
    return {
        "name": name,
        "summary": task.does,
        "contentType": "application/json",
        "headers": headers,
        "payload": {"type": "array", "items": body, "minItems": 3, "maxItems": 3},
        "correlationId": {"location": f"$message.payload#/1/{task.key}"},
        "examples": [
            {
                "headers": {"lang": "py", "task": name, "id": "8ab80aa8-4a1c-4a8b-9f2e-5d6c4a4a0f10"},
                "payload": [[], samples.REQUESTS[name], {}],
            }
        ],
    }


def _event_message(kind: EventType, told: Told) -> Json:
    return {
        "name": str(kind),
        "summary": told.when,
        "contentType": "application/cloudevents+json",
        "payload": _cloud_event(kind, [{"$ref": _SCHEMAS + model.__name__} for model in told.data]),
        "examples": [{"payload": samples.event(kind)}],
    }


def _cloud_event(kind: EventType, data: list[Json]) -> Json:
    """CloudEvents 1.0 in JSON: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md"""
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "the same where an event is sent again"},
            "source": {"type": "string", "format": "uri-reference", "pattern": "^/dialstock/"},
            "type": {"const": str(kind)},
            "time": {"type": "string", "format": "date-time", "description": "UTC"},
            "datacontenttype": {"const": "application/json"},
            "subject": {"type": "string", "description": "the number, the order's id or the pool that it is about"},
            "sequence": {"type": "string", "pattern": "^[0-9]{10,}$", "description": "rises within one purchase"},
            "traceparent": {**TRACEPARENT, "description": "of the request's trace, where its caller told one"},
            "data": data[0] if len(data) == 1 else {"anyOf": data},
        },
    }


def _schemas() -> Json:
    models: list[type[BaseModel]] = [Criteria, *(task.model for task in TASKS.values())]
    models += [model for told in EVENTS.values() for model in told.data]
    _, made = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)],
        ref_template=_SCHEMAS + "{model}",
        schema_generator=_Untitled,
    )
    found: Json = made["$defs"]
    criteria = found.pop(Criteria.__name__)["properties"]
    fields = found[OrderNumbers.__name__]["properties"]
    # What the order leaves to the criteria to check has no type of its own.
    fields |= {name: criteria[name] for name, one in OrderNumbers.model_fields.items() if one.annotation is Any}
    return found


def _short(name: str) -> str:
    """A name as the document's own names are: without what all of them begin with."""
    return name.removeprefix("dialstock.")
