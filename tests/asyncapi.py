"""Messages held to the AsyncAPI document, as strictly as it can be: a field that it does not name is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft7Validator

from workers.views.asyncapi.document import asyncapi_document


def problems_of_event(event: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event of the results channel; nothing where the document describes it."""
    name = str(event["type"]).removeprefix("dialstock.")
    return problems(event, f"#/components/messages/{name}/payload")


def problems(value: Any, pointer: str) -> list[str]:
    """What is wrong with *value* by the schema at *pointer* of the document."""
    errors = _validator(pointer).iter_errors(value)
    return [f"{'/'.join(map(str, one.absolute_path))}: {one.message}" for error in errors for one in _inmost(error)]


def _inmost(error: Any) -> list[Any]:
    return list(error.context) or [error]


@cache
def _validator(pointer: str) -> Draft7Validator:
    components = _strict(asyncapi_document()["components"])
    return Draft7Validator({"$ref": pointer, "components": components}, format_checker=Draft7Validator.FORMAT_CHECKER)


def _strict(schema: Any) -> Any:
    """The schema where an object has no fields but those that are named."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return closed | {name: _strict(one) for name, one in schema.items()}
