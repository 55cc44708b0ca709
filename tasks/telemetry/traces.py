"""What each step of a purchase or a release did, as spans of its caller's trace, for OpenTelemetry where it is there.

Spans are told once their step is over, from what is known then: no call waits for one, and one that fails changes
nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self

from schemas.outcomes import Look, Outcome
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.telemetry.traceparent import read, within

log = logging.getLogger(__name__)

Fields = Mapping[str, Any]


class Provider(Protocol):
    """What a span says of the provider: `tasks.runtime.Binding` has it."""

    @property
    def alias(self) -> str:
        """Its name in the configuration."""

    @property
    def kind(self) -> str:
        """Whose API it speaks."""


_tracer: Any = None


def use(tracer: Any) -> None:
    """Tell spans to *tracer*, an opentelemetry.trace.Tracer, from now on; to nobody with None."""
    global _tracer  # noqa: PLW0603 - one for a process, as OpenTelemetry's own provider is
    _tracer = tracer


class Step:
    """A step's time, until it is left, in nanoseconds: `began` is since 1970. Without a tracer no clock is asked."""

    began = took = 0

    def __enter__(self) -> Self:
        if _tracer is not None:
            self.began, self.took = time.time_ns(), -time.perf_counter_ns()
        return self

    def __exit__(self, *_: object) -> None:
        if self.began:
            self.took += time.perf_counter_ns()


@contextmanager
def accepting(task: str, given: object) -> Iterator[None]:
    """Have what a message asks for be part of its caller's trace, *given* in its headers, or of a new one."""
    traceparent = read(given)
    span = None if _tracer is None else _safely(lambda: _begun(task, traceparent))
    try:
        with within(traceparent if span is None else _safely(lambda: _traceparent_of(span))):
            yield
    finally:
        if span is not None:
            _safely(span.end)


def tell_calls(step: Step, provider: Provider, calls: Sequence[tuple[Fields, Outcome]]) -> None:
    """Tell of a call to buy, in the trace of each purchase, a row of that table, that it was made for."""
    for row, outcome in () if _tracer is None else calls:
        said = {
            **_about(provider, row),
            "dialstock.attempt": row["attempts"],
            "dialstock.batch": len(calls),
            "dialstock.outcome": str(outcome.kind),
            "error.type": outcome.error_code,
            "http.response.status_code": outcome.http_status,
        }
        _tell("buy", step, row["traceparent"], said, failed=not outcome.yes)


def tell_release(step: Step, provider: Provider, release: Fields, outcome: ReleaseOutcome) -> None:
    """Tell of a call to give a number back, in the trace of its *release*, a row of that table."""
    if _tracer is None:
        return
    said = {
        **_about(provider, release),
        "dialstock.attempt": release["attempts"],
        "dialstock.outcome": str(outcome.kind),
        "error.type": outcome.error_code,
        "http.response.status_code": outcome.http_status,
    }
    gone = outcome.kind in (ReleaseKind.RELEASED, ReleaseKind.ACCEPTED)
    _tell("release", step, release["traceparent"], said, failed=not gone)


def tell_looks(step: Step, provider: Provider, looks: Iterable[tuple[Fields, Look]]) -> None:
    """Tell of a look, in the trace of each purchase or release that the provider was asked about."""
    for row, look in () if _tracer is None else looks:
        said = {"dialstock.outcome": str(look.kind), "error.type": look.error_code}
        _tell("look", step, row["traceparent"], {**_about(provider, row), **said}, failed=look.error is not None)


def tell_events(step: Step, events: Iterable[Fields]) -> None:
    """Tell of the publication of these rows of the outbox, in the trace of each."""
    for event in () if _tracer is None else events:
        said = {"messaging.system": "redis", "messaging.message.id": event["id"], "dialstock.event": event["type"]}
        _tell("publish", step, event["traceparent"], said)


def _about(provider: Provider, row: Fields) -> dict[str, Any]:
    of_release = "purchase_id" in row
    return {
        "dialstock.purchase": row["purchase_id"] if of_release else row["id"],
        "dialstock.release": row["id"] if of_release else None,
        "dialstock.order": row.get("order_id"),
        "dialstock.provider": provider.alias,
        "dialstock.kind": provider.kind,
    }


def _tell(name: str, step: Step, traceparent: str | None, said: Fields, *, failed: bool = False) -> None:
    if traceparent is not None:
        _safely(lambda: _record(name, step, traceparent, said, failed=failed))


def _record(name: str, step: Step, traceparent: str, said: Fields, *, failed: bool) -> None:
    from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - only where a tracer is there

    span = _tracer.start_span(
        name,
        context=_context(traceparent),
        kind=SpanKind.PRODUCER if name == "publish" else SpanKind.CLIENT,
        attributes={key: value for key, value in said.items() if value is not None},
        start_time=step.began,
    )
    if failed:
        span.set_status(StatusCode.ERROR)
    span.end(step.began + step.took)


def _begun(task: str, traceparent: str | None) -> Any:
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    return _tracer.start_span(task, context=_context(traceparent), kind=SpanKind.CONSUMER)


def _context(traceparent: str | None) -> Any:
    """A context whose span is that of *traceparent*, in another process; an empty one without."""
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context  # noqa: PLC0415

    if traceparent is None:
        return Context()
    _, trace, span, flags = traceparent.split("-")
    parent = SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _traceparent_of(span: Any) -> str | None:
    at = span.get_span_context()
    return read(f"00-{at.trace_id:032x}-{at.span_id:016x}-{at.trace_flags:02x}")


def _safely(do: Callable[[], Any]) -> Any:
    """What *do* returns, None where it fails: samplers and exporters are others' code."""
    try:
        return do()
    except Exception as exc:  # noqa: BLE001 - no purchase goes another way for a trace
        log.debug("a span could not be told: %r", exc)
        return None
