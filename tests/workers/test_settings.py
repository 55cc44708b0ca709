"""The settings: defaults, what is accepted, and messages that mend without showing a password."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from schemas.retention import DAY, Retention
from workers.server_urls import SettingsError
from workers.settings import choose_sandbox, load_settings

SECRET = "s3cr3t"


def test_with_nothing_set_everything_is_embedded_under_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.home == tmp_path / ".dialstock"
    assert settings.database_url == f"sqlite:///{tmp_path}/.dialstock/dialstock.db"
    assert settings.config_path == tmp_path / "providers.toml"
    assert (settings.redis_url, settings.broker_url) == ("", "")
    assert settings.embedded_redis
    assert settings.embedded_database
    assert not settings.home.exists()


@pytest.mark.parametrize("name", ["a home", "50% off?", "c#"])
def test_the_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    settings = load_settings({"DIALSTOCK_HOME": str(tmp_path / name)})
    assert make_url(settings.database_url).database == str(tmp_path / name / "dialstock.db")


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/3")
    assert load_settings().redis_url == "redis://cache:6379/3"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_url_gets_our_driver(scheme: str) -> None:
    settings = load_settings({"DATABASE_URL": f"{scheme}://user:{SECRET}@db:5433/dialstock?sslmode=require"})
    assert settings.database_url == f"postgresql+psycopg://user:{SECRET}@db:5433/dialstock?sslmode=require"
    assert not settings.embedded_database


def test_a_postgresql_password_keeps_its_meaning() -> None:
    url = load_settings({"DATABASE_URL": "postgres://user:a%2Fb%40c%25@db/x"}).database_url
    assert make_url(url).password == "a/b@c%"


def test_a_sqlite_file_may_be_named() -> None:
    assert load_settings({"DATABASE_URL": "sqlite:////var/lib/d.db"}).database_url == "sqlite:////var/lib/d.db"


def test_the_broker_is_redis_unless_it_is_named() -> None:
    redis = {"REDIS_URL": "rediss://:pw@cache:6380/0"}
    assert load_settings(redis).broker_url == "rediss://:pw@cache:6380/0"
    assert load_settings({**redis, "CELERY_BROKER_URL": "redis://broker/1"}).broker_url == "redis://broker/1"


def test_the_embedded_address_is_filled_in_later() -> None:
    settings = load_settings({}).with_redis("redis://:pw@127.0.0.1:1/0")
    assert settings.redis_url == settings.broker_url == "redis://:pw@127.0.0.1:1/0"
    named = load_settings({"CELERY_BROKER_URL": "redis://broker/1"}).with_redis("redis://127.0.0.1:1/0")
    assert named.broker_url == "redis://broker/1"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings({"DATABASE_URL": "", "REDIS_URL": " ", "DIALSTOCK_CONFIG": ""}).embedded_redis


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"])
def test_a_url_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    scheme = "postgresql+psycopg" if name == "DATABASE_URL" else "redis"
    (tmp_path / "secret").write_text(f"{scheme}://user:pw@host/0\n")
    settings = load_settings({f"{name}_FILE": str(tmp_path / "secret")})
    assert f"{scheme}://user:pw@host/0" in (settings.database_url, settings.redis_url, settings.broker_url)


def test_a_secret_file_that_is_missing_empty_or_doubled_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL_FILE names /nowhere, which cannot be read"):
        load_settings({"REDIS_URL_FILE": "/nowhere"})
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingsError, match="which is empty: put the URL there"):
        load_settings({"REDIS_URL_FILE": str(tmp_path / "empty")})
    with pytest.raises(SettingsError, match="both set: keep one"):
        load_settings({"REDIS_URL_FILE": "/nowhere", "REDIS_URL": "redis://host"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", SECRET, "DATABASE_URL is not a URL: write it like postgresql://"),
        ("DATABASE_URL", f"mysql://u:{SECRET}@db/x", "scheme 'mysql' is not supported: write it like postgresql://"),
        ("DATABASE_URL", f"postgresql+asyncpg://u:{SECRET}@db/x", "scheme 'postgresql.asyncpg' is not supported"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@db:port/x", "the port is not a number"),
        (
            "DATABASE_URL",
            f"postgresql://u:{SECRET}@a:1,b:2/x",
            r"several hosts.*@/NAME\?host=HOST,HOST&port=PORT,PORT$",
        ),
        ("DATABASE_URL", f"postgresql://u:p,{SECRET}@db:port/x?host=a,b", "the port is not a number"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@/x?host=a:1,b:2", "takes hosts alone, .*host=HOST,HOST&port=PORT"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@/x?host=[::1]", "takes hosts alone, without ports and brackets"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@/x?host=a,b&port=1", "hosts and ports do not go together: write"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@/x?host=a:1&host=b:2&port=3", "hosts and ports do not go together"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@/x?service=none", "names no service of ~/.pg_service.conf"),
        ("REDIS_URL", f"redis://:{SECRET}@a:1,b:2/0", "several hosts stand in it: name one, or sentinels"),
        ("REDIS_URL", f"redis://:a,{SECRET}@cache:port/0", "the host or the port cannot be read"),
        ("DATABASE_URL", f"postgresql://u:a@{SECRET}@db/x", "the host contains an @: percent-encode"),
        ("DATABASE_URL", "sqlite://", "cannot share SQLite in memory: name a file"),
        ("DATABASE_URL", "sqlite:///:memory:", "cannot share SQLite in memory: name a file"),
        ("DATABASE_URL", "sqlite://data/d.db", "three slashes"),
        ("REDIS_URL", SECRET, "REDIS_URL is not a URL: write it like redis://"),
        ("REDIS_URL", f"valkey://:{SECRET}@cache/0", "scheme 'valkey' is not supported: write it like redis://"),
        ("REDIS_URL", f"redis://:{SECRET}/x@cache/0", "percent-encode special characters"),
        ("REDIS_URL", f"redis://:#{SECRET}@cache/0", "percent-encode special characters"),
        ("REDIS_URL", "redis:///0", "names no host"),
        ("REDIS_URL", f"redis://:{SECRET}@cache/zero", "only a database number may follow the host"),
        ("CELERY_BROKER_URL", f"amqp://u:{SECRET}@rabbit", "CELERY_BROKER_URL: scheme 'amqp' is not supported"),
        ("DIALSTOCK_CONFIG", "/nowhere/providers.toml", "names /nowhere/providers.toml, which is no file"),
    ],
)
def test_a_wrong_value_is_named_with_its_mend_and_without_its_password(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings({name: value})
    assert name in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_is_tried_out_has_a_home_of_its_own(tmp_path: Path) -> None:
    settings = load_settings({"DIALSTOCK_HOME": str(tmp_path), "DIALSTOCK_SANDBOX": " http://127.0.0.1:1/ "})
    assert (settings.home, settings.sandbox_url) == (tmp_path / "sandbox", "http://127.0.0.1:1")
    assert settings.database_url == f"sqlite:///{tmp_path}/sandbox/dialstock.db"
    assert load_settings({"DIALSTOCK_SANDBOX": " "}).sandbox_url == ""


def test_choosing_the_sandbox_leaves_aside_what_is_real() -> None:
    real = ("DIALSTOCK_CONFIG", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
    names = [*real, *(f"{name}_FILE" for name in real[1:])]
    for name in names:
        with pytest.raises(SettingsError, match=f"DIALSTOCK_SANDBOX is set, and {name} too"):
            load_settings({"DIALSTOCK_SANDBOX": "http://127.0.0.1:1", name: "x"})
    environ = {**dict.fromkeys(names, "x"), "OTHER": "y"}
    choose_sandbox(environ)
    assert environ == {"OTHER": "y", "DIALSTOCK_SANDBOX": "http://127.0.0.1:8790"}
    choose_sandbox(named := {"DIALSTOCK_SANDBOX": "http://127.0.0.1:1"})
    assert named["DIALSTOCK_SANDBOX"] == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("REDIS_URL", "REDIS://:Pw@Cache:1/0", "redis://:Pw@Cache:1/0"),
        ("CELERY_BROKER_URL", "Rediss://:Pw@c/0", "rediss://:Pw@c/0"),
        ("REDIS_URL", "SENTINEL://:Pw@a:1,b:2/Name/0", "sentinel://:Pw@a:1,b:2/Name/0"),
        ("REDIS_URL", "redis://:a,b@c/0", "redis://:a,b@c/0"),
        ("DATABASE_URL", "POSTGRESQL://U:Pw@Db/X", "postgresql+psycopg://U:Pw@Db/X"),
        ("DATABASE_URL", "Sqlite:////Tmp/X.db", "sqlite:////Tmp/X.db"),
        ("DATABASE_URL", "postgresql://u:p,q@a,b:5/x", "postgresql+psycopg://u:p%2Cq@a,b:5/x"),
    ],
)
def test_a_scheme_may_be_written_in_any_case(tmp_path: Path, name: str, value: str, taken: str) -> None:
    (tmp_path / "url").write_text(value)
    for environ in ({name: value}, {f"{name}_FILE": str(tmp_path / "url")}):
        settings = load_settings(environ)
        assert taken in (settings.database_url, settings.redis_url, settings.broker_url)


def test_settings_can_be_logged() -> None:
    settings = load_settings({"DATABASE_URL": f"postgres://u:{SECRET}@db/x", "REDIS_URL": f"redis://:{SECRET}@c/0"})
    assert SECRET not in repr(settings)
    assert "postgresql+psycopg://u:***@db/x" in repr(settings)


@pytest.mark.parametrize(
    ("environ", "retention", "length"),
    [
        ({}, 7 * 86400.0, 1_000_000),
        ({"DIALSTOCK_EVENT_RETENTION": " ", "DIALSTOCK_STREAM_LENGTH": ""}, 7 * 86400.0, 1_000_000),
        ({"DIALSTOCK_EVENT_RETENTION": "12h", "DIALSTOCK_STREAM_LENGTH": "5000"}, 43_200.0, 5000),
        ({"DIALSTOCK_EVENT_RETENTION": "30d"}, 30 * 86400.0, 1_000_000),
    ],
)
def test_how_much_is_kept_of_the_events(environ: dict[str, str], retention: float, length: int) -> None:
    settings = load_settings(environ)
    assert (settings.event_retention, settings.stream_length) == (retention, length)
    assert settings.with_redis("redis://x").event_retention == retention


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DIALSTOCK_EVENT_RETENTION", "a week", "'a week' is no duration: write it like 12h or 30d"),
        ("DIALSTOCK_EVENT_RETENTION", "9999d", "'9999d' is no duration"),
        ("DIALSTOCK_STREAM_LENGTH", "0", "'0' is no number of events"),
        ("DIALSTOCK_STREAM_LENGTH", "-5", "'-5' is no number of events"),
        ("DIALSTOCK_STREAM_LENGTH", "1e6", "'1e6' is no number of events: write it like 1000000"),
    ],
)
def test_what_is_no_measure_of_events_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: {message}"):
        load_settings({name: value})


SERVERS = {"DATABASE_URL": "postgresql://u:pw@db/x", "REDIS_URL": "redis://:pw@cache/0"}


class TestAnInstallationForServers:
    @pytest.mark.parametrize("name", SERVERS)
    @pytest.mark.parametrize("value", [None, "", " "])
    def test_a_server_that_is_not_named_is_an_error(self, name: str, value: str | None) -> None:
        env = {**SERVERS, "DIALSTOCK_EMBEDDED": "no", name: value}
        with pytest.raises(SettingsError, match=rf"^{name} \(or {name}_FILE\) not set, and DIALSTOCK_EMBEDDED=no"):
            load_settings({key: text for key, text in env.items() if text is not None})

    def test_both_are_told_at_once(self) -> None:
        with pytest.raises(SettingsError, match=r"DATABASE_URL .* and REDIS_URL .* not set"):
            load_settings({"DIALSTOCK_EMBEDDED": "No"})

    @pytest.mark.parametrize("misspelt", ["DATABSE_URL", "DATABASE_URI", "database_url", "DATABASE-URL", "DATABASEURL"])
    def test_a_misspelt_name_is_pointed_at_and_its_value_is_not_shown(self, misspelt: str) -> None:
        env = {"REDIS_URL": SERVERS["REDIS_URL"], misspelt: f"postgresql://u:{SECRET}@db/x", "DIALSTOCK_EMBEDDED": "no"}
        with pytest.raises(SettingsError, match=f"{misspelt} is set: is DATABASE_URL meant") as error:
            load_settings(env)
        assert SECRET not in str(error.value)

    def test_one_known_name_is_not_taken_for_the_other(self) -> None:
        env = {"DATABASE_URL_FILE": "", "REDIS_URL": "redis://a/0", "DIALSTOCK_EMBEDDED": "no"}
        with pytest.raises(SettingsError) as error:
            load_settings(env)
        assert "meant" not in str(error.value)

    def test_servers_that_are_named_are_taken(self, tmp_path: Path) -> None:
        (tmp_path / "url").write_text(SERVERS["DATABASE_URL"])
        env = {"DATABASE_URL_FILE": str(tmp_path / "url"), "REDIS_URL": SERVERS["REDIS_URL"]}
        settings = load_settings({**env, "DIALSTOCK_EMBEDDED": "no"})
        assert (settings.embedded_database, settings.embedded_redis) == (False, False)

    def test_the_sandbox_may_run_embedded(self) -> None:
        env = {"DIALSTOCK_EMBEDDED": "no"}
        choose_sandbox(env)
        assert load_settings(env).embedded_database

    @pytest.mark.parametrize("value", ["yes", "YES", ""])
    def test_elsewhere_it_stays_as_it_was(self, value: str) -> None:
        assert load_settings({"DIALSTOCK_EMBEDDED": value}).embedded_database

    @pytest.mark.parametrize("value", ["nein", "false", "0", "n o"])
    def test_what_is_neither_yes_nor_no_is_an_error(self, value: str) -> None:
        with pytest.raises(SettingsError, match="neither yes nor no"):
            load_settings({**SERVERS, "DIALSTOCK_EMBEDDED": value})


@pytest.mark.parametrize("prefix", ["", "staging:", "a/b.c_d-1:", "x" * 64])
def test_what_the_names_in_redis_may_begin_with(prefix: str) -> None:
    assert load_settings({"REDIS_KEY_PREFIX": prefix}).key_prefix == prefix


@pytest.mark.parametrize("prefix", ["all*", "a?", "[a]", "a b", "{a}", "é", "x" * 65, "a\nb"])
def test_a_prefix_that_is_a_pattern_is_refused(prefix: str) -> None:
    with pytest.raises(
        SettingsError, match=r"REDIS_KEY_PREFIX: .* cannot begin the name of a key: write up to 64 letters"
    ):
        load_settings({"REDIS_KEY_PREFIX": prefix})


def test_how_long_what_grows_is_kept() -> None:
    assert load_settings({}).retention == Retention(rejected=90 * DAY, requests=400 * DAY, records=3650 * DAY)
    names = ("REJECTED", "REQUEST", "RECORD")
    settings = load_settings({f"DIALSTOCK_{name}_RETENTION": "100d" for name in names})
    assert settings.retention == Retention(rejected=100 * DAY, requests=100 * DAY, records=100 * DAY)
    settings = load_settings({f"DIALSTOCK_{name}_RETENTION": "forever" for name in names})
    assert settings.retention == Retention(rejected=None, requests=None, records=None)


@pytest.mark.parametrize(("name", "least"), [("REJECTED", 7), ("REQUEST", 30), ("RECORD", 90)])
def test_what_is_repeated_must_still_be_known(name: str, least: int) -> None:
    variable = f"DIALSTOCK_{name}_RETENTION"
    load_settings({variable: f"{least}d"})
    with pytest.raises(SettingsError, match=f"{variable}: {least - 1}d is too short, .*: {least}d or more"):
        load_settings({variable: f"{least - 1}d"})
    for value in ("0", "a week", "12h", "-5d", "999999d"):
        with pytest.raises(SettingsError, match="is no number of days: write it like 365d, or forever"):
            load_settings({variable: value})
