"""The configuration: read at a start, and taken over by running processes when it, or an accounts file, changes.

A change is taken over whole or not at all. Who writes the file may do so in several steps, and a mount of Kubernetes
swaps a link: so what it holds is believed once it stood there unchanged for a moment, and a fault is told of only a
moment after that. What is refused is tried again: a secret may be put where it was missing, and purchases settled.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from schemas.config.accounts_file import Contents, read_contents
from schemas.config.errors import ConfigError
from schemas.config.file import Config
from tasks.providers.configured import config_in, right_parts_of, sandbox_config
from workers.settings import SANDBOX, Settings

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file."""

AT_REST = 1.0
"""Seconds for which a file must not have changed before it is taken for whole."""

LOUD_AFTER = 2.0
"""Seconds for which a file with a fault must not have changed before that is told."""

AGAIN = 5.0
"""Seconds before a file that was refused is tried again."""


class NoConfig(ConfigError):
    """There is no configuration file, and nobody chose the sandbox."""


@dataclass(frozen=True)
class Source:
    """A configuration, and what it was read from; None for the sandboxes, which no file names."""

    config: Config
    content: Contents | None


def read_source(settings: Settings) -> Source:
    """The configuration file; the sandboxes only where they were chosen. Raises ConfigError, NoConfig."""
    if settings.sandbox_url:
        return Source(_sandboxes(settings.sandbox_url), None)
    require_file(settings)
    content = read_contents(settings.config_path)
    return Source(config_in(content, settings.config_path), content)


def read_config(settings: Settings) -> Config:
    """The configuration alone. Raises ConfigError, NoConfig."""
    return read_source(settings).config


def read_right_parts(settings: Settings, *, needed: bool = False) -> tuple[Config, ConfigError | None]:
    """For what buys nothing: what is right, and what is wrong. Without a file, unless it is *needed*, nobody is known.

    Raises ConfigError where a file is there and cannot be read at all, and NoConfig.
    """
    if settings.sandbox_url:
        return _sandboxes(settings.sandbox_url), None
    try:
        require_file(settings)
    except NoConfig:
        if needed:
            raise
        return Config(providers={}), None
    return right_parts_of(settings.config_path)


class ConfigFile:
    """The file as it changes under a running process.

    *take* puts a configuration in force, whole; it raises ConfigError where that must not be, and what else it raises
    has it tried again. `refused` says why what stands in the file is not in force.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        take: Callable[[Config], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = settings.config_path
        self._in_force = source
        self._take = take
        self._clock = clock
        self._pending: Contents | None = None
        self._since = self._next = 0.0
        self._told = False
        self.refused: str | None = None

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._in_force.config

    def differs(self) -> bool:
        """Whether the file holds something else at this moment."""
        return self._in_force.content is not None and self._read() != self._in_force.content

    def look(self) -> bool:
        """Take over what stands there, if it is at rest. Returns whether another configuration is in force now."""
        if self._in_force.content is None:
            return False
        content, now = self._read(), self._clock()
        if content == self._in_force.content:
            self._settle(self._in_force)
        elif content != self._pending or self._since == 0.0:
            self._pending, self._told = content, False
            self._since, self._next = now, now + AT_REST
        elif now >= self._next:
            return self._try(content, now)
        return False

    def _try(self, content: Contents | None, now: float) -> bool:
        try:
            # None is what cannot be read, and says so here.
            found = read_contents(self._path) if content is None else content
            config = config_in(found, self._path)
            changed = config.digest != self.config.digest
            if changed:
                self._take(config)
        except ConfigError as exc:
            self._refuse(str(exc), now)
            return False
        self._settle(Source(config, found))
        if changed:
            log.warning("%s has changed: it is in force from now on, as %s", self._path, config.digest)
        return changed

    def _refuse(self, why: str, now: float) -> None:
        if now - self._since < LOUD_AFTER:
            return
        self.refused, self._next = why, now + AGAIN
        if not self._told:
            self._told = True
            log.error("%s has changed and is NOT taken over, what was read before stays in force: %s", self._path, why)

    def _settle(self, source: Source) -> None:
        self._in_force, self._pending, self._since, self.refused = source, None, 0.0, None

    def _read(self) -> Contents | None:
        try:
            return read_contents(self._path)
        except ConfigError:
            return None


def require_file(settings: Settings) -> None:
    """Raise NoConfig where there is no configuration file."""
    # A link to nowhere is a file that cannot be read.
    if not os.path.lexists(settings.config_path):
        raise NoConfig(
            f"there is no {settings.config_path}, so there is nobody to buy from: write it (providers.example.toml "
            "shows how) or name it in DIALSTOCK_CONFIG; to try things out: `dialstock sandbox`, and beside it "
            "`dialstock --sandbox COMMAND`"
        )


def _sandboxes(url: str) -> Config:
    try:
        return sandbox_config(url)
    except ConfigError as exc:
        raise ConfigError(f"{SANDBOX} names {url!r}, where no sandbox can be: {exc}") from exc
