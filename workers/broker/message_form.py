"""What is wrong with the form of a message, field by field, in words by which its sender can mend it.

Looked for only where a message could not be taken: what Celery takes is right.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.messages.public_names import PUBLIC

_NEW = "a text, new for each message"
_INFO = '{"exchange": "", "routing_key": "purchases"}'
_BODY = 'the JSON text of three parts, like [[], {"number": "+14155550100", "provider": "ALIAS"}, {}]'
_JSON = "application/json"


def faults_of_entry(entry: Any) -> list[str]:
    """The faults of an entry of the broker's list, which is JSON."""
    if not isinstance(entry, Mapping):
        return ["the entry is no JSON object: it has body, content-type, content-encoding, headers and properties"]
    properties = entry.get("properties")
    found = [*_of_headers(entry.get("headers"))]
    if isinstance(properties, Mapping):
        found += _of_properties(properties)
    else:
        found.append(
            _lacks("properties", properties, f"an object with delivery_tag ({_NEW}) and delivery_info, {_INFO}")
        )
    return [*found, *_of_content(entry.get("content-type")), *_of_entry_body(entry.get("body"), properties)]


def faults_of_message(message: Any) -> list[str]:
    """The faults of a message that kombu could read."""
    content = [*_of_content(getattr(message, "content_type", None))]
    # What is no JSON is not decoded.
    body = [] if content else _of_body(getattr(message, "body", None))
    return [*_of_headers(getattr(message, "headers", None)), *content, *body]


def _of_headers(headers: Any) -> Iterator[str]:
    if not isinstance(headers, Mapping):
        yield f"headers is no object: it has id ({_NEW}) and task"
        return
    for name, mend in (("id", f"{_NEW}, like a UUID"), ("task", f"one of {', '.join(PUBLIC)}")):
        if not isinstance(headers.get(name), str):
            yield _lacks(f"headers.{name}", headers.get(name), mend)


def _of_properties(properties: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(properties.get("delivery_tag"), str):
        yield _lacks("properties.delivery_tag", properties.get("delivery_tag"), _NEW)
    info = properties.get("delivery_info")
    known = isinstance(info, Mapping) and [info.get("exchange"), info.get("routing_key")]
    if not known or not all(isinstance(one, str) for one in known):
        yield _lacks("properties.delivery_info", info, f"the object {_INFO}")
    if properties.get("body_encoding") not in (None, "base64", "utf-8"):
        yield 'properties.body_encoding is unknown: "base64", or leave it out where body is the JSON text itself'


def _of_content(kind: Any) -> Iterator[str]:
    if kind != _JSON:
        told = "missing" if kind is None else repr(kind)
        yield f'content-type is {told}: it must be "{_JSON}" (pickle is never read), and content-encoding "utf-8"'


def _of_entry_body(body: Any, properties: Any) -> list[str]:
    if isinstance(body, str) and isinstance(properties, Mapping) and properties.get("body_encoding") == "base64":
        try:
            body = base64.b64decode(body)
        except ValueError:
            return [f"body is no base64, as properties.body_encoding says: in base64 it is {_BODY}"]
    return _of_body(body)


def _of_body(body: Any) -> list[str]:
    if not isinstance(body, str | bytes):
        return [_lacks("body", body, _BODY)]
    try:
        parts = json.loads(body)
    except (ValueError, RecursionError) as exc:
        return [f"body is no JSON ({exc}): {_BODY}"]
    if not isinstance(parts, list):
        return [f"body is no JSON array: {_BODY}"]
    if len(parts) != 3:
        return [f"body has {len(parts)} parts: {_BODY}"]
    args, kwargs, embed = parts
    if isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embed, dict | None):
        return []
    return [f"body is no array of an array, an object, and an object or null: {_BODY}"]


def _lacks(name: str, value: Any, mend: str) -> str:
    return f"{name} {'is missing' if value is None else 'is of another form'}: {mend}"
