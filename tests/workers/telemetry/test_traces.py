"""Traces are told where OpenTelemetry's own variables ask for them; nothing of it is imported where none do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tasks.telemetry import traces
from workers.telemetry.traces import set_up_traces

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
import tasks.messages.celery_tasks, workers.cli, workers.wiring
from workers.telemetry.traces import set_up_traces
set_up_traces({})
assert not [name for name in sys.modules if name.startswith("opentelemetry.")]
set_up_traces({"OTEL_TRACES_EXPORTER": "otlp"})
"""


def test_without_the_packages_all_is_imported_and_one_line_tells_how_to_have_them() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    [line] = done.stderr.splitlines()
    assert "pip install 'dialstock[otel]'" in line


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "shop"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=str,
)
def test_nothing_is_told_where_no_traces_are_asked_for(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[object] = []
    monkeypatch.setattr(traces, "use", used.append)
    set_up_traces(environ)
    assert (used, caplog.records) == ([], [])


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "no traces are told: OTEL_TRACES_EXPORTER is 'zipkin', and can be otlp or none",
        ),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "no traces are told: OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', and can be http/protobuf only",
        ),
    ],
)
def test_what_cannot_be_had_is_told(environ: dict[str, str], told: str, caplog: pytest.LogCaptureFixture) -> None:
    set_up_traces(environ)
    assert [record.getMessage() for record in caplog.records] == [told]
