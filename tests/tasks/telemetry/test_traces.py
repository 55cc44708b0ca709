"""Each step tells its span to its purchase's trace; what is wrong with that changes no purchase."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from schemas.status import Status
from tasks.releases import giving_back
from tasks.telemetry import traces
from tasks.telemetry.traceparent import present
from tests.tasks.releasing import LOST, takes_back
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import NUMBER, World

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TASK = "dialstock.buy_number"
RELEASE_TASK = "dialstock.release_number"


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider.get_tracer("test"))
    yield exporter
    traces.use(None)
    provider.shutdown()


class _Broken:
    """A tracer of somebody else's, with a bug."""

    def start_span(self, *_: object, **__: object) -> object:
        raise RuntimeError("a sampler's bug")


@pytest.fixture
def broken() -> Iterator[None]:
    traces.use(_Broken())
    yield
    traces.use(None)


def accepted(world: World, given: object = GIVEN) -> str:
    with traces.accepting(TASK, given):
        return str(world.accept()["id"])


def test_what_a_message_asks_for_is_a_span_of_its_callers(world: World, told: InMemorySpanExporter) -> None:
    accepted(world)
    [span] = told.get_finished_spans()
    assert (span.name, span.kind, span.parent and span.parent.span_id) == (TASK, SpanKind.CONSUMER, 0x00F067AA0BA902B7)


def test_without_a_callers_trace_one_begins(world: World, told: InMemorySpanExporter) -> None:
    row = world.row(accepted(world, "no trace"))
    [span] = told.get_finished_spans()
    assert span.parent is None
    assert f"{span.context.trace_id:032x}-{span.context.span_id:016x}" in row["traceparent"]


def test_a_call_in_doubt_and_its_looks_are_spans(world: World, told: InMemorySpanExporter) -> None:
    purchase_id = accepted(world)
    world.provider.script.append(UNKNOWN)
    world.work()
    assert world.settle(purchase_id)["status"] == Status.PURCHASED
    first, *spans = told.get_finished_spans()
    assert [one.name for one in spans if one.name != "look"] == ["buy", "buy"]
    assert "look" in [one.name for one in spans]
    assert {one.parent and one.parent.span_id for one in spans} == {first.context.span_id}
    assert {one.kind for one in spans} == {SpanKind.CLIENT}
    said = [(one.attributes or {}) for one in spans if one.name == "buy"]
    assert [one["dialstock.attempt"] for one in said] == [1, 2]
    assert [one["dialstock.outcome"] for one in said] == ["unknown", "purchased"]
    assert [one.status.status_code for one in spans if one.name == "buy"] == [StatusCode.ERROR, StatusCode.UNSET]
    assert all(NUMBER not in str(one.attributes) for one in spans)


def test_a_call_to_give_back_in_doubt_and_its_looks_are_spans(world: World, told: InMemorySpanExporter) -> None:
    returns = takes_back(world)
    row = returns.bought()
    with traces.accepting(RELEASE_TASK, GIVEN):
        wanted = {"number": NUMBER, "provider": "acme", "idempotency_key": "back"}
        release = giving_back.release_number(returns.runtime, wanted, "message-1")
    returns.provider.answers += [LOST]
    assert returns.settle(row)["status"] == Status.RELEASED
    first, *spans = told.get_finished_spans()
    assert first.name == RELEASE_TASK
    assert {one.parent and one.parent.span_id for one in spans} == {first.context.span_id}
    said = [(one.attributes or {}) for one in spans]
    assert {(one["dialstock.purchase"], one["dialstock.release"]) for one in said} == {(row["id"], release["id"])}
    calls = [one.attributes or {} for one in spans if one.name == "release"]
    assert [(one["dialstock.attempt"], one["dialstock.outcome"]) for one in calls] == [(1, "unknown"), (2, "released")]
    assert [one.status.status_code for one in spans if one.name == "release"] == [StatusCode.ERROR, StatusCode.UNSET]
    assert "look" in [one.name for one in spans]
    assert all(NUMBER not in str(one.attributes) for one in spans)


def test_a_purchase_without_a_trace_has_no_spans(world: World, told: InMemorySpanExporter) -> None:
    world.accept()
    world.work()
    assert told.get_finished_spans() == ()


@pytest.mark.usefixtures("broken")
def test_a_tracer_that_fails_changes_nothing(world: World) -> None:
    purchase_id = accepted(world)
    world.work()
    assert world.row(purchase_id)["status"] == Status.PURCHASED
    assert present() is None


def test_without_a_tracer_the_callers_trace_is_kept_as_it_came(world: World) -> None:
    assert world.row(accepted(world))["traceparent"] == GIVEN
