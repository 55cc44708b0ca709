"""Where the database, Redis and the configuration are: read from the environment, by twelve-factor names.

DATABASE_URL       postgresql://USER:PASSWORD@HOST/NAME or sqlite:///PATH; else SQLite under DIALSTOCK_HOME
REDIS_URL          redis://:PASSWORD@HOST:6379/0 or rediss://...; else the embedded server under DIALSTOCK_HOME;
                   or the sentinels that watch it: sentinel://:PASSWORD@HOST:26379,HOST:26379,HOST:26379/NAME/0
CELERY_BROKER_URL  as REDIS_URL, and by default the same
REDIS_KEY_PREFIX   what all names in Redis begin with, queues, channels and streams too, like staging: for installations
                   that share a Redis; by default nothing, and the same for all processes of one installation
DIALSTOCK_CONFIG   the providers' file, by default providers.toml; without that file nothing can be bought
DIALSTOCK_HOME     what runs embedded keeps its data here, by default .dialstock
DIALSTOCK_SANDBOX  the address of a `dialstock sandbox`, like http://127.0.0.1:8790, instead of the file and the servers
                   above: what is tried out has its own, in the folder `sandbox` of DIALSTOCK_HOME, and shares nothing
                   with what is real; `dialstock --sandbox` sets it

DIALSTOCK_EMBEDDED         no where DATABASE_URL and REDIS_URL must name servers, as in the image: a variable that is
                           missing or misspelt is an error there, and not a table that goes with its container; by
                           default yes. The sandbox, in which nothing is real, may always run embedded
DIALSTOCK_LOG              json for log lines that are JSON objects; by default text, with the same fields
DIALSTOCK_ALIVE            a folder in which each process writes that it goes on, for `dialstock doctor --alive`
DIALSTOCK_OPERATORS        who may change something on Flower's pages under /dialstock/, like ann,bob: names of its
                           passwords or log-ins; by default everybody whom it lets in
DIALSTOCK_EVENT_RETENTION  how long published events are kept for a replay, like 12h or 30d; by default 7d
DIALSTOCK_REJECTED_RETENTION  how long rejected messages are kept, like 30d, or forever; by default 90d, at least 7d
DIALSTOCK_REQUEST_RETENTION   the same for answered takes and returns; by default 400d, at least 30d: sent again after
                              that, a request is a new one, and takes another number
DIALSTOCK_RECORD_RETENTION    the same for the calls of settled purchases, resolved findings, and runs of pools that
                              ordered nothing; by default 3650d, as long as books are kept; at least 90d
DIALSTOCK_STREAM_LENGTH    about how many events the stream dialstock:results keeps; by default 1000000

DIALSTOCK_DATABASE_CONNECTIONS  the most that one process has to PostgreSQL at once, 2 or more; by default 8

With rediss:// the server's certificate is verified. A private CA stands in a PEM file that every process can read, and
the URL names it: rediss://:PASSWORD@HOST:6379/0?ssl_ca_certs=/path/to/ca.pem (ssl_certfile= and ssl_keyfile= where the
server asks for one too). Only ssl_cert_reqs=none and ssl_check_hostname=false in the URL turn the checks off. So it is
with sentinels://, of which sentinels and servers all speak TLS; the option sentinel_password= is for the sentinels.

Each URL may also stand in a file, as container platforms hand out secrets: DATABASE_URL_FILE=/run/secrets/database_url.
A variable that is empty counts as not set.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy.engine import URL

from schemas.config.provider import SANDBOX_URL
from schemas.config.rates import parse_duration
from schemas.events import STREAM_LENGTH
from schemas.retention import DAY, Retention
from workers.database.connect_options import CONNECTIONS, LEAST_CONNECTIONS
from workers.redaction import URL_VARIABLES, redacted
from workers.server_urls import SettingsError, database_url, read_url, redis_url
from workers.telemetry.logs import wants_json

EVENT_RETENTION = 7 * 86400.0
SANDBOX = "DIALSTOCK_SANDBOX"
EMBEDDED = "DIALSTOCK_EMBEDDED"

_REAL = ("DIALSTOCK_CONFIG", *URL_VARIABLES, *(f"{name}_FILE" for name in URL_VARIABLES))
"""What names the file of the real providers, and servers that may hold what is real."""


@dataclass(frozen=True)
class Settings:
    """What one process needs to find the rest.

    redis_url and broker_url are empty where the embedded server is meant, whose address is known once it runs.
    sandbox_url is empty unless the sandbox was chosen. event_retention is in seconds. key_prefix is what the names of
    all keys and channels in Redis begin with.
    """

    database_url: str
    redis_url: str
    broker_url: str
    config_path: Path
    home: Path
    embedded_redis: bool
    embedded_database: bool
    event_retention: float = EVENT_RETENTION
    stream_length: int = STREAM_LENGTH
    database_connections: int = CONNECTIONS
    retention: Retention = field(default_factory=Retention)
    sandbox_url: str = ""
    key_prefix: str = ""

    def with_redis(self, url: str) -> Settings:
        """The same with the embedded server's address filled in."""
        return replace(self, redis_url=url, broker_url=self.broker_url or url)

    def __repr__(self) -> str:
        urls = ", ".join(redacted(url) for url in (self.database_url, self.redis_url, self.broker_url))
        return f"Settings({urls}, config={self.config_path}, home={self.home})"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings; creates nothing. Raises SettingsError."""
    env = os.environ if environ is None else environ
    wants_json(env)
    sandbox = _sandbox_url(env)
    home = Path(env.get("DIALSTOCK_HOME") or ".dialstock").expanduser().absolute()
    home = home / "sandbox" if sandbox else home
    database = read_url(env, "DATABASE_URL")
    redis = redis_url(env, "REDIS_URL")
    if not sandbox:
        _check_embedded(env, {"DATABASE_URL": database, "REDIS_URL": redis})
    return Settings(
        database_url=database_url(database) if database else _sqlite_under(home),
        redis_url=redis,
        broker_url=redis_url(env, "CELERY_BROKER_URL") or redis,
        config_path=_config_path(env),
        home=home,
        embedded_redis=not redis,
        embedded_database=not database,
        event_retention=_event_retention(env),
        stream_length=_stream_length(env),
        database_connections=_database_connections(env),
        retention=_retention(env),
        sandbox_url=sandbox,
        key_prefix=_key_prefix(env),
    )


def choose_sandbox(environ: MutableMapping[str, str]) -> None:
    """Have this process and its children try things out: whatever else *environ* names is left aside."""
    environ[SANDBOX] = environ.get(SANDBOX, "").strip() or SANDBOX_URL
    for name in _REAL:
        # Out of the environment, for Celery reads CELERY_BROKER_URL itself, and prefers it to what it is told.
        environ.pop(name, None)


def _sandbox_url(env: Mapping[str, str]) -> str:
    value = env.get(SANDBOX, "").strip().rstrip("/")
    if value and (real := [name for name in _REAL if env.get(name, "").strip()]):
        message = f"{SANDBOX} is set, and {', '.join(real)} too: what is tried out and what is real share nothing"
        raise SettingsError(f"{message}: unset the one or the other (`dialstock --sandbox` leaves the real ones aside)")
    return value


def _check_embedded(env: Mapping[str, str], urls: Mapping[str, str]) -> None:
    """What is embedded in a container goes with it, and each of several would have a table of its own."""
    value = env.get(EMBEDDED, "").strip().lower()
    if value not in ("", "yes", "no"):
        raise SettingsError(f"{EMBEDDED}: {value!r} is neither yes nor no")
    missing = [name for name, url in urls.items() if not url]
    if value == "no" and missing:
        like = {name: found for name in missing if (found := _misspelt(env, name))}
        meant = "".join(f"; {found} is set: is {name} meant?" for name, found in like.items())
        both = " and ".join(f"{name} (or {name}_FILE)" for name in missing)
        raise SettingsError(f"{both} not set, and {EMBEDDED}=no: name the server there{meant}")


def _misspelt(env: Mapping[str, str], name: str) -> str | None:
    """The variable that is most like *name*, and none of those that we know."""
    others = {other.upper(): other for other in env if other not in _REAL}
    found = difflib.get_close_matches(name, others, n=1, cutoff=0.8)
    return others[found[0]] if found else None


def _sqlite_under(home: Path) -> str:
    return URL.create("sqlite", database=str(home / "dialstock.db")).render_as_string()


def _event_retention(env: Mapping[str, str]) -> float:
    value = env.get("DIALSTOCK_EVENT_RETENTION", "").strip()
    try:
        return parse_duration(value) if value else EVENT_RETENTION
    except ValueError:
        hint = "write it like 12h or 30d, up to 366d"
        raise SettingsError(f"DIALSTOCK_EVENT_RETENTION: {value!r} is no duration: {hint}") from None


_LEAST = {"rejected": 7, "request": 30, "record": 90}
"""Days: far more than a message is delivered again after, a call is answered after, or an audit looks back to."""


def _retention(env: Mapping[str, str]) -> Retention:
    default = Retention()
    return Retention(
        rejected=_kept(env, "rejected", default.rejected),
        requests=_kept(env, "request", default.requests),
        records=_kept(env, "record", default.records),
    )


def _kept(env: Mapping[str, str], what: str, default: float | None) -> float | None:
    name = f"DIALSTOCK_{what.upper()}_RETENTION"
    value = env.get(name, "").strip()
    if not value:
        return default
    if value == "forever":
        return None
    if not (found := re.fullmatch(r"([0-9]{1,5})d", value)):
        raise SettingsError(f"{name}: {value!r} is no number of days: write it like 365d, or forever")
    if int(found[1]) < _LEAST[what]:
        raise SettingsError(
            f"{name}: {value} is too short, what is repeated would be done again: {_LEAST[what]}d or more"
        )
    return int(found[1]) * DAY


def _stream_length(env: Mapping[str, str]) -> int:
    value = env.get("DIALSTOCK_STREAM_LENGTH", "").strip()
    if not value:
        return STREAM_LENGTH
    if not re.fullmatch(r"[0-9]{1,12}", value) or int(value) == 0:
        raise SettingsError(f"DIALSTOCK_STREAM_LENGTH: {value!r} is no number of events: write it like 1000000")
    return int(value)


def _database_connections(env: Mapping[str, str]) -> int:
    name = "DIALSTOCK_DATABASE_CONNECTIONS"
    value = env.get(name, "").strip()
    if value and not (re.fullmatch(r"[0-9]{1,4}", value) and int(value) >= LEAST_CONNECTIONS):
        raise SettingsError(
            f"{name}: {value!r} is no number of connections: write it like 8, {LEAST_CONNECTIONS} or more"
        )
    return int(value or CONNECTIONS)


def _key_prefix(env: Mapping[str, str]) -> str:
    value = env.get("REDIS_KEY_PREFIX", "").strip()
    # It stands in patterns of Redis too, in which *, ? and [ mean something.
    if not re.fullmatch(r"[A-Za-z0-9_.:/-]{0,64}", value):
        hint = "write up to 64 letters, digits and _ . : / -, like staging:"
        raise SettingsError(f"REDIS_KEY_PREFIX: {value!r} cannot begin the name of a key: {hint}")
    return value


def _config_path(env: Mapping[str, str]) -> Path:
    value = env.get("DIALSTOCK_CONFIG", "").strip()
    if not value:
        return Path("providers.toml").absolute()
    path = Path(value).expanduser().absolute()
    if not path.is_file():
        raise SettingsError(f"DIALSTOCK_CONFIG names {path}, which is no file: mend the path, or unset it")
    return path
