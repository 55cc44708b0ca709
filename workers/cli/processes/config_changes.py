"""How `dialstock up` goes on with the configuration file as it changes; its workers and beat do so by themselves."""

from __future__ import annotations

import os
from contextlib import ExitStack

from schemas.config.file import Config
from schemas.wording import listed
from tasks import processes
from workers.cli.processes import children
from workers.cli.terminal.context import check_accounts
from workers.cli.terminal.output import say
from workers.config_file import LOOK_EVERY, ConfigFile, Source
from workers.periodic.presence import presence_at
from workers.periodic.timers import Timer
from workers.processes.children import Supervisor
from workers.settings import Settings
from workers.threads import concurrency_for
from workers.wiring import bind_providers


def follow(settings: Settings, source: Source, supervisor: Supervisor, stack: ExitStack) -> None:
    """Refuse what a worker would refuse; give workers the time to stop that their calls may take now."""

    def take_over(config: Config) -> None:
        bind_providers(config, os.environ)
        check_accounts(settings, config)
        supervisor.give_grace(children.WORKERS, children.grace_of(config))
        _tell(file.config, config)

    file = ConfigFile(settings, source, take_over)
    presence = presence_at(settings.database_url, processes.UP, file)
    for one in (Timer("configuration", LOOK_EVERY, file.look), presence):
        one.start()
        stack.callback(one.stop)


def _tell(before: Config, after: Config) -> None:
    say(f"up: the configuration has changed: workers and beat take it over ({listed(after.providers)})", "yellow")
    if concurrency_for(after) > concurrency_for(before):
        say(f"up: restart for this: workers take {concurrency_for(after)} threads by default now", "yellow")
