"""The YAML documents of deploy/, read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tests.servers import unavailable

DEPLOY = Path(__file__).parents[2] / "deploy"


def load_all(path: Path) -> list[Any]:
    if importlib.util.find_spec("yaml") is None:
        unavailable("PyYAML", "it is one of the development packages, see `make setup`")
    import yaml  # noqa: PLC0415 - may be missing

    return list(yaml.safe_load_all(path.read_text()))


def compose() -> dict[str, Any]:
    return dict(load_all(DEPLOY / "compose.yaml")[0])


def manifests(kind: str) -> dict[str, Any]:
    found = [each for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")) for each in load_all(path)]
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(manifest["spec"]["template"]["spec"])
