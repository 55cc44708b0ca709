"""The AsyncAPI document as people read it: a table of fields and a sample for each message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def sections(document: Json) -> dict[str, list[Json]]:
    """What is sent to us and what we tell: each section with its messages, and the fields that these have in common."""
    told = document["channels"]["results"]["messages"]
    sent = document["channels"]["purchases"]["messages"]
    alike: dict[str, list[str]] = {}
    for name in told:
        alike.setdefault(str(_data(document, name)), []).append(name)
    return {
        "tasks": [_task(document, name) for name in sent],
        "events": [_events(document, names) for names in alike.values()],
    }


def _task(document: Json, name: str) -> Json:
    payload = document["components"]["messages"][name]["payload"]
    reply = document["operations"][name]["reply"]["messages"]
    return {
        "messages": [_message(document, name)],
        "answers": [_last(one) for one in reply],
        "shapes": [list(_fields(document, payload["items"][1]))],
    }


def _events(document: Json, names: list[str]) -> Json:
    """Events with the same data."""
    data = _data(document, names[0])
    return {
        "messages": [_message(document, name) for name in names],
        "answers": [],
        "shapes": [list(_fields(document, one)) for one in data.get("anyOf", [data])],
    }


def _message(document: Json, name: str) -> Json:
    message = document["components"]["messages"][name]
    payload = message["examples"][0]["payload"]
    # Of a Celery message, its keyword arguments.
    sample = payload[1] if isinstance(payload, list) else payload
    text = json.dumps(sample, indent=2, ensure_ascii=False)
    return {"id": name, "name": message["name"], "summary": message["summary"], "sample": text}


def _data(document: Json, name: str) -> Json:
    found: Json = document["components"]["messages"][name]["payload"]["properties"]["data"]
    return found


def _fields(document: Json, schema: Json, above: str = "") -> Iterator[Json]:
    """A row for each field, with those of what is within it after it."""
    shape = _resolved(document, schema)
    for name, field in shape.get("properties", {}).items():
        kinds = [_resolved(document, one) for one in field.get("anyOf", [field])]
        yield {
            "name": above + name,
            "type": " or ".join(_type_of(document, one) for one in kinds),
            "required": name in shape.get("required", ()),
            "about": field.get("description") or next((one["description"] for one in kinds if _says(one)), ""),
        }
        for one in kinds:
            items = _resolved(document, one.get("items", {}))
            yield from _fields(document, one, f"{above}{name}.")
            yield from _fields(document, items, f"{above}{name}[].")


def _says(kind: Json) -> bool:
    """Whether a field's kind says what the field is: what is within says it by its own fields."""
    return "description" in kind and "properties" not in kind and "enum" not in kind


def _type_of(document: Json, kind: Json) -> str:
    if "const" in kind:
        return str(kind["const"])
    if "enum" in kind:
        return ", ".join(kind["enum"])
    if kind["type"] == "array":
        items = kind["items"].get("anyOf", [kind["items"]])
        return "list of " + " or ".join(_type_of(document, _resolved(document, one)) for one in items)
    return str(kind["type"])


def _resolved(document: Json, schema: Json) -> Json:
    found: Json = document["components"]["schemas"][_last(schema)] if "$ref" in schema else schema
    return found


def _last(reference: Json) -> str:
    return str(reference["$ref"].rpartition("/")[2])
