"""One trace from a caller to the event: real workers tell their spans to a real receiver of OTLP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.integration.place import TOKEN, Place
from tests.integration.results import Results
from tests.scripted import ScriptedServer, reply
from tests.waiting import eventually

PURCHASED = "dialstock.purchase.purchased"
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Receiver(ScriptedServer):
    """What takes spans by OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        super().__init__()
        self.otherwise = lambda _: reply(200, b"")

    def spans(self, trace: str) -> dict[str, dict[str, Any]]:
        """The spans of a trace so far, by name: the newest of each."""
        found = {}
        for seen in list(self.seen):
            request = ExportTraceServiceRequest.FromString(seen.body)
            for resource in request.resource_spans:
                service = {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"]
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    if span.trace_id.hex() == trace:
                        found[span.name] = _span(span) | {"service": service}
        return found


def _span(span: Any) -> dict[str, Any]:
    said = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
    times = {"began": span.start_time_unix_nano, "ended": span.end_time_unix_nano}
    return {**said, **times, "id": span.span_id.hex(), "parent": span.parent_span_id.hex(), "status": span.status.code}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with Receiver() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield server


@pytest.fixture
def caller(receiver: Receiver) -> Iterator[Callable[[], dict[str, str]]]:
    """A service with traces of its own: the headers of a message that it sends within a span."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{receiver.url}/v1/traces")))

    def headers() -> dict[str, str]:
        carrier: dict[str, str] = {}
        with provider.get_tracer("shop").start_as_current_span("checkout"):
            TraceContextTextMapPropagator().inject(carrier)
        return carrier

    yield headers
    provider.shutdown()


def message(number: str, headers: dict[str, Any]) -> dict[str, Any]:
    kwargs = {"number": number, "provider": "vogent", "metadata": {"traceparent": "mine"}}
    return {"name": "dialstock.buy_number", "kwargs": kwargs, "headers": headers}


def test_one_trace_goes_from_the_caller_to_the_call_and_the_event(
    fresh_place: Callable[..., Place], receiver: Receiver, caller: Callable[[], dict[str, str]], numbers: Any
) -> None:
    place = fresh_place()
    place.setup("worker-1", "worker-2")
    number, refused = numbers(2)
    place.control.plan("vogent", "refuse", refused, times=50)
    first, second = caller(), caller()
    with place.results() as results:
        place.send(message(number, first), message(refused, second))
        event = results.wait(PURCHASED, number)
        results.wait("dialstock.purchase.failed", refused)

    trace = first["traceparent"].split("-")[1]
    names = {"checkout", "dialstock.buy_number", "buy", "publish"}
    found = eventually(lambda: _all(receiver.spans(trace), names), what="the spans")
    accepted, buy = found["dialstock.buy_number"], found["buy"]
    assert accepted["parent"] == found["checkout"]["id"]
    assert {found[name]["parent"] for name in ("buy", "publish")} == {accepted["id"]}
    assert event["traceparent"].startswith(f"00-{trace}-{accepted['id']}-")
    assert event["data"]["metadata"] == {"traceparent": "mine"}
    row = place.purchase(number)
    about = [buy[f"dialstock.{name}"] for name in ("purchase", "provider", "kind")]
    assert about == [row["id"], "vogent", "vogent"]
    assert (buy["dialstock.outcome"], buy["http.response.status_code"], buy["status"]) == ("purchased", 200, 0)
    assert (buy["dialstock.attempt"], buy["service"]) == (row["attempts"], "dialstock")
    assert accepted["began"] <= buy["began"] < buy["ended"]

    trace = second["traceparent"].split("-")[1]
    buy = eventually(lambda: _all(receiver.spans(trace), names), what="the spans")["buy"]
    assert (buy["dialstock.outcome"], buy["status"]) == ("refused", 2)
    told = b"".join(seen.body for seen in receiver.seen)
    assert not [secret for secret in (TOKEN, number[1:], refused[1:]) if secret.encode() in told]


def _all(spans: dict[str, Any], names: set[str]) -> dict[str, Any] | None:
    return spans if names <= spans.keys() else None


@pytest.mark.parametrize("given", ["no trace", 7, {"a": [1]}, None], ids=str)
def test_a_header_that_is_no_trace_is_passed_over(
    place: Place, celery_setup: object, results: Results, number: str, given: object
) -> None:
    place.send(message(number, {"traceparent": given}))
    assert "traceparent" not in results.wait(PURCHASED, number)


def test_without_the_packages_a_trace_goes_through_as_it_came(
    fresh_place: Callable[..., Place],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    numbers: Any,
) -> None:
    hidden = tmp_path / "hidden" / "opentelemetry"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not installed')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(hidden.parent), prepend=os.pathsep)
    place = fresh_place()
    place.setup("worker-1")
    [number] = numbers(1)
    with place.results() as results:
        place.send(message(number, {"traceparent": GIVEN}))
        assert results.wait(PURCHASED, number)["traceparent"] == GIVEN
    assert receiver.seen == []
    assert "pip install 'dialstock[otel]'" in (tmp_path / "worker-1.log").read_text(encoding="utf-8")
