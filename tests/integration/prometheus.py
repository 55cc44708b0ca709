"""A Prometheus that scrapes one address each second; from Debian's package, as it has promtool."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.containers import LocalProcess
from tests.servers import unavailable
from tests.servers.redis import free_port
from tests.waiting import PATIENCE, eventually


class Prometheus(httpx.Client):
    """Its HTTP API."""

    def ask(self, what: str, **params: str) -> Any:
        """The data of an answer that must be one."""
        answer = self.get(f"/api/v1/{what}", params=params).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    def values(self, query: str) -> list[float]:
        """What a query comes to now."""
        return [float(one["value"][1]) for one in self.ask("query", query=query)["result"]]


@contextmanager
def prometheus_of(target: str, home: Path, rules: Path) -> Iterator[Prometheus]:
    """One that scrapes *target*, HOST:PORT, and evaluates *rules*."""
    program = shutil.which("prometheus") or unavailable("prometheus", "apt-get install prometheus")
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "dialstock", "static_configs": [{"targets": [target]}]}],
    }
    (home / "prometheus.yaml").write_text(json.dumps(config))
    command = [program, f"--config.file={home}/prometheus.yaml", f"--storage.tsdb.path={home}/prometheus"]
    process = LocalProcess(
        "prometheus", [*command, f"--web.listen-address=127.0.0.1:{port}"], {}, home / "prometheus.log"
    )
    try:
        with Prometheus(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE) as client:
            eventually(lambda: _ready(client), what="Prometheus answers")
            yield client
    finally:
        process.stop()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.HTTPError:
        return False
