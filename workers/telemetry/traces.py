"""OpenTelemetry, where its own variables ask for traces and `dialstock[otel]` is there; else none of it is imported.

The variables are those of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.metadata import version

from tasks.telemetry import traces

log = logging.getLogger(__name__)

_EXPORTER, _DISABLED, _SERVICE = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


def set_up_traces(environ: Mapping[str, str] | None = None) -> None:
    """Have this process tell spans, by OTLP over HTTP, where that is asked for.

    What cannot be is told in the log: a worker goes on without traces.
    """
    environ = os.environ if environ is None else environ
    if not _asked(environ):
        return
    if problem := _problem(environ):
        log.warning("no traces are told: %s", problem)
        return
    try:
        _use_sdk(environ)
    except ImportError as exc:
        log.warning("no traces are told, though OTEL variables ask for them: pip install 'dialstock[otel]' (%s)", exc)


def _asked(environ: Mapping[str, str]) -> bool:
    if environ.get(_DISABLED, "").strip().lower() == "true":
        return False
    exporter = environ.get(_EXPORTER, "").strip()
    return exporter != "none" and any(environ.get(name) for name in (_EXPORTER, *_ENDPOINTS))


def _problem(environ: Mapping[str, str]) -> str | None:
    """What is asked for and not to be had, in words."""
    if (exporter := environ.get(_EXPORTER, "").strip()) not in ("", "otlp"):
        return f"{_EXPORTER} is {exporter!r}, and can be otlp or none"
    protocol = next((name for name in _PROTOCOLS if environ.get(name)), None)
    if protocol and environ[protocol].strip() != _PROTOCOL:
        return f"{protocol} is {environ[protocol]!r}, and can be {_PROTOCOL} only"
    return None


def _use_sdk(environ: Mapping[str, str]) -> None:
    """Raises ImportError."""
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    # One that is there is that of `opentelemetry-instrument`, or of the parent of this process.
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        named = environ.get(_SERVICE) or f"{SERVICE_NAME}=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        provider = TracerProvider(resource=Resource.create({} if named else {SERVICE_NAME: "dialstock"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    traces.use(trace.get_tracer("dialstock", version("dialstock")))
