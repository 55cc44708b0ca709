"""The configuration of providers of the installed kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.config import file as config
from schemas.config.accounts_file import Contents, read_contents
from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import SANDBOX_URL, SANDBOX_VARIABLE, ProviderConfig
from tasks.providers.registry import installed, kinds


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigError naming the line of each problem."""
    found = installed()
    return config.load_config(path, found.kinds, found.unusable)


def config_in(contents: Contents, path: Path) -> Config:
    """The configuration in what was read from *path*. Raises ConfigError naming the line of each problem."""
    found = installed()
    return config.config_in(contents, path, found.kinds, found.unusable)


def right_parts_of(path: Path) -> tuple[Config, ConfigError | None]:
    """What is right in a configuration file, and what is wrong. Raises ConfigError where it cannot be read at all."""
    found = installed()
    return config.right_parts_in(read_contents(path), path, found.kinds, found.unusable)


def parse_config(text: str, name: str) -> Config:
    """Check the text of a configuration file; *name* stands in the messages. Raises ConfigError."""
    found = installed()
    return config.parse_config(text, name, found.kinds, found.unusable)


def sandbox_config(base_url: str = SANDBOX_URL, policies: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """The sandboxes of `dialstock sandbox` at *base_url*, each under its kind as alias. Raises ConfigError."""
    return Config(providers=_sandboxes(kinds(), base_url, policies or {}))


def sandbox_provider(kind: str, base_url: str = SANDBOX_URL, policy: Mapping[str, Any] | None = None) -> ProviderConfig:
    """The sandbox of one *kind* at *base_url*. Raises ConfigError."""
    return _sandboxes([kind], base_url, {kind: policy or {}})[kind]


def _sandboxes(
    names: Iterable[str], base_url: str, policies: Mapping[str, Mapping[str, Any]]
) -> dict[str, ProviderConfig]:
    tables = {
        name: {
            "kind": name,
            "base_url": f"{base_url}/{name}",
            "token_env": SANDBOX_VARIABLE,
            "policy": dict(policies.get(name, {})),
            **kinds()[name].sandbox.fields,
        }
        for name in names
    }
    return config.read_providers(tables, kinds())
